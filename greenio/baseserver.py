"""The base of all servers: a listener, a greenlet that accepts, and rules for starting handlers and stopping.

Subclasses say how to listen and how to accept: see greenio.server.

Methods that wait say that they switch; the others do not switch.
"""

from __future__ import annotations

import errno
import os
import socket as _standard
import sys
import warnings
from time import monotonic

from greenlet import GreenletExit, getcurrent
from hub import Wait, get_hub, get_hub_if_exists, sleep
from hub.arguments import count_of
from hub.errors import HubDestroyed, InvalidThreadUseError

from greenio._servers.addresses import inherited_socket, parse_address
from greenio._servers.elsewhere import call_there
from greenio._servers.handlers import Handlers
from greenio._servers.places import Places
from greenio._servers.seconds import FOR_EVER, seconds_or_none
from greenio._servers.unix_paths import UnixPath
from greenio.event import Event
from greenio.greenlet import Greenlet
from greenio.socket import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Literal, Protocol

    from hub import Hub
    from typing_extensions import Self

    from greenio._servers.addresses import Address
    from greenio._servers.places import Pool
    from greenio.socket import AddressFamily

    class Listener(Protocol):
        """A listening socket: one of ours, or any other."""

        def accept(self) -> tuple[Any, Any]: ...
        def fileno(self) -> int: ...
        def getsockname(self) -> Any: ...

    Seconds = Literal["default"] | float | None  # of an argument; by default the attribute of the class
    Spawn = Literal["default"] | int | Pool | Callable[..., object] | None

__all__ = ["BaseServer", "parse_address"]


class Draining(Event):
    """Whether a server is ending: an Event that is also true or false by itself (`if server.draining:`)."""

    def __bool__(self) -> bool:
        return self.is_set()


