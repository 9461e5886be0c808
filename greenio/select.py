"""Waiting for many descriptors at once: select, poll and epoll that let other greenlets run.

Everything else is the standard library's `select`.

An epoll descriptor can itself be waited for. `epoll` here waits for its own; `select` and `poll` ask the system first
whether something is ready, and if not, register what they wait for with an epoll of their own for the time of the call.
What they return is always the system's answer.

A descriptor that is closed in this process while it is waited for ends the wait: select raises OSError(EBADF), poll
returns POLLNVAL for it, and epoll drops it.
"""

import errno
import os
import select as _standard
import time
from select import *  # noqa: F403  (this module offers everything that the standard one does)

from hub import closing as _closing
from hub.scheduler import be_fair as _be_fair
from hub.scheduler import sleep as _sleep

from greenio._descriptors.endpoint import Endpoint as _Endpoint

__all__ = ["epoll", "error", "poll", "select"]

error = OSError

# Kept, as patching may put ours in their place.
_select, _poll, _epoll = _standard.select, _standard.poll, _standard.epoll

_READ = 1
_SIMPLE_TIMEOUT_MOST = 1_000_000
_MOMENT = 0.01  # seconds between two looks when nothing can be waited for
# Why there may be no epoll for a call: no descriptors are left, or no memory, or the user has too much in epolls.
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC)


def _judge(timeout, wait, least=-_SIMPLE_TIMEOUT_MOST):
    """Let the system's call raise what it has to say about a timeout: ``wait(descriptor)``, which is always ready.

    It has nothing to say about numbers from `least` on that are not very large.
    """
    if timeout is None or (type(timeout) in (int, float) and least <= timeout <= _SIMPLE_TIMEOUT_MOST):
        return
    reader, writer = os.pipe()
    os.close(writer)
    try:
        wait(reader)
    finally:
        os.close(reader)


class _Waiting:
    """One call that waits for many descriptors: it is told when one of them is closed."""

    def __init__(self, endpoint, descriptors):
        self.endpoint = endpoint
        self.closed = set()
        self.listenings = {descriptor: _closing.listen(descriptor, self) for descriptor in descriptors}

    def registered(self, descriptor, epoll):
        self.listenings[descriptor].is_registered(epoll.fileno())

    def _wake(self):
        if self.endpoint is not None:
            self.endpoint.forget()

    def closing(self, listening):
        self.closed.add(listening.fd)
        self._wake()

    def end(self):
        for listening in self.listenings.values():
            listening.stop()
        self._wake()


def _epoll_if_any():
    try:
        return _epoll()
    except OSError as failure:
        if failure.errno not in _NO_ROOM:
            raise
        return None


def _wait(descriptors, ready, closed, timeout):
    """Call `ready()`, the system's own call without waiting, until it returns something or `timeout` seconds are over.

    `descriptors`: a dict of descriptor to epoll events. Returns the last answer; when some of them are closed
    meanwhile, what ``closed(set of them)`` says.
    """
    end = None if timeout is None else time.monotonic() + timeout
    waiting = _epoll_if_any()
    endpoint = None if waiting is None else _Endpoint(waiting.fileno(), None, 0, "list of descriptors")
    call = _Waiting(endpoint, descriptors)
    try:
        for descriptor, events in descriptors.items() if waiting is not None else ():
            try:
                # Edge-triggered: an event that the system's call does not count as ready is told once.
                waiting.register(descriptor, events | _standard.EPOLLET)
                call.registered(descriptor, waiting)
            except OSError as failure:
                if failure.errno == errno.EINVAL or failure.errno in _NO_ROOM:
                    endpoint = None
                elif failure.errno not in (errno.EPERM, errno.EBADF):  # always ready; closed: ready() tells
                    raise
        while True:
            try:
                answer = None if call.closed else ready()
            except (OSError, ValueError):
                if not call.closed:  # by another thread
                    raise
            if call.closed:
                return closed(call.closed)
            if answer:
                return answer
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return answer
            try:
                _wait_readable(endpoint, left)
            except OSError as failure:
                if isinstance(failure, TimeoutError):
                    end = 0  # a last look
                elif failure.errno != errno.EBADF or not call.closed:
                    raise
                continue
            if waiting is not None:
                waiting.poll(0, max(1, len(descriptors)))  # the edges are seen
    finally:
        call.end()
        if waiting is not None:
            waiting.close()


