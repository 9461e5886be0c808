"""Waiting for many descriptors at once: select, poll and epoll that let other greenlets run.

Everything else is the standard library's `select`.

The descriptor of an epoll can itself be waited for. `epoll` here waits for its own descriptor. `select` and `poll`
first ask the system whether any descriptor is ready. If not, they register their descriptors with an epoll that they
make for the time of the call. Their result is always the system's answer.

If a descriptor is closed in this process while a call waits for it, select raises OSError(EBADF), poll returns POLLNVAL
for it, and epoll drops it.

Functions that wait say that they switch; the others do not switch.
"""

import errno
import os
import select as _standard
from select import *  # noqa: F403  (this module offers everything that the standard one does)
from time import monotonic as _monotonic

from hub import closing as _closing
from hub.scheduler import be_fair as _be_fair
from hub.scheduler import sleep as _sleep

from greenio._descriptors.endpoint import Endpoint as _Endpoint

__all__ = ["epoll", "error", "poll", "select"]

error = OSError

# The standard functions: patching may put ours in their place.
_select, _poll, _epoll = _standard.select, _standard.poll, _standard.epoll

_READ = 1
_SIMPLE_TIMEOUT_MOST = 1_000_000
_MOMENT = 0.01  # seconds between two looks when there is no epoll to wait for
# Why there may be no epoll for a call: no descriptors are left, or no memory, or the user has too much in epolls.
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC)


def _check_timeout(timeout, wait, least=-_SIMPLE_TIMEOUT_MOST):
    """Raise if the system's call refuses a timeout: ``wait(descriptor)``, for a descriptor that is always ready.

    Numbers from `least` on that are not very large are never refused, and not tried.
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
    """A call that waits for many descriptors: the listener that is called when one of them is closed."""

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

    `descriptors`: a dict of descriptor to epoll events. Returns the last answer of `ready()` or, if some of the
    descriptors are closed meanwhile, the result of ``closed(their set)``.
    """
    end = None if timeout is None else _monotonic() + timeout
    waiting = _epoll_if_any()
    endpoint = None if waiting is None else _Endpoint(waiting.fileno(), None, 0, "list of descriptors")
    call = _Waiting(endpoint, descriptors)
    try:
        for descriptor, events in descriptors.items() if waiting is not None else ():
            try:
                # Edge-triggered: an event that `ready()` does not count is reported only once.
                waiting.register(descriptor, events | _standard.EPOLLET)
                call.registered(descriptor, waiting)
            except OSError as failure:
                if failure.errno == errno.EINVAL or failure.errno in _NO_ROOM:
                    endpoint = None
                elif failure.errno not in (errno.EPERM, errno.EBADF):  # always ready, or closed: ready() reports it
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
            left = None if end is None else end - _monotonic()
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
                waiting.poll(0, max(1, len(descriptors)))  # so that only new edges end the next wait
    finally:
        call.end()
        if waiting is not None:
            waiting.close()


