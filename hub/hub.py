"""The hub: one per thread, the greenlet that everything else runs under.

Its compiled parts stand in modules below, each a class that adds to the one before: `CallingHub`, `WaitingHub`,
`Scheduler`. What is not hot is added here: error handling, the end, and gevent's names. No class stands in between, as
greenlet looks through all of them at each switch to the hub, for its own.
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


_factories: dict[str, Callable[[Hub], Any]] = {}  # what the library on top makes for a hub, by attribute


def set_factory(name: str, factory: Callable[[Hub], Any]) -> None:
    """Say what makes the `threadpool` or the `resolver` of a hub: ``factory(hub)`` (internal)."""
    _factories[name] = factory


class Hub(Scheduler):
    """The greenlet that runs the event loop of one thread, starts greenlets and runs callbacks.

    ``get_hub()`` returns the current thread's. It is never called or switched to directly by most programs.
    """

    #: How a failing callback's context is put into words.
    format_context: Callable[[Any], str] = staticmethod(repr)

    #: How many threads `threadpool` may have.
    threadpool_size = 10

    _idents = count(1)

    def __init__(self) -> None:
        self.name = ""
        self.minimal_ident = next(Hub._idents)
        self._repeats = Repeats(self)
        super().__init__()
        callbacks.take_requests(self)
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
        return self._made("threadpool")

    @threadpool.setter
    def threadpool(self, pool: ThreadPool) -> None:
        self.__dict__["_threadpool"] = pool

    @property
    def resolver(self) -> Resolver:
        """What resolves names for this hub's greenlets; made on first use. May be replaced."""
        return self._made("resolver")

    @resolver.setter
    def resolver(self, resolver: Resolver) -> None:
        self.__dict__["_resolver"] = resolver

    def _made(self, name: str) -> Any:
        made = self.__dict__.get(f"_{name}")
        if made is None:
            if interpreter_ends():
                raise HubDestroyed(f"the interpreter is shutting down: no {name} can be made")
            made = self.__dict__[f"_{name}"] = _factories[name](self)
        return made

    # --- the end ---

    def join(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do: no greenlet is ready, and no timer, socket or handle is waited for.

        Main greenlet only. `timeout` in seconds, None for ever. Returns True when everything is done, False when the
        timeout passed first. Switches. Raises BlockingSwitchOutError on any other greenlet, and InvalidThreadUseError
        in another thread.
        """
        return ending.join(self, timeout)

    def destroy(self, destroy_loop: Any = None) -> None:
        """End every greenlet of this hub with HubDestroyed, close the loop, and forget the hub.

        Greenlets that have not begun never will. One that catches HubDestroyed again and again is given up, with a
        RuntimeWarning. The next get_hub() of the thread makes a new hub. A thread calls this by itself when it ends.
        A program may call it on the main greenlet of the hub's thread. A second call does nothing. `destroy_loop` is
        accepted for compatibility: the loop always goes with its hub.

        Switches to the greenlets that it ends. Raises BlockingSwitchOutError on any other greenlet,
        InvalidThreadUseError in another thread, and any exception that was thrown at the main greenlet and not raised
        there yet.
        """
        ending.destroy(self)

    def on_destroy(self) -> None:
        """The hub is about to close its loop: its resolver, and the threads of its pool, end (internal)."""
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
        """In a forked child: go on there, and tell the loop's fork watchers (internal)."""
        threads.go_on_in_child(self)
        signals.after_fork_in_child(self)
        self._repeats.forget()
        for watcher in list(self.loop.fork_watchers):
            self.run_callback(watcher.callback, *watcher.args)

    # --- errors ---

    def handle_error(
        self, context: object, type: type[BaseException], value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """What becomes of an exception that nobody caught: printed, or for SYSTEM_ERROR, thrown into the main greenlet.

        `context` is the greenlet or callback it came out of, or None. May be replaced on an instance.
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
        """Throw an exception into the main greenlet; it is raised there where that waits, or waits next."""
        self.throw_soon(self.principal or self.main, type, value, tb)

    def print_exception(
        self, context: object, type: type[BaseException], value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Print a traceback, then a line with the context that failed, to `exception_stream`.

        Of errors that are alike (see hub.repeats) only the first is printed in full within three seconds; then a line
        says how many came besides.
        """
        stream = self.exception_stream
        if stream is None:
            return
        if value is None:
            value = type()
        if self._repeats.counted(value, stream):
            return
        try:
            lines = traceback.format_exception(type, value, tb)
        except Exception as error:
            # It imports modules and reads files, for which there may be no descriptor left.
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
        """Let the hub run until something switches back to the current greenlet; return what it is switched with.

        For code that arranges its own wake-up with a callback, as with bare greenlets; `Wait` is the safer way.
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
        """The hub greenlet was asked to block: always an error."""
        raise BlockingSwitchOutError("a blocking function was called on the hub greenlet; spawn a greenlet for it")

    def wait(self, watcher: Watcher | child) -> None:
        """Wait until a watcher of this hub's loop fires. Switches; raises what is thrown in meanwhile."""
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

        `close_watcher`: close the watcher too. Raises TypeError if that is no watcher, or `error` no exception.
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


def _check_watcher(watcher, what):
    if not hasattr(watcher, "callback") or not hasattr(watcher, "stop"):
        raise TypeError(f"{what} takes a watcher of the loop, not {watcher!r}")


class Waiter:
    """A low-level place to meet: one greenlet calls get(), something else calls switch() or throw(), in any order.

    A value that comes first is kept. gevent's Waiter, on top of `Wait`. Compare `AsyncResult`, which any number
    of greenlets may wait for.
    """

    __slots__ = ["_exception", "_value", "_wait", "_woken", "hub"]

    def __init__(self, hub: Hub | None = None) -> None:
        self.hub = get_hub() if hub is None else hub
        self._wait: Wait | None = None
        self.clear()

    def clear(self) -> None:
        """Forget the value: the waiter is as new."""
        self._woken = False
        self._value: Any = None
        self._exception: BaseException | None = None

    def ready(self) -> bool:
        """Whether a value or an exception is there (bool)."""
        return self._woken

    def successful(self) -> bool:
        """Whether a value is there, and not an exception (bool)."""
        return self._woken and self._exception is None

    @property
    def exc_info(self) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
        """(type, value, traceback) of the exception that was thrown, or None."""
        error = self._exception
        return None if error is None else (type(error), error, error.__traceback__)

    def switch(self, value: Any = None) -> None:
        """Give a value. The greenlet in get() wakes with it; else it is kept. Does not switch."""
        self._woken, self._value = True, value
        if self._wait is not None:
            self._wait.wake()

    def switch_args(self, *args: Any) -> None:
        """Give a tuple."""
        self.switch(args)

    def throw(self, *throw_args: Any) -> None:
        """Give an exception: a class, an instance, or a triple. Does not switch."""
        kind, value, tb = (*throw_args, None, None)[:3]
        if isinstance(kind, type):
            kind = kind() if value is None else value if isinstance(value, BaseException) else kind(value)
        self._woken, self._exception = True, kind.with_traceback(tb) if tb is not None else kind
        if self._wait is not None:
            self._wait.wake()

    def get(self) -> Any:
        """Wait for the value and return it, or raise the exception. One greenlet at a time.

        Raises ConcurrentObjectUseError when another greenlet is waiting already.
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
        """As a link: give the source's value or exception."""
        if source.exception is None:
            self.switch(source.value)
        else:
            self.throw(source.exception)

    def __repr__(self) -> str:
        state = ("failed" if self._exception is not None else "ready") if self._woken else "empty"
        waiting = f" waited for by {self._wait.greenlet!r}" if self._wait is not None else ""
        return f"<{type(self).__name__} at {id(self):#x} {state}{waiting}>"


threads.set_hub_class(Hub)
