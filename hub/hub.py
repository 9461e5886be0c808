"""The hub: the greenlet of each thread that starts all others and runs the loop.

Its compiled parts stand in modules below, each a class that adds to the one before: `CallingHub`, `WaitingHub`,
`Scheduler`. The parts that are not hot stand here: error handling, the end, and gevent's names. There are no more
classes than these, because greenlet searches all of them for its own at each switch to the hub.
"""

from __future__ import annotations

import sys
import traceback
from itertools import count

from hub import callbacks, ending, signals, threads
from hub.current import get_hub, get_hub_if_exists, interpreter_ends
from hub.errors import BlockingSwitchOutError, ConcurrentObjectUseError, HubDestroyed
from hub.event_loop import EventLoop
from hub.repeats import Repeats
from hub.report import safely
from hub.scheduler import Scheduler, sleep
from hub.waits import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from hub.event_loop import child
    from hub.protocols import Resolver, Stream, ThreadPool
    from hub.watchers import Watcher

__all__ = ["Hub", "Waiter", "get_hub", "get_hub_if_exists", "sleep"]


_factories: dict[str, Callable[[Hub], Any]] = {}  # attribute -> the function of the library on top that makes it


def set_factory(name: str, factory: Callable[[Hub], Any]) -> None:
    """Set the function that makes the `threadpool` or the `resolver` of a hub, ``factory(hub)`` (internal)."""
    _factories[name] = factory