def _wait_readable(endpoint, seconds):
    """Wait for an epoll descriptor, at most `seconds` (None for ever). Raises TimeoutError when they are over.

    A file may be in at most 500 epolls that are in others. Beyond that, and without an endpoint because there was no
    room for an epoll, this only sleeps for a moment.
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
    """The sources, as a list if they can be iterated over only once. A list is not copied: it may change meanwhile."""
    return sources if isinstance(sources, (list, tuple)) or not hasattr(sources, "__iter__") else list(sources)


def select(rlist, wlist, xlist, timeout=None):
    """As select.select(): three lists of sources that are readable, writable, or in an exceptional state. Switches.

    `timeout` in seconds (float; None for ever); 0 only looks.
    A call that need not wait also switches, before it looks, if others could not run for the length of the switch
    interval.
    """
    _check_timeout(timeout, lambda ready: _select([ready], [], [], timeout), 0)
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
    """As select.poll(): an object with `register`, `modify`, `unregister` and `poll`, of which only `poll` switches."""
    made = Poll.__new__(Poll)
    made._begin()
    return made


class Poll:
    """An object that poll() makes; it cannot be made in any other way.

    Changes that are made while a greenlet is in ``poll()`` hold from the next ``poll()`` on. Only one greenlet at a
    time may be in it. No other method switches.
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
        """Wait for other events on a descriptor. Raises OSError(ENOENT) if it was not registered."""
        self._poll.modify(fd, eventmask)
        self._registered[_descriptor(fd)] = eventmask

    def unregister(self, fd):
        """Do not wait for a descriptor any more. Raises KeyError if it was not registered."""
        self._poll.unregister(fd)
        del self._registered[_descriptor(fd)]

    def poll(self, timeout=None):
        """Wait at most `timeout` MILLISECONDS (float; None or less than 0 for ever). Switches, as select() does.

        Returns a list of (descriptor, event) for the descriptors that are ready. Raises RuntimeError if another
        greenlet is in this method.
        """
        _be_fair()
        if self._is_polling:
            raise RuntimeError("concurrent poll() invocation")
        _check_timeout(timeout, lambda ready: _poll_one(ready, timeout))
        found = self._poll.poll(0)
        if found or (timeout is not None and timeout == 0):
            return found
        asked, now = dict(self._registered), _poll()
        for descriptor, events in asked.items():
            now.register(descriptor, events)

        def closed(those):
            for descriptor in those:
                now.unregister(descriptor)  # the number may be another file's by now
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
    """The descriptors that an epoll has. It drops those that this process closes, even if others have the file open."""

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
    """As select.epoll(): an object that keeps its descriptors in the kernel. Only its poll() switches."""

    def __init__(self, sizehint=-1, flags=0):
        self._adopt(_epoll(sizehint, flags))

    @classmethod
    def fromfd(cls, fd):
        """Make an epoll object of the descriptor (int) of an epoll that exists."""
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
        """Close it. Greenlets that wait in its poll(), in any thread, get OSError(EBADF)."""
        if not self._epoll.closed:
            self._registered.clear()
            self._endpoint.forget()
            self._epoll.close()

    def register(self, fd, eventmask=_standard.EPOLLIN | _standard.EPOLLPRI | _standard.EPOLLOUT):
        """Wait for events on a descriptor (int, or an object with fileno()) from now on."""
        self._epoll.register(fd, eventmask)
        self._registered.add(_descriptor(fd))

    def modify(self, fd, eventmask):
        """Wait for other events on a descriptor. Raises OSError(ENOENT) if it was not registered."""
        self._epoll.modify(fd, eventmask)

    def unregister(self, fd):
        """Do not wait for a descriptor any more. Raises OSError(ENOENT) if it was not registered."""
        self._epoll.unregister(fd)
        self._registered.discard(_descriptor(fd))

    def poll(self, timeout=None, maxevents=-1):
        """Wait at most `timeout` seconds (float; None or less than 0 for ever). Switches, as select() does.

        Returns a list of (descriptor, event) for the descriptors that are ready, at most `maxevents` (int; -1: all).
        """
        _check_timeout(timeout, lambda ready: _epoll_one(ready, timeout))
        _be_fair()
        found = self._epoll.poll(0, maxevents)
        if found or (timeout is not None and timeout == 0):
            return found
        end = None if timeout is None or timeout < 0 else _monotonic() + timeout
        while True:
            left = None if end is None else end - _monotonic()
            if left is not None and left <= 0:
                return found
            try:
                _wait_readable(self._endpoint, left)
            except TimeoutError:
                return self._epoll.poll(0, maxevents)
            found = self._epoll.poll(0, maxevents)
            if found:
                return found  # if not, another greenlet was faster

    def __enter__(self):
        if self._epoll.closed:
            raise ValueError("I/O operation on closed epoll object")
        return self

    def __exit__(self, *exc_info):
        self.close()
