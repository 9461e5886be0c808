"""The native threads of thread pools, and their number in the whole process.

Theory
    A thread takes tasks from its pool's queue until it takes END, or until the pool's idle timeout passes without a
    task. It keeps the queue alive but not the pool, so that a pool which nobody uses any more can go.

What does not belong here: how many threads a pool has (greenio.threadpool).
"""

from __future__ import annotations

import sys
import threading
import weakref
from _thread import get_native_id

from hub.current import count_idle_thread, fork_count, get_hub_if_exists
from hub.forks import in_child
from hub.native import get_ident, start_new_thread

from greenio.queue import Empty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["END", "count_threads", "start"]

# One entry for each thread of all pools: a count that append() and pop() change without a lock.
_threads: list[int] = []

#: A thread that takes this from the queue ends.
END = object()


def start(pool: Any) -> None:
    """Start a thread for a pool. Raises RuntimeError if that is impossible. Does not switch."""
    count_idle_thread(1)
    _threads.append(1)
    try:
        start_new_thread(_begin, ([pool],))
    except BaseException:
        count_idle_thread(-1)
        _threads.pop()
        raise


def _begin(box):
    """The main function of a thread. The pool comes in a list, and is taken out: the thread must not keep it alive."""
    pool = box.pop()
    with pool._counts:
        pool._threads.add(get_ident())
        pool._native_ids.add(get_native_id())
        pool._starting -= 1
    reference, tasks, idle_timeout, idle = weakref.ref(pool), pool.task_queue, pool._idle_timeout, pool._idle
    pool = None
    _work(reference, tasks, idle_timeout, idle)


def _work(pool_reference, tasks, idle_timeout, idle):
    """Do tasks until END, or until none has come for `idle_timeout` seconds. `idle`: the threads that wait for one."""
    took_end = False
    forks = fork_count()
    thread = get_native_id()
    try:
        while True:
            idle.add(thread)
            try:
                task = tasks.get(True, idle_timeout)
            except Empty:
                break
            finally:
                idle.discard(thread)
            if task is END:
                took_end = True
                break
            _do(pool_reference, *task)
            task = None
            if fork_count() != forks:
                return  # the task has forked; this is the only thread of the child, which ends with it
            hub = get_hub_if_exists()
            if hub is not None:
                hub.destroy()  # the task made it
    finally:
        if fork_count() == forks:
            _end(pool_reference(), took_end)


def _end(pool, took_end):
    count_idle_thread(-1)
    _threads.pop()
    if pool is not None:
        pool._thread_ends(took_end)


def _do(pool_reference, result, report, func, args, kwargs):
    profile, trace = threading.getprofile(), threading.gettrace()
    value = error = None
    forks = fork_count()
    try:
        if profile is not None:
            sys.setprofile(profile)
        if trace is not None:
            sys.settrace(trace)
        value = func(*args, **kwargs)
    except BaseException as failure:
        error = failure
    finally:
        if profile is not None:
            sys.setprofile(None)
        if trace is not None:
            sys.settrace(None)
    if fork_count() != forks:  # the task has forked; the greenlets that wait for its result are in the parent
        if error is not None:
            sys.excepthook(type(error), error, error.__traceback__)
        return
    pool = pool_reference()
    context = (pool, func) if report and error is not None else None
    if pool is not None:
        pool._task_done()
    pool = None
    result.finish(value, error, context)
    count_idle_thread(1)


def count_threads() -> int:
    """How many threads all pools of the process have (int)."""
    return len(_threads)


in_child(_threads.clear)