def _wait_readable(endpoint, seconds):
    """Wait for an epoll descriptor, at most so many seconds (None for ever): TimeoutError.

    The system lets one file be in so many epolls only that are in others: 500. Beyond that, or without an endpoint
    because there is no room for an epoll, a moment passes.
    """
    try:
        if endpoint is not None:
            endpoint.timeout = seconds
            return endpoint.wait_until(_READ, endpoint.deadline())
    except OSError as failure:
        if failure.errno != errno.EINVAL:
            raise
    _sleep(_MOMENT if seconds is None else min(_MOMENT, seconds))


def _descriptor(source):
    return source if isinstance(source, int) else source.fileno()


def _kept(sources):
    """What can be gone through more than once: a list is left as it is, and may change meanwhile."""
    return sources if isinstance(sources, (list, tuple)) or not hasattr(sources, "__iter__") else list(sources)


def select(rlist, wlist, xlist, timeout=None):
    """As select.select(): lists of what is ready to be read, to be written, and in an exceptional state. Switches.

    `timeout` in seconds (float; None for ever); 0 only looks.
    What need not wait switches too, before it looks, if others could not run for as long as the switch interval.
    """
    _judge(timeout, lambda ready: _select([ready], [], [], timeout), 0)
    # The system is asked more than once: an iterator would be used up.
    rlist, wlist, xlist = map(_kept, (rlist, wlist, xlist))
    _be_fair()
    answer = _select(rlist, wlist, xlist, 0)
    if any(answer) or (timeout is not None and timeout == 0):
        return answer
    descriptors = {}
    for sources, events in (
        (rlist, _standard.EPOLLIN), (wlist, _standard.EPOLLOUT), (xlist, _standard.EPOLLPRI),
    ):  # fmt: skip
        for source in sources:
            descriptor = _descriptor(source)
            descriptors[descriptor] = descriptors.get(descriptor, 0) | events
    if not descriptors and timeout is not None:
        _sleep(timeout)
        return answer

    def ready():
        found = _select(rlist, wlist, xlist, 0)
        return found if any(found) else None

    def closed(_):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    return _wait(descriptors, ready, closed, timeout) or ([], [], [])


def poll():
    """As select.poll(): an object with `register`, `modify`, `unregister` and `poll`."""
    made = Poll.__new__(Poll)
    made._begin()
    return made


class Poll:
    """What poll() returns; it cannot be made in any other way.

    What changes while a greenlet is in ``poll()`` counts from the next ``poll()`` on. Only one may be in it at a time.
    """

    def __init__(self):
        raise TypeError(f"cannot create '{__name__}.{type(self).__qualname__}' instances; call poll()")

    def _begin(self):
        self._poll = _poll()
        self._registered = {}
        self._is_polling = False

    def register(self, fd, eventmask=_standard.POLLIN | _standard.POLLPRI | _standard.POLLOUT):
        """Wait for events on a descriptor (int, or an object with fileno()) from now on."""
        self._poll.register(fd, eventmask)
        self._registered[_descriptor(fd)] = eventmask

    def modify(self, fd, eventmask):
        """Change what is waited for. Raises OSError(ENOENT) if it was not registered."""
        self._poll.modify(fd, eventmask)
        self._registered[_descriptor(fd)] = eventmask

    def unregister(self, fd):
        """Do not wait for it any more. Raises KeyError if it was not registered."""
        self._poll.unregister(fd)
        del self._registered[_descriptor(fd)]

    def poll(self, timeout=None):
        """Wait at most `timeout` MILLISECONDS (float; None or less than 0 for ever). Switches, as select().

        Returns a list of (descriptor, event) of what is ready.
        """
        _be_fair()
        if self._is_polling:
            raise RuntimeError("concurrent poll() invocation")
        _judge(timeout, lambda ready: _poll_one(ready, timeout))
        found = self._poll.poll(0)
        if found or (timeout is not None and timeout == 0):
            return found
        asked, now = dict(self._registered), _poll()
        for descriptor, events in asked.items():
            now.register(descriptor, events)

        def closed(those):
            for descriptor in those:
                now.unregister(descriptor)  # it may be another file's by now
            return now.poll(0) + [(descriptor, _standard.POLLNVAL) for descriptor in sorted(those)]

        self._is_polling = True
        try:
            # POLLIN and its like have the values of EPOLLIN and its like.
            return _wait(asked, lambda: now.poll(0), closed, None if timeout is None or timeout < 0 else timeout / 1000)
        finally:
            self._is_polling = False