class BaseServer:
    """A server that accepts in one greenlet and handles each client in another.

    `listener`: where it listens. An address: ``(host, port)``, "host:port", ":port", "[::1]:port", a port (all
    addresses), "unix:/path", "unix:@name" (Linux' abstract namespace). A descriptor that was inherited: "fd://3", or
    "systemd" and "systemd:NAME" for what systemd has passed. Or a listening socket, which is then used as it is.
    `handle`: called with what was accepted; a subclass may define the method `handle` instead.
    `spawn`: how a handler is started. "default": a Greenlet each. A number: at most so many at a time, and no more
    is accepted until one ends. A callable: ``spawn(handler, *args)``. An object with a method `spawn` (a Pool).
    None: in the accepting greenlet, one after the other.
    `reuse_port`: whether other sockets of the same user may listen there as well (bool): the system spreads clients
    among them. Not for Unix sockets.
    `max_connections`: how many handlers there may be (int); beyond it nothing is accepted until one ends, and clients
    wait in the system. By default four fifths of the descriptors that the process may have when it starts to listen.
    `mode`: the permissions of a Unix socket's file (int).
    `stop_timeout`, `kill_timeout`: see the attributes.

    It belongs to the thread that starts it. Another thread may stop or close it: that is done in its own thread, and
    waited for. In a ``with`` statement, leaving stops it.
    """

    #: Seconds before accepting again after an error such as EMFILE; doubled each time, up to `max_delay`.
    min_delay: float = 0.01
    max_delay: float = 1
    #: How many clients are accepted before other greenlets get their turn.
    max_accept: int = 100
    #: Seconds that stop() gives running handlers before they are killed; None for ever. Also an argument.
    stop_timeout: float | None = 1
    #: Seconds that killed handlers have to end; None for ever. Also an argument.
    kill_timeout: float | None = 1
    #: Errors of the listener that end the server.
    fatal_errors: tuple[int, ...] = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)
    #: The type of the listening socket.
    _kind = _standard.SOCK_STREAM
    #: How many clients the system may hold ready.
    _most_waiting = 4096

    handle: Callable[..., object] | None = None

    def __init__(
        self,
        listener: Address | Listener,
        handle: Callable[..., object] | None = None,
        spawn: Spawn = "default",
        *,
        reuse_port: bool = False,
        max_connections: int | None = None,
        mode: int = 0o600,
        stop_timeout: Seconds = "default",
        kill_timeout: Seconds = "default",
    ) -> None:
        self.socket: socket | None = None
        self.address: Any = None
        self.family: AddressFamily | int | None = None
        #: Whether it is ending: an Event that handlers may wait for, with a truth value.
        self.draining = Draining()
        self.reuse_port = reuse_port
        if max_connections is not None and count_of(max_connections, "max_connections") <= 0:
            raise ValueError(f"a server must be allowed at least one connection at a time, not {max_connections}")
        self.max_connections = max_connections
        if not 0 <= count_of(mode, "mode") <= 0o777:
            raise ValueError(f"mode must be from 0 to 0o777, not {mode!r}")
        self.mode = mode
        self._take_times(stop_timeout=stop_timeout, kill_timeout=kill_timeout)
        self._hub: Hub | None = None  # of the thread that has started it
        self._owns_socket = True
        self._path: UnixPath | None = None
        self._acceptor: Greenlet | None = None
        self._stopped = False
        self._finished: list[Wait] = []
        self._ends = 0  # how many calls of stop() and close() are under way
        self._over = Event()  # set when the last of them is done
        self._handlers = Handlers(self.do_close)
        self._places = Places(self._handlers.running)
        self.delay = self.min_delay
        self.set_spawn(spawn)
        self.set_handle(handle)
        self.set_listener(listener)

    # --- settings ---

    #: The attributes that are times.
    _times: tuple[str, ...] = ("stop_timeout", "kill_timeout")

    def _take_times(self, **times):
        """Set attributes to what was given as arguments. Raises TypeError or ValueError."""
        for name, value in times.items():
            if value != "default":
                setattr(self, name, seconds_or_none(value, name))

    def _check_times(self):
        """Attributes may have been set by a subclass, or from outside. Raises TypeError or ValueError."""
        self._take_times(**{name: getattr(self, name) for name in self._times})
        for name in ("min_delay", "max_delay"):
            seconds = seconds_or_none(getattr(self, name), name)
            setattr(self, name, FOR_EVER if seconds is None else seconds)

    def set_listener(self, listener: Address | Listener) -> None:
        """Say where to listen: see the class. Raises TypeError or ValueError. Does not switch."""
        if self.reuse_port and (hasattr(listener, "accept") or str(listener).startswith(("unix:", "fd:", "systemd"))):
            raise ValueError("reuse_port goes with host and port: a socket that is passed in is bound already")
        inherited = inherited_socket(listener, self._kind)
        if inherited is not None:
            self.socket = inherited
            self.family = inherited.family
            self.address = inherited.getsockname()
            self._owns_socket = True
        elif hasattr(listener, "accept"):
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
        """Say how handlers are started: see the class. Raises TypeError or ValueError. Does not switch."""
        self._places.set_spawn(spawn)

    @property
    def pool(self) -> Pool | None:
        """The pool in which handlers are started, or None."""
        return self._places.pool

    def set_handle(self, handle: Callable[..., object] | None) -> None:
        """Say what handles a client; None leaves it to the method `handle`. Raises TypeError. Does not switch."""
        if handle is not None:
            if not callable(handle):
                raise TypeError(f"a handler must be callable, not {handle!r}")
            self.handle = handle

    # --- handlers ---

    def full(self) -> bool:
        """Whether as many handlers run as may (bool). Does not switch."""
        return self._places.full()

    def do_handle(self, *args: Any) -> None:
        """Start a handler for what was accepted. Switches if `spawn` does."""
        spawn = self._places.spawn
        if spawn is None:
            self._handle_here(args)
        else:
            try:
                started = spawn(self._run_handler, *args)
            except BaseException:
                self.do_close(*args)
                raise
            self._handlers.spawned(started, args)

    def _handle_here(self, args):
        """Run a handler in the greenlet that accepts, which goes on however the handler ends."""
        try:
            self._run_handler(*args)
        except HubDestroyed:
            raise
        except GreenletExit:
            if self.draining:
                raise
        except BaseException as error:
            get_hub().report((self, args), error)

    def _run_handler(self, *args):
        self._handlers.begun()
        try:
            self.handle(*args)  # type: ignore[misc]  # not None: start() has seen to that
        finally:
            self._handlers.ended()
            self._places.one_is_free()
            self.do_close(*args)

    def do_close(self, *args: Any) -> None:
        """Give back what was accepted; called when its handler has ended, however it did."""

    # --- accepting ---

    def init_socket(self) -> None:
        """Make the listening socket, if there is none. Called by start()."""

    def _bind(self, sock):
        """Bind a new socket to this server's address; its file belongs to this server. Raises OSError."""
        if self.family == _standard.AF_UNIX and not self.address.startswith("\0"):
            path = UnixPath(self.address, self.mode)
            path.bind(sock)
            self._path = path
        else:
            sock.bind(self.address)

    #: What a worker of several counts, in memory that it shares with its supervisor: see greenio._servers.counts.
    _numbers: memoryview | None = None

    def _become_one_of_several(self, sock: socket, shared: bool, numbers: memoryview) -> None:
        """Serve in this process, while others serve the same address. Called before start(). Does not switch.

        `shared`: whether they have the same socket, and not one each.
        """
        self.socket = sock
        self.family, self.address = sock.family, sock.getsockname()
        self._owns_socket = True  # as far as this process is concerned
        self._numbers = numbers
        if shared:
            self.max_accept = 1

    def do_read(self) -> tuple[Any, ...] | None:
        """Accept one client that is there already: the arguments of its handler, or None. Does not switch."""
        raise NotImplementedError

    def is_fatal_error(self, error: OSError) -> bool:
        """Whether an OSError of the listener ends the server (bool). Does not switch."""
        return error.errno in self.fatal_errors

    def _accept_forever(self):
        while self.socket is not None and self._acceptor is getcurrent():
            try:
                if self.full():
                    self._places.wait(self)
                    continue
                if not self._accept_some():
                    self.socket._endpoint.wait_for(1, timed=False)
                else:
                    sleep(0)
            except OSError as error:
                if self.socket is None:
                    return
                get_hub().report(self, error)
                if self.is_fatal_error(error):
                    self._close_listener()
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
            self._start_handler(arguments)
            if self.socket is None or self._acceptor is None:
                return True
        return True

    def _start_handler(self, arguments):
        try:
            self.do_handle(*arguments)
        except Exception as error:
            get_hub().report((self, arguments), error)

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
        """Accept no more; handlers go on. Does not switch."""
        acceptor, self._acceptor = self._acceptor, None
        # One that is a handler, too, ends when it finds no listener.
        if acceptor is not None and acceptor is not getcurrent() and acceptor not in self._handlers.running:
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
        """Listen and accept. Does nothing if it does already.

        Switches only to look up a host's name, or to make a Unix socket's file.
        Raises OSError if it cannot listen, TypeError if nothing is there to handle a client, InvalidThreadUseError if
        it runs in another thread, and TypeError or ValueError for attributes that are no times.
        """
        self._check_thread()
        self._check_handler()
        self._check_times()
        self.init_socket()
        self._hub = get_hub()
        if self._ends:
            self._handlers.begin_run()
        self._stopped = False
        self.draining.clear()
        self._places.count(self.max_connections)
        try:
            self.start_accepting()
        except BaseException:
            self.close()
            raise

    def _is_elsewhere(self):
        """Whether something of it runs in another thread than this one."""
        hub = self._hub
        if hub is None or hub is get_hub_if_exists() or hub.destroyed:
            return False
        return bool(self.started or self._ends or self._handlers.running)

    def _check_thread(self):
        if self._is_elsewhere():
            raise InvalidThreadUseError(f"{self!r} runs in another thread: stop it, and start it here then")

    def _check_handler(self):
        if self.handle is None and type(self).do_handle is BaseServer.do_handle:
            raise TypeError(
                f"{type(self).__name__} has no handler: give it a function, handle=, or a method handle() in a subclass"
            )

    def _close_listener(self):
        """Stop listening and accepting, and let serve_forever() go on. Does not switch."""
        self._stopped = True
        self.draining.set()
        try:
            self.stop_accepting()
        finally:
            sock, self.socket = self.socket, None
            path, self._path = self._path, None
            if path is not None:
                path.remove()
            if sock is not None:
                self._give_up(sock)
            finished, self._finished = self._finished, []
            for wait in finished:
                wait.wake()

    def _give_up(self, sock):
        """The server does not listen on this socket any more. Does not switch."""
        if self._owns_socket:
            sock.close()

    def close(self) -> None:
        """Stop listening and accepting, and end all handlers at once: none runs when it returns. Switches.

        A handler that calls it goes on itself. On the hub, as in a callback, it does not wait for the handlers. Another
        thread may call it.
        """
        if self._is_elsewhere() and call_there(self._hub, self.close) is not None:  # type: ignore[arg-type]
            return
        self._ends += 1
        run = self._handlers.ending()
        try:
            self._close_listener()
            self._kill_handlers(run)
        finally:
            self._handlers.has_ended()
            self._end_is_over()

    def stop(self, timeout: float | None = None, *, drain: float | None = None) -> int:
        """Stop listening; let the handlers come to their ends, and kill those left. Returns how many (int). Switches.

        `timeout`: how many seconds they have (float; infinity: no limit); by default `stop_timeout`. If handlers are
        started in a pool, everything in that pool is waited for and then killed.
        `drain`: the same, with care for clients. `draining` is set, so that handlers end early. Connections that are
        idle are closed (a subclass knows which). Clients that have connected and wait to be accepted are, as
        soon as there is room.
        A handler that calls it does not wait for itself, nor for others that call it. If the server is started again
        meanwhile, the handlers of that run go on. Another thread may call it. Raises TypeError if both are given.
        """
        if drain is not None and timeout is not None:
            raise TypeError("give stop() either timeout or drain")
        seconds: float | None
        if drain is not None:
            seconds = seconds_or_none(drain, "drain", past_is_now=True)
        else:
            seconds = seconds_or_none(self.stop_timeout if timeout is None else timeout, "timeout", past_is_now=True)
        if self._is_elsewhere():
            killed = call_there(self._hub, self.stop, timeout=timeout, drain=drain)  # type: ignore[arg-type]
            if killed is not None:
                return killed
        self._ends += 1
        run = self._handlers.ending()
        try:
            end = None if seconds is None else monotonic() + seconds
            if drain is not None and self.started:
                self.draining.set()
                self.close_idle()
                self.stop_accepting()
                accepting = Greenlet.spawn(self._accept_waiting)
                accepting.join(seconds)
                if accepting not in self._handlers.running:
                    accepting.kill()
            if run == self._handlers.run:  # otherwise it was started again meanwhile
                self._close_listener()
            if drain is None and self.pool is not None:
                self.pool.join(timeout=seconds)
            self._handlers.wait(None if end is None else end - monotonic(), run)
            killed = self._kill_handlers(run)
            if self.pool is not None and drain is None and run == self._handlers.run:
                self._kill_pool(self.pool)
            return killed
        finally:
            self._handlers.has_ended()
            self._end_is_over()

    def _accept_waiting(self):
        """Accept those who have connected already, as there is room: to them the server would seem to hang up.

        New ones come meanwhile, so there is an end to it: no more than the system holds ready.
        """
        left = self._most_waiting
        try:
            while left > 0 and self.socket is not None:
                if self.full():
                    self._places.wait(self)
                    continue
                arguments = self.do_read()
                if arguments is None:
                    return
                left -= 1
                self._start_handler(arguments)
        except OSError as error:
            get_hub().report(self, error)

    def close_idle(self) -> None:
        """End the handlers that have nothing to do just now. Called when draining begins; does nothing by itself."""

    def _kill_pool(self, pool):
        threads = sys.modules.get("greenio.threadpool")
        if threads is not None and isinstance(pool, threads.ThreadPool):
            pool.kill()  # tasks in threads cannot be killed: they finish
        else:
            pool.kill(block=True, timeout=self.kill_timeout)

    def _kill_handlers(self, run):
        killed = self._handlers.kill(self.kill_timeout, run)
        left = [greenlet for greenlet in killed if greenlet in self._handlers.running]
        if left and getcurrent() is not get_hub():
            warnings.warn(
                f"{self!r} has ended, and {len(left)} of its handlers have not: {left[0]!r}",
                RuntimeWarning,
                stacklevel=3,
            )
        return len(killed)

    def _end_is_over(self):
        """One of the calls that end the server is done, and so are the handlers. Does not switch."""
        self._ends -= 1
        if not self._ends:
            self._over.set()

    def serve_forever(self, stop_timeout: float | None = None) -> None:
        """Start, and wait until it is stopped or closed. Switches. Leaving by an exception stops it.

        `stop_timeout`: seconds that handlers have to end then (float), unless whoever stops it has said how many.
        """
        self._check_thread()
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
            if self._ends:
                self._over.clear()
                self._over.wait()
            else:
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
