"""What all servers share: a listener, a greenlet that accepts, and rules for starting handlers and stopping.

Subclasses say how to listen and how to accept: see greenio.server.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket as _standard

from greenlet import getcurrent
from hub import Wait, get_hub, sleep
from hub.arguments import seconds_of

from greenio._tasks.waiting import joinall, killall
from greenio.greenlet import Greenlet
from greenio.socket import socket
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Literal, Protocol

    from typing_extensions import Self

    from greenio.socket import AddressFamily

    Address = tuple[Any, ...] | str | int  # what people write: see parse_address()

    class Listener(Protocol):
        """A listening socket: one of ours, or any other."""

        def accept(self) -> tuple[Any, Any]: ...
        def fileno(self) -> int: ...
        def getsockname(self) -> Any: ...

    class Pool(Protocol):
        """What starts handlers, and knows how many there are."""

        def spawn(self, *args: Any, **kwargs: Any) -> Any: ...
        def full(self) -> bool: ...
        def wait_available(self) -> object: ...
        def join(self, timeout: float | None = None) -> object: ...
        def kill(self, *, block: bool = True, timeout: float | None = None) -> object: ...

    Spawn = Literal["default"] | int | Pool | Callable[..., object] | None

__all__ = ["BaseServer", "parse_address"]


def parse_address(address: Address) -> tuple[AddressFamily, tuple[Any, ...]]:
    """Return ``(family, (host, port))`` for what people write: a tuple, "host:port", ":port", "[::1]:80", or a port.

    Raises ValueError for anything else.
    """
    if isinstance(address, tuple):
        if len(address) < 2:
            raise ValueError(f"an address must be (host, port), not {address!r}")
        host, port = address[:2]
        if not isinstance(port, int):
            raise ValueError(f"the port of an address must be a number, not {port!r}")
        if isinstance(host, str) and ":" in host:
            return _standard.AF_INET6, address
        return _standard.AF_INET, (host, port)
    if isinstance(address, int) and not isinstance(address, bool):
        return _standard.AF_INET6 if _standard.has_ipv6 else _standard.AF_INET, ("", address)
    if isinstance(address, str):
        host, colon, port = address.rpartition(":")
        if not colon:
            host, port = "", address
        if port.isdecimal() and int(port) < 65536:
            if host.startswith("[") and host.endswith("]"):
                return _standard.AF_INET6, (host[1:-1], int(port))
            if not host:
                return parse_address(int(port))
            return _standard.AF_INET, (host, int(port))
    raise ValueError(f"cannot listen on {address!r}: give (host, port), 'host:port', ':port', '[host]:port' or a port")


class BaseServer:
    """A server that accepts in one greenlet and handles each client in another.

    `listener`: an address (see parse_address) or a listening socket, which is then used as it is.
    `handle`: called with what was accepted; a subclass may define the method `handle` instead.
    `spawn`: how a handler is started. "default": a Greenlet each. A number: at most so many at a time, and no more
    is accepted until one ends. A callable: ``spawn(handler, *args)``. An object with a method `spawn` (a Pool).
    None: in the accepting greenlet, one after the other.

    In a ``with`` statement, leaving stops it.
    """

    #: Seconds before accepting again after an error such as EMFILE; doubled each time, up to `max_delay`.
    min_delay: float = 0.01
    max_delay: float = 1
    #: How many clients are accepted before other greenlets get their turn.
    max_accept: int = 100
    #: Seconds that stop() gives running handlers, if it knows them, before they are killed.
    stop_timeout: float = 1
    #: Errors of the listener that end the server.
    fatal_errors: tuple[int, ...] = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)

    handle: Callable[..., object] | None = None

    def __init__(
        self,
        listener: Address | Listener,
        handle: Callable[..., object] | None = None,
        spawn: Spawn = "default",
    ) -> None:
        self.socket: socket | None = None
        self.address: Any = None
        self.family: AddressFamily | int | None = None
        self._owns_socket = True
        self._acceptor: Greenlet | None = None
        self._stopped = False
        self._finished: list[Wait] = []
        self.delay = self.min_delay
        self.set_spawn(spawn)
        self.set_handle(handle)
        self.set_listener(listener)

    # --- settings ---

    def set_listener(self, listener: Address | Listener) -> None:
        """Say where to listen: an address, or a socket that listens already. Raises TypeError or ValueError."""
        if hasattr(listener, "accept"):
            if hasattr(listener, "do_handshake"):
                raise TypeError(f"a server listens on a plain socket, not on a TLS one: {listener!r}")
            sock: Any = listener
            self.family = sock.family
            self.address = sock.getsockname()
            self._owns_socket = False
            if not isinstance(sock, socket):
                # Non-blocking waiting needs one of ours; the caller's object keeps its own descriptor.
                sock = socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))
                self._owns_socket = True
            self.socket = sock
            sock.settimeout(None)
        else:
            self.family, self.address = parse_address(listener)

    def set_spawn(self, spawn: Spawn) -> None:
        """Say how handlers are started: see the class. Raises TypeError or ValueError."""
        self.pool: Pool | None = None
        self._limit: int | None = None
        self._handlers: set[Greenlet] = set()
        self._room: Wait | None = None
        self._spawn: Callable[..., object] | None
        if spawn == "default":
            self._spawn = Greenlet.spawn
        elif hasattr(spawn, "spawn"):
            pool: Any = spawn
            self.pool = pool
            self._spawn = pool.spawn
        elif isinstance(spawn, int) and not isinstance(spawn, bool):
            if spawn <= 0:
                raise ValueError(f"a server must be allowed at least one handler at a time, not {spawn}")
            self._limit = spawn
            self._spawn = self._spawn_limited
        elif spawn is None or callable(spawn):
            self._spawn = spawn
        else:
            raise TypeError(f"spawn must be 'default', a number, a callable, a pool or None, not {spawn!r}")

    def set_handle(self, handle: Callable[..., object] | None) -> None:
        """Say what handles a client; None leaves it to the method `handle`. Raises TypeError."""
        if handle is not None:
            if not callable(handle):
                raise TypeError(f"a handler must be callable, not {handle!r}")
            self.handle = handle

    # --- handlers ---

    def _spawn_limited(self, function, *args):
        greenlet = Greenlet.spawn(function, *args)
        self._handlers.add(greenlet)
        greenlet.rawlink(self._handler_ended)
        return greenlet

    def _handler_ended(self, greenlet):
        self._handlers.discard(greenlet)
        if self._room is not None and not self.full():
            self._room.wake()

    def full(self) -> bool:
        """Whether as many handlers run as may (bool)."""
        if self.pool is not None:
            return self.pool.full()
        return self._limit is not None and len(self._handlers) >= self._limit

    def _wait_for_room(self):
        if self.pool is not None:
            self.pool.wait_available()
            return
        self._room = Wait(f"{self!r} to have room for another handler")
        try:
            self._room.park()
        finally:
            self._room = None

    def do_handle(self, *args: Any) -> None:
        """Start a handler for what was accepted."""
        if self._spawn is None:
            self._run_handler(*args)
        else:
            try:
                self._spawn(self._run_handler, *args)
            except BaseException:
                self.do_close(*args)
                raise

    def _run_handler(self, *args):
        try:
            self.handle(*args)  # type: ignore[misc]  # not None: start() has seen to that
        finally:
            self.do_close(*args)

    def do_close(self, *args: Any) -> None:
        """Give back what was accepted; called when its handler has ended, however it did."""

    # --- accepting ---

    def init_socket(self) -> None:
        """Make the listening socket, if there is none. Called by start()."""

    def do_read(self) -> tuple[Any, ...] | None:
        """Accept one client that is there already: the arguments of its handler, or None."""
        raise NotImplementedError

    def is_fatal_error(self, error: OSError) -> bool:
        """Whether an OSError of the listener ends the server (bool)."""
        return error.errno in self.fatal_errors

    def _accept_forever(self):
        while self.socket is not None:
            try:
                if self.full():
                    self._wait_for_room()
                    continue
                if not self._accept_some():
                    self.socket._endpoint.wait_for(1, timed=False)
                else:
                    sleep(0)
            except OSError as error:
                if self.socket is None or self.socket.fileno() < 0:
                    return
                get_hub().report(self, error)
                if self.is_fatal_error(error):
                    self.close()
                    return
                self._back_off()

    def _accept_some(self):
        """Accept until nobody is left to accept (returns False) or others should have their turn (True)."""
        for _ in range(self.max_accept):
            if self.full():
                return True
            arguments = self.do_read()
            if arguments is None:
                return False
            self.delay = self.min_delay
            try:
                self.do_handle(*arguments)
            except Exception as error:
                get_hub().report((self, arguments), error)
        return True

    def _back_off(self):
        delay = self.delay
        self.delay = min(self.max_delay, delay * 2)
        sleep(delay)

    def start_accepting(self) -> None:
        """Begin to accept. Does not switch."""
        if self._acceptor is None:
            self._acceptor = Greenlet.spawn(self._accept_forever)
            self._acceptor.name = f"acceptor of {self!r}"

    def stop_accepting(self) -> None:
        """Accept no more; handlers go on. Does not wait."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is not None and acceptor is not getcurrent():
            acceptor.kill(block=False)

    # --- starting and stopping ---

    @property
    def started(self) -> bool:
        """Whether it accepts (bool)."""
        return self._acceptor is not None

    @property
    def closed(self) -> bool:
        """Whether it was closed: it has no listener any more (bool)."""
        return self._stopped and self.socket is None

    @property
    def server_host(self) -> str | None:
        """The address it listens on (str), or None."""
        return self.address[0] if isinstance(self.address, tuple) else None

    @property
    def server_port(self) -> int | None:
        """The port it listens on (int), or None."""
        return self.address[1] if isinstance(self.address, tuple) else None

    def start(self) -> None:
        """Listen and accept. Does nothing if it does already. Does not switch.

        Raises OSError if it cannot listen, TypeError if nothing is there to handle a client.
        """
        if self.handle is None and type(self).do_handle is BaseServer.do_handle:
            raise TypeError(
                f"{type(self).__name__} has no handler: give it a function, handle=, or a method handle() in a subclass"
            )
        self.init_socket()
        self._stopped = False
        try:
            self.start_accepting()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop listening and accepting. Handlers go on. Does not wait."""
        self._stopped = True
        try:
            self.stop_accepting()
        finally:
            sock, self.socket = self.socket, None
            if sock is not None and self._owns_socket:
                sock.close()
            finished, self._finished = self._finished, []
            for wait in finished:
                wait.wake()

    def stop(self, timeout: float | None = None) -> None:
        """Stop listening; wait for the handlers, if their number is bounded, then kill those left. Switches.

        `timeout` in seconds, by default `stop_timeout`. Handlers of an unbounded server are left alone.
        """
        timeout = self.stop_timeout if timeout is None else seconds_of(timeout)
        self.close()
        if self.pool is not None:
            self.pool.join(timeout=timeout)
            self.pool.kill(block=True, timeout=1)
        elif self._handlers:
            joinall(list(self._handlers), timeout=timeout)
            with contextlib.suppress(Timeout):
                killall(list(self._handlers), block=True, timeout=1)

    def serve_forever(self, stop_timeout: float | None = None) -> None:
        """Start, and wait until it is stopped or closed. Switches. Leaving by an exception stops it."""
        if not self.started:
            self.start()
        try:
            while not self._stopped:
                wait = Wait(f"{self!r} to be stopped")
                self._finished.append(wait)
                try:
                    wait.park()
                finally:
                    if wait in self._finished:
                        self._finished.remove(wait)
        finally:
            Greenlet.spawn(self.stop, stop_timeout).join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def __repr__(self) -> str:
        handler = getattr(self.handle, "__name__", None) or repr(self.handle)
        state = "started" if self.started else "stopped"
        return f"<{type(self).__name__} at {id(self):#x} {state} {self.address!r} handle={handler}>"