class Hub(Scheduler):
    """The greenlet that runs the event loop of one thread, starts greenlets and runs callbacks.

    ``get_hub()`` returns the current thread's hub. Most programs never call it or switch to it. Methods that wait say
    that they switch; the others do not switch.
    """

    #: A function that puts the context of an error, such as a callback, into words.
    format_context: Callable[[Any], str] = staticmethod(repr)

    #: How many threads `threadpool` may have.
    threadpool_size = 10

    _idents = count(1)

    def __init__(self) -> None:
        self.name = ""
        self.minimal_ident = next(Hub._idents)
        self._repeats = Repeats(self)
        super().__init__()
        callbacks.open_inbox(self)
        signals.handle_signals(self)

    if TYPE_CHECKING:

        @property
        def loop(self) -> EventLoop: ...

    def make_loop(self, default: bool) -> EventLoop:
        """Make the loop of a new hub (internal)."""
        return EventLoop(self, default)

    @property
    def threadpool(self) -> ThreadPool:
        """The hub's thread pool, for calls that cannot cooperate; made on first use."""
        return self._get_or_make("threadpool")

    @threadpool.setter
    def threadpool(self, pool: ThreadPool) -> None:
        self.__dict__["_threadpool"] = pool

    @property
    def resolver(self) -> Resolver:
        """The resolver of names for this hub's greenlets; made on first use. May be replaced."""
        return self._get_or_make("resolver")

    @resolver.setter
    def resolver(self, resolver: Resolver) -> None:
        self.__dict__["_resolver"] = resolver

    def _get_or_make(self, name: str) -> Any:
        made = self.__dict__.get(f"_{name}")
        if made is None:
            if interpreter_ends():
                raise HubDestroyed(f"the interpreter is shutting down: no {name} can be made")
            made = self.__dict__[f"_{name}"] = _factories[name](self)
        return made

    # --- the end ---

    def join(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do: no greenlet is ready, and no timer, socket or handle keeps the loop alive.

        `timeout` in seconds (float), None for ever. Returns True when everything is done, False if the timeout passed
        first. Switches. Raises BlockingSwitchOutError on any greenlet but the main one, InvalidThreadUseError in
        another thread.
        """
        return ending.join(self, timeout)

    def destroy(self, destroy_loop: Any = None) -> None:
        """End every greenlet of this hub with HubDestroyed, close the loop, and forget the hub.

        Greenlets that have not begun never begin. A greenlet that catches HubDestroyed again and again is given up,
        with a RuntimeWarning. The next get_hub() of the thread makes a new hub. A thread calls this by itself when it
        ends. A program may call it on the main greenlet of the hub's thread. A second call does nothing. `destroy_loop`
        is accepted for compatibility: the loop always ends with its hub.

        Switches to the greenlets that it ends. Raises BlockingSwitchOutError on any greenlet but the main one,
        InvalidThreadUseError in another thread, and any exception that was thrown at the main greenlet and not raised
        there yet.
        """
        ending.destroy(self)

    def on_destroy(self) -> None:
        """Close the resolver, and end the threads of the pool: the hub is about to close its loop (internal)."""
        self._repeats.tell_rest()
        resolver = self.__dict__.pop("_resolver", None)
        if resolver is not None:
            resolver.close()
        pool = self.__dict__.pop("_threadpool", None)
        if pool is not None:
            pool.kill()

    @property
    def exception_stream(self) -> Stream | None:
        """Where errors are printed: a file object, or None for silence. `sys.stderr` unless assigned to."""
        return self.__dict__.get("_exception_stream", sys.stderr)

    @exception_stream.setter
    def exception_stream(self, stream: Stream | None) -> None:
        self.__dict__["_exception_stream"] = stream

    def after_fork_in_child(self) -> None:
        """In a forked child: go on with this hub, and let the loop's fork watchers fire (internal)."""
        threads.go_on_in_child(self)
        signals.after_fork_in_child(self)
        self._repeats.forget()
        for watcher in list(self.loop.fork_watchers):
            self.run_callback(watcher.callback, *watcher.args)

    # --- errors ---

    def handle_error(
        self, context: object, type: type[BaseException], value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Deal with an exception that nobody caught. May be replaced on an instance. Does not switch.

        It is printed to `exception_stream`, unless it is one of NOT_ERROR. If it is one of SYSTEM_ERROR, or if
        `context` is None, it is thrown into the main greenlet as well.

        `context`: the greenlet, callback or other object that failed, or None. `type`, `value`, `tb`: the exception.
        """
        try:
            if not issubclass(type, self.NOT_ERROR):
                self.print_exception(context, type, value, tb)
        finally:
            if context is None or issubclass(type, self.SYSTEM_ERROR):
                self.handle_system_error(type, value, tb)

    def handle_system_error(
        self, type: type[BaseException], value: BaseException | None, tb: TracebackType | None = None
    ) -> None:
        """Throw an exception into the main greenlet: it is raised in the wait there, or in the next one."""
        self.throw_soon(self.principal or self.main, type, value, tb)

    def print_exception(
        self, context: object, type: type[BaseException], value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Print a traceback, then a line with the context that failed, to `exception_stream`.

        Of errors that are alike (see hub.repeats), only the first is printed in full within three seconds. Then one
        line says how many more have come.
        """
        stream = self.exception_stream
        if stream is None:
            return
        if value is None:
            value = type()
        if self._repeats.count_if_repeated(value, stream):
            return
        try:
            lines = traceback.format_exception(type, value, tb)
        except Exception as error:
            # format_exception() imports modules and reads files, for which there may be no descriptor left.
            lines = [f"{type.__name__}: {safely(str, value)} (without its traceback: {error!r})\n"]
        if context is not None:
            text = context if isinstance(context, str) else safely(self.format_context, context)
            spawned = getattr(context, "format_spawn", None)
            where = f", spawned at {spawned()}" if spawned is not None and spawned() else ""
            lines.append(f"{text} failed with {type.__name__}{where}\n\n")
        stream.write("".join(lines))
        flush = getattr(stream, "flush", None)
        if flush is not None:
            flush()

    # --- waiting the way gevent's users do ---

    def switch(self) -> Any:
        """Let the hub run until something switches back to the current greenlet. Returns that switch's value. Switches.

        For code that arranges its own wake-up with a callback, as with bare greenlets. `Wait` is the safer way.
        """
        import greenlet

        current = greenlet.getcurrent()
        if current is self:
            self.switch_out()
        switch_out = getattr(current, "switch_out", None)
        if switch_out is not None:
            switch_out()
        return greenlet.greenlet.switch(self)

    def switch_out(self) -> None:
        """Raise BlockingSwitchOutError: the hub greenlet cannot block."""
        raise BlockingSwitchOutError("a blocking function was called on the hub greenlet; spawn a greenlet for it")

    def wait(self, watcher: Watcher | child) -> None:
        """Wait until a watcher of this hub's loop fires. Switches.

        Raises exceptions that are thrown into the greenlet meanwhile, ConcurrentObjectUseError if the watcher has a
        callback already, TypeError if `watcher` is not a watcher.
        """
        _check_watcher(watcher, "wait()")
        wait = Wait(watcher)
        if watcher.callback is not None:
            raise ConcurrentObjectUseError(f"{watcher!r} is already waited for, or has a callback of its own")
        watcher.start(wait.wake)
        try:
            wait.park()
        finally:
            watcher.stop()

    def cancel_wait(
        self, watcher: Watcher | child, error: BaseException | type[BaseException], close_watcher: bool = False
    ) -> None:
        """Raise `error` in the greenlet that waits for a watcher, if one does. Does not switch.

        `error`: an exception, or a class. `close_watcher`: whether to close the watcher, too (bool). Raises TypeError
        if `watcher` is not a watcher, or `error` not an exception.
        """
        _check_watcher(watcher, "cancel_wait()")
        if not isinstance(error, BaseException) and not (isinstance(error, type) and issubclass(error, BaseException)):
            raise TypeError(f"cancel_wait() raises an exception, which {error!r} is not")
        for wait in self.parked_waits():
            if wait.what is watcher:
                wait.throw(error)
        if close_watcher:
            watcher.close()

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        state = " destroyed" if self.destroyed else ""
        return f"<{type(self).__name__}{name} at {id(self):#x}{state} thread={self.thread_ident:#x}>"


def _check_watcher(watcher, function):
    if not hasattr(watcher, "callback") or not hasattr(watcher, "stop"):
        raise TypeError(f"{function} takes a watcher of the loop, not {watcher!r}")


class Waiter:
    """Hands one value or exception to one greenlet: gevent's low-level Waiter, on top of `Wait`.

    The greenlet calls get(). Other code calls switch() or throw(), before or after that; the value is kept until then.
    Any number of greenlets may wait for an `AsyncResult` instead.

    `hub`: kept as an attribute; by default the current thread's. get() switches; the other methods do not.
    """

    __slots__ = ["_exception", "_value", "_wait", "_woken", "hub"]

    def __init__(self, hub: Hub | None = None) -> None:
        self.hub = get_hub() if hub is None else hub
        self._wait: Wait | None = None
        self.clear()

    def clear(self) -> None:
        """Forget the value or exception: the waiter can be used again."""
        self._woken = False
        self._value: Any = None
        self._exception: BaseException | None = None

    def ready(self) -> bool:
        """Whether a value or an exception has been given (bool)."""
        return self._woken

    def successful(self) -> bool:
        """Whether a value has been given, and not an exception (bool)."""
        return self._woken and self._exception is None

    @property
    def exc_info(self) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
        """The exception that was given, as (type, value, traceback), or None."""
        error = self._exception
        return None if error is None else (type(error), error, error.__traceback__)

    def switch(self, value: Any = None) -> None:
        """Give a value: get() returns it. Does not switch."""
        self._woken, self._value = True, value
        if self._wait is not None:
            self._wait.wake()

    def switch_args(self, *args: Any) -> None:
        """Give the arguments as a tuple: get() returns it. Does not switch."""
        self.switch(args)

    def throw(self, *throw_args: Any) -> None:
        """Give an exception (a class, an instance, or a triple): get() raises it. Does not switch."""
        kind, value, tb = (*throw_args, None, None)[:3]
        if isinstance(kind, type):
            kind = kind() if value is None else value if isinstance(value, BaseException) else kind(value)
        self._woken, self._exception = True, kind.with_traceback(tb) if tb is not None else kind
        if self._wait is not None:
            self._wait.wake()

    def get(self) -> Any:
        """Wait for the value and return it, or raise the exception. Switches, unless one has been given.

        Raises ConcurrentObjectUseError if another greenlet waits already.
        """
        if not self._woken:
            if self._wait is not None:
                raise ConcurrentObjectUseError(f"{self!r} is already waited for by {self._wait.greenlet!r}")
            self._wait = Wait(self)
            try:
                self._wait.park()
            finally:
                self._wait = None
        if self._exception is not None:
            raise self._exception
        return self._value

    def __call__(self, source: Any) -> None:
        """Give the value or exception of `source`, such as a greenlet that has ended: a Waiter can be a link."""
        if source.exception is None:
            self.switch(source.value)
        else:
            self.throw(source.exception)

    def __repr__(self) -> str:
        state = ("failed" if self._exception is not None else "ready") if self._woken else "empty"
        waiting = f" waited for by {self._wait.greenlet!r}" if self._wait is not None else ""
        return f"<{type(self).__name__} at {id(self):#x} {state}{waiting}>"


threads.set_hub_class(Hub)
