"""Native threads, for calls that cannot cooperate: ThreadPool and ThreadPoolExecutor.

Theory
    Tasks wait in a queue of ours, and the threads take them from there. The threads have no hub. A result is posted to
    the hub of the greenlet that asked for it and set there, so it wakes greenlets as any other result does.

    A thread keeps the queue alive, but not the pool. When the program has dropped a pool, its threads do the tasks that
    are left in the queue, and end.

Methods that wait say that they switch; the others do not switch.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import os
import sys
import weakref
from _thread import get_native_id
from contextlib import suppress

from hub.arguments import count_of, seconds_of
from hub.current import count_idle_thread, fork_count, get_hub, hub_if_any
from hub.errors import HubDestroyed
from hub.forks import in_child
from hub.generic import T
from hub.native import LibraryLock, get_ident
from hub.native import local as native_local

from greenio._sync.condition import Condition
from greenio._sync.semaphore import Semaphore
from greenio._tasks import pool_threads
from greenio._tasks.imap import Mapping, checked_call
from greenio._tasks.pool_threads import count_threads as count_threads
from greenio.event import AsyncResult, Event
from greenio.queue import Empty, SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Mapping as _Mapping
    from typing import Any, ParamSpec, TypeVar

    from hub.hub import Hub

    P = ParamSpec("P")
    S = TypeVar("S")

__all__ = ["ThreadPool", "ThreadPoolExecutor", "ThreadResult"]

_pools: weakref.WeakSet[ThreadPool] = weakref.WeakSet()
_executors: weakref.WeakSet[ThreadPoolExecutor] = weakref.WeakSet()


class ThreadResult(AsyncResult):
    """The result of a call in a thread: ThreadPool.spawn() returns it."""

    def __init__(self, hub: Hub | None) -> None:
        self.hub = hub

    def finish(self, value: Any, error: BaseException | None, context: object) -> None:
        """Take the result of the call. Called in the thread."""
        if self.hub is None:
            self._finish_here(value, error, None)
            return
        with suppress(HubDestroyed):  # the hub that asked for it is gone
            self.hub.run_callback_threadsafe(self._finish_here, value, error, context)

    def _finish_here(self, value, error, context):
        if self.hub is not None:
            self.hub.hold_loop(-1)
        if error is None:
            self.set(value)
        else:
            self.set_exception(error)
            if context is not None and self.hub is not None:
                self.hub.report(context, error)


class ThreadPool(Mapping):
    """Calls functions in up to `maxsize` (int) threads, while greenlets go on.

    Threads are started as they are needed. `idle_task_timeout` (seconds, float; -1 for never): a thread that has had
    nothing to do for so long ends. `hub` is accepted for compatibility: a result goes to the hub of the thread that
    made the call. May be used from any thread. After a fork the child's pool is empty: the tasks of the parent's
    threads are not done there.
    """

    def __init__(self, maxsize: int, hub: Hub | None = None, idle_task_timeout: float = -1) -> None:
        self._idle_timeout = None if seconds_of(idle_task_timeout) < 0 else idle_task_timeout
        self._maxsize = self._check(maxsize)
        self._begin()
        _pools.add(self)

    def __del__(self) -> None:
        if hasattr(self, "_done"):  # __init__() has not failed
            for _ in range(self.size):
                self.task_queue.put(pool_threads.END)

    @staticmethod
    def _check(maxsize):
        if not isinstance(maxsize, int):
            raise TypeError(f"maxsize must be an integer, not {maxsize!r}")
        if maxsize < 1:
            raise ValueError(f"maxsize must be 1 or more, and is {maxsize!r}")
        return maxsize

    def _begin(self):
        self.task_queue: SimpleQueue[Any] = SimpleQueue()
        self._free = Semaphore(self._maxsize)
        self._owed = 0  # places that a smaller maxsize takes away when they become free
        self._threads: set[int] = set()
        self._native_ids: set[int] = set()
        self._idle: set[int] = set()  # those of `_native_ids` that have no task, or have not taken it yet
        self._starting = 0  # threads that were started and are not in `_threads` yet
        self._to_end = 0  # threads that are to end: an END for each is in the queue
        self._unfinished = 0
        self._counts = LibraryLock()  # finalizers may come back here
        self._done = Event()
        self._done.set()

    def __len__(self) -> int:
        """How many tasks are unfinished."""
        return self._unfinished

    def __bool__(self) -> bool:
        return True

    def __contains__(self, greenlet: object) -> bool:
        """Whether the current thread is one of the pool's (bool), whichever greenlet is given."""
        return get_ident() in self._threads

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} at {id(self):#x} tasks={len(self)} size={self.size} maxsize={self.maxsize}, "
            f"{self._free.linkcount()} waiting to spawn>"
        )

    # --- threads ---

    @property
    def maxsize(self) -> int:
        """How many threads there may be (int). Assignable."""
        return self._maxsize

    @maxsize.setter
    def maxsize(self, value: int) -> None:
        difference = self._check(value) - self._maxsize
        self._maxsize = value
        if difference > 0:
            forgiven = min(difference, self._owed)
            self._owed -= forgiven
            if difference > forgiven:
                self._free.release(difference - forgiven)
        while difference < 0:
            if not self._free.acquire(False):
                self._owed += 1
            difference += 1
        self.adjust()

    @property
    def size(self) -> int:
        """How many threads there are (int). Assignable, up to `maxsize`: threads are started, or end after a task."""
        return len(self._threads) + self._starting - self._to_end

    @size.setter
    def size(self, value: int) -> None:
        if not 0 <= value <= self._maxsize:
            raise ValueError(f"the size must be between 0 and maxsize={self._maxsize}, and is {value!r}")
        while self.size < value:
            self._start_thread()
        while self.size > value:
            self._end_thread()

    def adjust(self) -> None:
        """Start threads until there is one for each task, up to `maxsize`; end threads beyond `maxsize`."""
        while self.size > self._maxsize:
            self._end_thread()
        while self.size < min(self._unfinished, self._maxsize):
            self._start_thread()

    def _start_thread(self):
        with self._counts:
            self._starting += 1
        try:
            pool_threads.start(self)
        except BaseException:
            with self._counts:
                self._starting -= 1
            raise

    def _end_thread(self):
        with self._counts:
            self._to_end += 1
        self.task_queue.put(pool_threads.END)

    def _thread_ends(self, took_end):
        with self._counts:
            self._threads.discard(get_ident())
            self._native_ids.discard(get_native_id())
            if took_end:
                self._to_end -= 1
            elif len(self.task_queue) and self.size < self._maxsize:
                # A task came just when the idle timeout of this thread had passed.
                self._start_thread()

    # --- tasks ---

    def _submit(self, result, report, func, args, kwargs, wait=True):
        taken = self._free.acquire(wait)
        with self._counts:
            self._owed += not taken
            self._unfinished += 1
        self._done.clear()
        if result.hub is not None:
            result.hub.hold_loop(1)
        task = (result, report, func, args, kwargs)
        count_idle_thread(-1)  # one thread is as good as busy from now on
        try:
            self._start_if_needed()
            self.task_queue.put(task)
            # A thread that was idle at the first check may have ended before the task came.
            self._start_if_needed()
        except RuntimeError:
            with suppress(ValueError):
                self.task_queue.queue.remove(task)
            count_idle_thread(1)
            self._task_done()
            if result.hub is not None:
                result.hub.hold_loop(-1)
            raise
        return result

    def _start_if_needed(self):
        """Start a thread if there are fewer than tasks. Raises RuntimeError if that is impossible and there is none."""
        with self._counts:
            if self.size < min(self._unfinished, self._maxsize):
                try:
                    self._start_thread()
                except RuntimeError:
                    if not self._threads and not self._starting:
                        raise

    def _task_done(self):
        with self._counts:
            self._unfinished -= 1
            last = self._unfinished == 0
            owed = self._owed > 0
            if owed:
                self._owed -= 1
        if not owed:
            self._free.release()
        if last:
            self._done.set()

    def spawn(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> ThreadResult:
        """Call ``func(*args, **kwargs)`` in a thread. Returns a ThreadResult, which gets the result of the call.

        If all threads are busy, waits until one is free: then it switches. An exception of the call is raised by the
        result's get(), and reported to ``hub.handle_error``. Raises TypeError if `func` cannot be called, RuntimeError
        if no thread can be started and there is none.
        """
        if not callable(func):
            raise TypeError(f"a thread must be given a callable, not {func!r}")
        return self._submit(ThreadResult(hub_if_any()), True, func, args, kwargs)

    def apply(
        self, func: Callable[..., T], args: Iterable[Any] | None = None, kwds: _Mapping[str, Any] | None = None
    ) -> T:
        """Call ``func(*args, **kwds)`` in a thread, and wait for it. Switches.

        Returns the function's result, or raises its exception. A thread of the pool calls the function itself.
        """
        args, kwds = checked_call(func, args, kwds, "apply")
        if self._is_member():
            return func(*args, **kwds)
        return self._submit(ThreadResult(hub_if_any()), False, func, args, kwds).get()

    def map(self, func: Callable[[S], T], iterable: Iterable[S]) -> list[T]:
        """Call ``func(item)`` in threads for each item. Returns the list of results, in order. Switches.

        If calls fail, the error of the first in order is raised; the others go on.
        """
        if self._is_member():
            return [func(item) for item in iterable]
        hub = hub_if_any()
        jobs = [self._submit(ThreadResult(hub), False, func, (item,), {}) for item in iterable]
        return [job.get() for job in jobs]

    def full(self) -> bool:
        """Whether all threads are busy (bool)."""
        return self._free.locked()

    # --- the end ---

    def join(self, timeout: float | None = None) -> bool:
        """Wait until all tasks are finished, at most `timeout` seconds (float; None for ever). Switches.

        Returns True, or False if the timeout passed first.
        """
        return self._done.wait(timeout)

    def kill(self) -> None:
        """End all threads; each finishes its task first. Does not wait. The pool may be used again."""
        self.size = 0


def native_ids() -> set[int]:
    """The system's identifiers of the threads of all pools (set of int)."""
    return {native_id for pool in list(_pools) for native_id in list(pool._native_ids)}


def idle_threads() -> set[int] | None:
    """The native ids of the threads of all pools that wait for a task, or None if one is about to get one."""
    found = set()
    for pool in list(_pools):
        if pool._starting:
            return None
        if pool._idle:
            if pool._unfinished > len(pool._native_ids) - len(pool._idle):
                return None
            found.update(list(pool._idle))
    return found


def living_pools() -> list[ThreadPool]:
    """The pools of the process: a list of ThreadPool."""
    return list(_pools)


def _after_fork_in_child():
    for pool in list(_pools):
        pool._begin()
    _executors.clear()  # their unfinished calls stay in the parent


in_child(_after_fork_in_child)


# --- the standard library's interface ---------------------------------------------------------------------------


class Future(concurrent.futures.Future[T]):
    """A future whose result() and exception() let other greenlets run, and that wait() and wait_any() accept."""

    def __init__(self) -> None:
        super().__init__()
        self._condition: Any = Condition()
        self._links: dict[Callable[[Any], object], list[list[bool]]] = {}

    def ready(self) -> bool:
        """Whether it is done (bool)."""
        return self.done()

    def successful(self) -> bool:
        """Whether it has a value (bool)."""
        return self.done() and not self.cancelled() and self.exception() is None

    def rawlink(self, callback: Callable[[Any], object]) -> None:
        """Call ``callback(self)`` on the hub of the current thread when it is done. The callback must not block.

        Does not switch.
        """
        # Not links of greenio._tasks.link_list: a thread without a hub calls these, and they hold the loop until then.
        hub = get_hub()
        links = self._links.setdefault(callback, [])
        entry = [True]
        links.append(entry)
        hub.hold_loop(1)

        def on_hub():
            hub.hold_loop(-1)
            if entry[0]:
                callback(self)

        def done(_future):
            with suppress(HubDestroyed):  # the hub that waited is gone
                hub.run_callback_threadsafe(on_hub)

        self.add_done_callback(done)

    def unlink(self, callback: Callable[[Any], object]) -> None:
        """Forget a callback that was given to rawlink(), if there is such a callback. Does not switch."""
        for entry in self._links.pop(callback, ()):
            entry[0] = False


class ThreadPoolExecutor(concurrent.futures.Executor):
    """`concurrent.futures.ThreadPoolExecutor` on a ThreadPool: waiting for its futures lets other greenlets run.

    `max_workers`: the number of threads (int). A call can be cancelled until it has begun. shutdown() really waits.
    ``concurrent.futures.wait`` and ``as_completed`` block the whole thread; ``greenio.wait`` and ``iwait`` do not.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        if max_workers is None:
            max_workers = min(32, (os.cpu_count() or 1) + 4)
        if count_of(max_workers, "max_workers") <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._max_workers = max_workers
        self._pool = ThreadPool(max_workers)
        self._waiting: SimpleQueue[Any] = SimpleQueue()  # calls that no thread has begun
        self._shutdown = False
        self._idle = Event()
        self._idle.set()
        self._unfinished = 0
        self._lock = LibraryLock()  # finalizers may come back here
        self._initializer = initializer
        self._initargs = initargs
        self._initialized = native_local()
        _executors.add(self)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call ``fn(*args, **kwargs)`` in a thread. Returns its future at once. Does not switch.

        Raises RuntimeError after shutdown().
        """
        future: Future[T] = Future()
        with self._lock:
            if self._shutdown:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._unfinished += 1
            self._idle.clear()
            # Under the lock: a thread that has just found no more calls has already counted its last one as done.
            self._waiting.put((future, fn, args, kwargs))
            begin = self._unfinished <= self._max_workers
        if begin:
            self._pool._submit(_Runner(), False, self._run_waiting, (), {}, wait=False)
        return future

    def _run_waiting(self):
        """In a thread: do the waiting calls, and end. After a fork in a call, the child does no others."""
        forks = fork_count()
        while fork_count() == forks:
            try:
                future, fn, args, kwargs = self._waiting.get_nowait()
            except Empty:
                return
            try:
                if future.set_running_or_notify_cancel():
                    self._run(future, fn, args, kwargs)
            finally:
                future = fn = args = kwargs = None
                if fork_count() == forks:
                    self._call_done()

    def _call_done(self):
        with self._lock:
            self._unfinished -= 1
            last = self._unfinished == 0
        if last:
            self._idle.set()

    def _run(self, future, fn, args, kwargs):
        try:
            if self._initializer is not None and not hasattr(self._initialized, "done"):
                self._initializer(*self._initargs)
                self._initialized.done = True
            value = fn(*args, **kwargs)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(value)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. `wait`: whether to wait until the submitted calls have finished, which switches.

        `cancel_futures`: whether to cancel the calls that have not begun.
        """
        with self._lock:
            self._shutdown = True
        if cancel_futures:
            while True:
                try:
                    future = self._waiting.get_nowait()[0]
                except Empty:
                    break
                future.cancel()
                future.set_running_or_notify_cancel()
                self._call_done()
        if wait:
            self._idle.wait()
        self._pool.kill()

    kill = shutdown


class _Runner:
    """In place of a ThreadResult, for an executor's tasks: no greenlet waits for a task, only for the futures."""

    __slots__ = ()

    hub = None

    def finish(self, value: object, error: BaseException | None, context: object) -> None:
        if error is not None:
            sys.excepthook(type(error), error, error.__traceback__)


def _finish():
    """For atexit: finish the submitted calls before the interpreter ends, as the standard executor does."""
    for executor in list(_executors):
        executor.shutdown()


atexit.register(_finish)