def _poll_one(descriptor, timeout):
    one = _poll()
    one.register(descriptor)
    one.poll(timeout)


def _epoll_one(descriptor, timeout):
    with _epoll() as one:
        one.register(descriptor)
        one.poll(timeout)


class _Registered:
    """What is registered with an epoll. It drops what is closed in this process, also if others have the file open."""

    def __init__(self, epoll):
        self.epoll = epoll
        self.listenings = {}  # by descriptor; those that are over are left in it

    def add(self, descriptor):
        known = self.listenings.get(descriptor)
        if known is None or known.over:
            self.listenings[descriptor] = _closing.listen(descriptor, None, self.epoll.fileno())

    def discard(self, descriptor):
        known = self.listenings.pop(descriptor, None)
        if known is not None:
            known.stop()

    def clear(self):
        while self.listenings:
            self.listenings.popitem()[1].stop()


class epoll:
    """As select.epoll(): an object that keeps what it waits for in the kernel."""

    def __init__(self, sizehint=-1, flags=0):
        self._adopt(_epoll(sizehint, flags))

    @classmethod
    def fromfd(cls, fd):
        """An epoll object on a descriptor that is one already."""
        made = cls.__new__(cls)
        made._adopt(_epoll.fromfd(fd))
        return made

    def _adopt(self, made):
        self._epoll = made
        self._endpoint = _Endpoint(made.fileno(), None, 0, "epoll")
        self._registered = _Registered(made)

    def __del__(self) -> None:
        if hasattr(self, "_registered"):
            self.close()

    @property
    def closed(self):
        """Whether it is closed (bool)."""
        return self._epoll.closed

    def fileno(self):
        """Its descriptor (int)."""
        return self._epoll.fileno()

    def close(self):
        """Close it. Greenlets that wait in poll(), of any thread, get OSError(EBADF)."""
        if not self._epoll.closed:
            self._registered.clear()
            self._endpoint.forget()
            self._epoll.close()

    def register(self, fd, eventmask=_standard.EPOLLIN | _standard.EPOLLPRI | _standard.EPOLLOUT):
        """Wait for events on a descriptor (int, or an object with fileno()) from now on."""
        self._epoll.register(fd, eventmask)
        self._registered.add(_descriptor(fd))

    def modify(self, fd, eventmask):
        """Change what is waited for."""
        self._epoll.modify(fd, eventmask)

    def unregister(self, fd):
        """Do not wait for it any more."""
        self._epoll.unregister(fd)
        self._registered.discard(_descriptor(fd))

    def poll(self, timeout=None, maxevents=-1):
        """Wait at most `timeout` seconds (float; None or less than 0 for ever). Switches, as select().

        Returns a list of (descriptor, event) of what is ready, at most `maxevents`.
        """
        _judge(timeout, lambda ready: _epoll_one(ready, timeout))
        _be_fair()
        found = self._epoll.poll(0, maxevents)
        if found or (timeout is not None and timeout == 0):
            return found
        end = None if timeout is None or timeout < 0 else time.monotonic() + timeout
        while True:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return found
            try:
                _wait_readable(self._endpoint, left)
            except TimeoutError:
                return self._epoll.poll(0, maxevents)
            found = self._epoll.poll(0, maxevents)
            if found:
                return found  # else another greenlet was faster

    def __enter__(self):
        if self._epoll.closed:
            raise ValueError("I/O operation on closed epoll object")
        return self

    def __exit__(self, *exc_info):
        self.close()
