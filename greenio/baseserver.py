"""The base class of all servers: a listener, a greenlet that accepts clients, and a handler for each of them.

Subclasses define how to listen and how to accept: see greenio.server.

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
from greenio._servers.handlers import Handlers
from greenio._servers.other_threads import call_in_hub
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

    Seconds = Literal["default"] | float | None  # the type of an argument; "default": the attribute of the class
    Spawn = Literal["default"] | int | Pool | Callable[..., object] | None

__all__ = ["BaseServer", "parse_address"]


class Draining(Event):
    """Whether a server is ending: an Event that is also true or false by itself (`if server.draining:`)."""

    def __bool__(self) -> bool:
        return self.is_set()


class BaseServer:
    """A server that accepts clients in one greenlet and handles each of them in another.

    `listener`: where it listens. An address: ``(host, port)``, "host:port", ":port", "[::1]:port", a port (all
    addresses), "unix:/path", "unix:@name" (Linux' abstract namespace). An inherited descriptor: "fd://3", or
    "systemd" and "systemd:NAME" for one that systemd has passed. Or a listening socket, which is then used as it is.
    `handle`: the function that is called for each client; a subclass may define the method `handle` instead.
    `spawn`: how a handler is started. "default": in a Greenlet of its own. A number: the same, but at most this many
    handlers run at a time. A callable: ``spawn(handler, *args)``. An object with a method `spawn`, such as a Pool.
    None: in the accepting greenlet, one handler after the other.
    `reuse_port`: whether other sockets of the same user may listen there as well (bool): the system spreads clients
    among them. Not for Unix sockets.
    `max_connections`: how many handlers may run at a time (int). While as many run, the server accepts nothing, and
    clients wait in the system. By default four fifths of the descriptors that the process may have when the server
    starts.
    `mode`: the permissions of a Unix socket's file (int).
    `stop_timeout`, `kill_timeout`: see the attributes.

    A server belongs to the thread that starts it. Another thread may call stop() and close(): they are carried out in
    the server's own thread, and the caller waits. In a ``with`` statement the server starts, and leaving stops it.
    """

    #: Seconds before accepting again after an error such as EMFILE; doubled each time, up to `max_delay`.
    min_delay: float = 0.01
    max_delay: float = 1
    #: How many clients are accepted before other greenlets have a turn.
    max_accept: int = 100
    #: Seconds that stop() gives running handlers before they are killed; None for ever. Also an argument.
    stop_timeout: float | None = 1
    #: Seconds that killed handlers have to end; None for ever. Also an argument.
    kill_timeout: float | None = 1
    #: Errors of the listener that end the server.
    fatal_errors: tuple[int, ...] = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)
    #: The type of the listening socket.
    _kind = _standard.SOCK_STREAM
    #: How many clients may wait in the system to be accepted.
    _backlog_limit = 4096

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
        #: An Event that is set while the server ends. Handlers may wait for it, and `if server.draining:` works too.
        self.draining = Draining()
        self.reuse_port = reuse_port
        if max_connections is not None and count_of(max_connections, "max_connections") <= 0:
            raise ValueError(f"a server must be allowed at least one connection at a time, not {max_connections}")
        self.max_connections = max_connections
        if not 0 <= count_of(mode, "mode") <= 0o777:
            raise ValueError(f"mode must be from 0 to 0o777, not {mode!r}")
        self.mode = mode
        self._set_times(stop_timeout=stop_timeout, kill_timeout=kill_timeout)
        self._hub: Hub | None = None  # the hub of the thread that has started the server
        self._owns_socket = True
        self._path: UnixPath | None = None
        self._acceptor: Greenlet | None = None
        self._stopped = False
        self._finished: list[Wait] = []
        self._ends_under_way = 0  # how many calls of stop() and close() are under way
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

    def _set_times(self, **times):
        """Set the attributes of these names to times that were arguments. Raises TypeError or ValueError."""
        for name, value in times.items():
            if value != "default":
                setattr(self, name, seconds_or_none(value, name))

    def _check_times(self):
        """Check times that a subclass or the program has set as attributes. Raises TypeError or ValueError."""
        self._set_times(**{name: getattr(self, name) for name in self._times})
        for name in ("min_delay", "max_delay"):
            seconds = seconds_or_none(getattr(self, name), name)
            setattr(self, name, FOR_EVER if seconds is None else seconds)

    def set_listener(self, listener: Address | Listener) -> None:
        """Set where the server listens: see the class. Raises TypeError or ValueError. Does not switch."""
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
                # Only a socket of ours lets other greenlets run. The caller's object keeps its own descriptor.
                sock = socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))
                self._owns_socket = True
            self.socket = sock
            sock.settimeout(None)
        else:
            self.family, self.address = parse_address(listener)

    def set_spawn(self, spawn: Spawn) -> None:
        """Set how handlers are started: see the class. Raises TypeError or ValueError. Does not switch."""
        self._places.set_spawn(spawn)

    @property
    def pool(self) -> Pool | None:
        """The pool in which handlers are started, or None."""
        return self._places.pool

    def set_handle(self, handle: Callable[..., object] | None) -> None:
        """Set the function that handles a client; None leaves the method `handle`.

        Raises TypeError if it is not callable. Does not switch.
        """
        if handle is not None:
            if not callable(handle):
                raise TypeError(f"a handler must be callable, not {handle!r}")
            self.handle = handle

    # --- handlers ---

    def full(self) -> bool:
        """Whether as many handlers run as are allowed (bool). Does not switch."""
        return self._places.full()

    def do_handle(self, *args: Any) -> None:
        """Start a handler for a client. `args`: what do_read() has returned. Switches if `spawn` does."""
        spawn = self._places.spawn
        if spawn is None:
            self._handle_here(args)
        else:
            try:
                started = spawn(self._run_handler, *args)
            except BaseException:
                self.do_close(*args)
                raise
            self._handlers.add_spawned(started, args)

    def _handle_here(self, args):
        """Run a handler in the accepting greenlet, which goes on however the handler ends."""
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
        self._handlers.add_current()
        try:
            self.handle(*args)  # type: ignore[misc]  # start() has checked that it is not None
        finally:
            self._handlers.remove_current()
            self._places.place_is_free()
            self.do_close(*args)

    def do_close(self, *args: Any) -> None:
        """Release what do_read() has returned, such as a socket. Called when the handler has ended in whatever way."""

    # --- accepting ---

    def init_socket(self) -> None:
        """Make the listening socket, unless there is one. Called by start()."""

    def _bind(self, sock):
        """Bind a new socket to this server's address. The server owns a Unix socket's file. Raises OSError."""
        if self.family == _standard.AF_UNIX and not self.address.startswith("\0"):
            path = UnixPath(self.address, self.mode)
            path.bind(sock)
            self._path = path
        else:
            sock.bind(self.address)

    #: The counters of a worker process, in memory that it shares with its supervisor: see greenio._servers.counts.
    _numbers: memoryview | None = None

    def _become_worker(self, sock: socket, shared: bool, numbers: memoryview) -> None:
        """Become one of several processes that serve the same address. Called before start(). Does not switch.

        `sock`: the listening socket. `shared`: whether the other processes have the same socket, and not one each.
        `numbers`: where this process counts what it does, see greenio._servers.counts.
        """
        self.socket = sock
        self.family, self.address = sock.family, sock.getsockname()
        self._owns_socket = True  # closing it does not concern other processes, which have their own descriptors
        self._numbers = numbers
        if shared:
            self.max_accept = 1

    def do_read(self) -> tuple[Any, ...] | None:
        """Accept one client that is there already. Does not switch.

        Returns the arguments of its handler (tuple), or None if no client is there.
        """
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
        """Accept until no client is there any more (returns False), or other greenlets should have a turn (True)."""
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
        """Accept no more clients. Handlers go on. Does not switch."""
        acceptor, self._acceptor = self._acceptor, None
        # With spawn=None the acceptor may be in the middle of a handler. It ends by itself after the handler.
        if acceptor is not None and acceptor is not getcurrent() and acceptor not in self._handlers.running:
            acceptor.kill(block=False)

    # --- starting and stopping ---

    @property
    def started(self) -> bool:
        """Whether the server accepts clients (bool)."""
        return self._acceptor is not None

    @property
    def closed(self) -> bool:
        """Whether the server was stopped or closed, and has no listener any more (bool)."""
        return self._stopped and self.socket is None

    @property
    def server_host(self) -> str | None:
        """The host on which the server listens (str); None for a Unix socket."""
        return self.address[0] if isinstance(self.address, tuple) else None

    @property
    def server_port(self) -> int | None:
        """The port on which the server listens (int); None for a Unix socket."""
        return self.address[1] if isinstance(self.address, tuple) else None

    def start(self) -> None:
        """Listen, and accept clients in a greenlet of its own. Does nothing if the server is started already.

        Switches only to look up a host's name, or to make a Unix socket's file.
        Raises OSError if it cannot listen, TypeError if there is no handler, InvalidThreadUseError if the server runs
        in another thread, and TypeError or ValueError if an attribute such as `stop_timeout` is not a time.
        """
        self._check_thread()
        self._check_handler()
        self._check_times()
        self.init_socket()
        self._hub = get_hub()
        if self._ends_under_way:
            self._handlers.begin_run()
        self._stopped = False
        self.draining.clear()
        self._places.set_max_connections(self.max_connections)
        try:
            self.start_accepting()
        except BaseException:
            self.close()
            raise

    def _runs_in_another_thread(self):
        """Whether the server, or one of its handlers, runs in a thread other than this one."""
        hub = self._hub
        if hub is None or hub is get_hub_if_exists() or hub.destroyed:
            return False
        return bool(self.started or self._ends_under_way or self._handlers.running)

    def _check_thread(self):
        if self._runs_in_another_thread():
            raise InvalidThreadUseError(f"{self!r} runs in another thread: stop it before you start it here")

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
                self._release_socket(sock)
            finished, self._finished = self._finished, []
            for wait in finished:
                wait.wake()

    def _release_socket(self, sock):
        """Close a socket on which the server does not listen any more, if the server owns it. Does not switch."""
        if self._owns_socket:
            sock.close()

    def close(self) -> None:
        """Stop listening, and kill all handlers at once. None of them runs when close() returns. Switches.

        A handler that calls close() itself goes on. In a callback, on the hub greenlet, close() does not wait for the
        handlers to end. Another thread may call it.
        """
        if self._runs_in_another_thread() and call_in_hub(self._hub, self.close) is not None:  # type: ignore[arg-type]
            return
        self._ends_under_way += 1
        run = self._handlers.begin_ending()
        try:
            self._close_listener()
            self._kill_handlers(run)
        finally:
            self._handlers.finish_ending()
            self._one_end_is_done()

    def stop(self, timeout: float | None = None, *, drain: float | None = None) -> int:
        """Stop listening, let the handlers finish, and kill those that take too long. Switches.

        Returns how many handlers were killed (int).
        `timeout`: the seconds that handlers have to finish (float; infinity: no limit); by default `stop_timeout`. If
        handlers are started in a pool, everything in that pool is waited for and then killed.
        `drain`: the same seconds, but no client is turned away. `draining` is set, so that handlers can finish early.
        Idle connections are closed (a subclass knows which). Clients that have connected already are still accepted,
        as soon as there is room.
        A handler that calls stop() does not wait for itself, nor for other handlers that call it. If the server is
        started again meanwhile, the new handlers go on. Another thread may call it. Raises TypeError if both
        arguments are given, and TypeError or ValueError if one is not a time.
        """
        if drain is not None and timeout is not None:
            raise TypeError("give stop() either timeout or drain")
        seconds: float | None
        if drain is not None:
            seconds = seconds_or_none(drain, "drain", past_is_now=True)
        else:
            seconds = seconds_or_none(self.stop_timeout if timeout is None else timeout, "timeout", past_is_now=True)
        if self._runs_in_another_thread():
            killed = call_in_hub(self._hub, self.stop, timeout=timeout, drain=drain)  # type: ignore[arg-type]
            if killed is not None:
                return killed
        self._ends_under_way += 1
        run = self._handlers.begin_ending()
        try:
            end = None if seconds is None else monotonic() + seconds
            if drain is not None and self.started:
                self.draining.set()
                self.close_idle()
                self.stop_accepting()
                accepting = Greenlet.spawn(self._accept_backlog)
                accepting.join(seconds)
                if accepting not in self._handlers.running:
                    accepting.kill()
            if run == self._handlers.run:  # otherwise the server was started again meanwhile
                self._close_listener()
            if drain is None and self.pool is not None:
                self.pool.join(timeout=seconds)
            self._handlers.wait(None if end is None else end - monotonic(), run)
            killed = self._kill_handlers(run)
            if self.pool is not None and drain is None and run == self._handlers.run:
                self._kill_pool(self.pool)
            return killed
        finally:
            self._handlers.finish_ending()
            self._one_end_is_done()

    def _accept_backlog(self):
        """Accept clients that have connected already, as soon as there is room: closing the listener would reset them.

        New clients arrive meanwhile. So that this ends, it accepts no more than the system holds ready.
        """
        left = self._backlog_limit
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
        """End the handlers that have nothing to do at the moment. Called when draining begins.

        Does nothing: a subclass that knows which handlers are idle overrides it.
        """

    def _kill_pool(self, pool):
        threads = sys.modules.get("greenio.threadpool")
        if threads is not None and isinstance(pool, threads.ThreadPool):
            pool.kill()  # takes no timeout: a task that runs in a thread cannot be killed
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

    def _one_end_is_done(self):
        """Note that one call of stop() or close() is done. Does not switch."""
        self._ends_under_way -= 1
        if not self._ends_under_way:
            self._over.set()

    def serve_forever(self, stop_timeout: float | None = None) -> None:
        """Start the server, and wait until it is stopped or closed. Switches.

        An exception meanwhile, such as KeyboardInterrupt, stops the server and is raised. `stop_timeout`: the seconds
        that handlers have to finish (float) when such an exception, or an error of the listener, ends the server; by
        default the attribute. Raises what start() raises.
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
            if self._ends_under_way:
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
