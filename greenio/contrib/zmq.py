"""pyzmq, whose calls wait in C: for messages, for room in a queue, in poll(), in proxies, and when a context ends.

Each call is tried without waiting. If it would wait, the greenlet waits until the socket's descriptor, which libzmq
makes, becomes readable: something has happened to the socket. libzmq reports that only once, to the next call on the
socket. So after each call the other greenlets that wait for the socket are woken. As always with pyzmq, only one thread
at a time may use a socket; here one greenlet may send while another one receives.

A proxy forwards messages in Python, so that it ends cleanly when its greenlet is killed.

See https://pyzmq.readthedocs.io/.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from time import monotonic

from greenlet import getcurrent
from hub import get_hub, native
from hub.closing import closing_descriptor
from hub.current import interpreter_ends
from hub.scheduler import be_fair

from greenio.event import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["adapt", "adapt_monitored_queue"]

_READ, _WRITE = 1, 2  # events of watchers, with the same numbers as zmq.POLLIN and zmq.POLLOUT
_BURST = 100  # messages that a proxy takes from one side before it checks the other

# The address of a socket -> the waits for it: pairs of the events and the Event that is set.
_waiting: dict[int, Any] = {}


def adapt(zmq: Any) -> None:
    """Let sockets, polls, proxies and the ends of contexts wait cooperatively. `zmq`: the module."""
    if not native.saved.get("select"):
        return
    waits = _Waits(zmq)
    _replace(zmq.zmq_poll, waits.poll)
    _replace(zmq.proxy, waits.proxy)
    _replace(zmq.proxy_steerable, waits.proxy_steerable)
    for name in ("send", "recv", "recv_into", "close"):
        if hasattr(zmq.Socket, name):
            setattr(zmq.Socket, name, getattr(waits, f"make_{name}")(getattr(zmq.Socket, name)))
    zmq.Context.term = _make_term(zmq.Context.term)


def adapt_monitored_queue(module: Any) -> None:
    """Let monitored queues wait cooperatively. `module`: zmq.devices.monitoredqueue, which has a version in Python."""
    if native.saved.get("select"):
        module.monitored_queue = module._monitored_queue


def _replace(old, new):
    """Replace an object in all modules of the package that have it."""
    for name, module in list(sys.modules.items()):
        if module is not None and name.partition(".")[0] == "zmq":
            for key, value in list(vars(module).items()):
                if value is old:
                    setattr(module, key, new)


def _make_term(term):
    def cooperative(self):
        # term() waits until all sockets are closed, perhaps by other greenlets, and have sent their messages.
        if self.closed or interpreter_ends() or getcurrent() is get_hub():
            return term(self)
        return get_hub().threadpool.apply(term, (self,))

    return _named(cooperative, term)


def _named(function, before):
    function.__name__, function.__qualname__, function.__doc__ = before.__name__, before.__qualname__, before.__doc__
    return function


class _Waits:
    """Cooperative versions of the calls that wait, which use calls that do not wait."""

    def __init__(self, zmq):
        self.zmq = zmq
        self.native_poll = zmq.zmq_poll
        self.native_send, self.native_recv = zmq.backend.Socket.send, zmq.backend.Socket.recv
        self.errors = zmq.ZMQError

    # --- waiting ---

    def wait(self, items, due):
        """Wait until something may have happened to one of the items, or until the time `due`. Switches.

        `items`: pairs of a socket or descriptor, and the events. `due`: by the monotonic clock; None for ever. Returns
        False if the time is over already.
        """
        left = None if due is None else due - monotonic()
        if left is not None and left <= 0:
            return False
        happened = Event()
        loop = get_hub().loop
        with ExitStack() as stack:
            for item, events in items:
                if isinstance(item, self.zmq.backend.Socket):
                    entry, address = (events, happened), item.underlying
                    descriptor, events = item.get(self.zmq.FD), _READ
                    _waiting.setdefault(address, []).append(entry)
                    stack.callback(_forget, address, entry)
                else:
                    descriptor = item if isinstance(item, int) else item.fileno()
                if events & (_READ | _WRITE):
                    stack.enter_context(loop.io(descriptor, events & (_READ | _WRITE))).start(happened.set)
            happened.wait(left)
        return True

    def wake_others(self, socket):
        """Wake the greenlets that wait for a socket, after a call on it: libzmq does not report its events again."""
        waiting = _waiting.get(socket.underlying) if _waiting else None
        if not waiting:
            return
        try:
            events = socket.get(self.zmq.EVENTS)
        except self.errors:
            events = -1  # wakes all of them: each tries its call again
        for wanted, happened in waiting:
            if wanted & events:
                happened.set()

    def use(self, socket, events, flags, call):
        """Call ``call(flags)`` until it need not wait, and return its result. Switches.

        Raises zmq.Again after the socket's timeout.
        """
        if flags & self.zmq.DONTWAIT:
            try:
                return call(flags)
            finally:
                self.wake_others(socket)
        be_fair()
        timeout = due = None
        while True:
            try:
                return call(flags | self.zmq.DONTWAIT)
            except self.zmq.Again:
                if timeout is None:
                    timeout = socket.get(self.zmq.RCVTIMEO if events == self.zmq.POLLIN else self.zmq.SNDTIMEO)
                    due = None if timeout < 0 else monotonic() + timeout / 1000
            finally:
                self.wake_others(socket)
            if not self.wait([(socket, events)], due):
                raise self.zmq.Again

    # --- sockets ---

    def make_send(self, send):
        def cooperative(socket, data, flags=0, *args, **kwargs):
            return self.use(socket, self.zmq.POLLOUT, flags, lambda flags: send(socket, data, flags, *args, **kwargs))

        return _named(cooperative, send)

    def make_recv(self, recv):
        def cooperative(socket, flags=0, *args, **kwargs):
            return self.use(socket, self.zmq.POLLIN, flags, lambda flags: recv(socket, flags, *args, **kwargs))

        return _named(cooperative, recv)

    def make_recv_into(self, recv_into):
        def cooperative(socket, buffer, /, *, nbytes=0, flags=0):
            return self.use(
                socket, self.zmq.POLLIN, flags, lambda flags: recv_into(socket, buffer, nbytes=nbytes, flags=flags)
            )

        return _named(cooperative, recv_into)

    def make_close(self, close):
        def cooperative(socket, *args, **kwargs):
            waiting = list(_waiting.get(socket.underlying, ())) if _waiting and not socket.closed else ()
            if waiting:
                closing_descriptor(socket.get(self.zmq.FD))
            close(socket, *args, **kwargs)
            for _wanted, happened in waiting:
                happened.set()

        return _named(cooperative, close)

    # --- polls ---

    def poll(self, sockets, timeout=-1):
        """As zmq.zmq_poll(): return the sockets and descriptors that are ready. `timeout`: milliseconds. Switches."""
        be_fair()
        due = None if timeout < 0 else monotonic() + timeout / 1000
        own = [item for item, _events in sockets if isinstance(item, self.zmq.backend.Socket)]
        while True:
            found = self.native_poll(sockets, 0)
            for each in own if _waiting else ():
                self.wake_others(each)
            if found or not self.wait(sockets, due):
                return found
            if any(each.closed for each in own):  # a closed socket has no descriptor any more
                raise self.errors(self.zmq.ENOTSOCK)

    # --- proxies ---

    def proxy(self, frontend, backend, capture=None):
        """As zmq.proxy(): forward the messages of both sides, for ever. Switches."""
        self.proxy_steerable(frontend, backend, capture)

    def proxy_steerable(self, frontend, backend, capture=None, control=None):
        """As zmq.proxy_steerable(): forward messages until `control` receives TERMINATE. Switches."""
        # Source, sink, and the numbers of messages and bytes.
        pairs = [(frontend, backend, [0, 0]), (backend, frontend, [0, 0])]
        if frontend.underlying == backend.underlying:
            del pairs[1]
        command = None
        while True:
            be_fair()
            wanted, moved = [], False
            if control is not None:
                wanted.append((control, self.zmq.POLLIN))
                if self.is_ready(control, self.zmq.POLLIN):
                    command = self.obey(control, command, [pair[2] for pair in pairs])
            if command == b"TERMINATE":
                return 0
            for source, sink, count in () if command == b"PAUSE" else pairs:
                if not self.is_ready(source, self.zmq.POLLIN):
                    wanted.append((source, self.zmq.POLLIN))
                elif not self.is_ready(sink, self.zmq.POLLOUT):
                    wanted.append((sink, self.zmq.POLLOUT))
                else:
                    moved = True
                    self.move(source, sink, capture, count)
            if not moved:
                self.poll(wanted)

    def obey(self, control, before, counts):
        """Receive a command, and return the one that holds from now on. `before`: the one that has held so far."""
        command = self.native_recv(control, self.zmq.DONTWAIT)
        if command == b"STATISTICS":
            # Messages and bytes: received at the front, sent at the front, received at the back, sent at the back.
            front, back = counts[0], counts[-1]
            numbers = [number for each in (front, back, back, front) for number in each]
            control.send_multipart([number.to_bytes(8, sys.byteorder) for number in numbers])
            return before
        if command not in (b"PAUSE", b"RESUME", b"TERMINATE"):
            raise self.errors(self.zmq.EINVAL)
        return command

    def is_ready(self, socket, event):
        return socket.get(self.zmq.EVENTS) & event

    def move(self, source, sink, capture, count):
        for _ in range(_BURST):
            more = True
            while more:
                frame = self.native_recv(source, self.zmq.DONTWAIT, False)
                more = frame.more
                count[1] += len(frame)
                for to in (sink,) if capture is None else (capture, sink):
                    self.give(to, frame, self.zmq.SNDMORE if more else 0)
            count[0] += 1
            if not (self.is_ready(source, self.zmq.POLLIN) and self.is_ready(sink, self.zmq.POLLOUT)):
                return

    def give(self, socket, frame, flags):
        self.use(socket, self.zmq.POLLOUT, flags, lambda flags: self.native_send(socket, frame, flags, False))


def _forget(address, entry):
    others = _waiting[address]
    others.remove(entry)
    if not others:
        del _waiting[address]
