"""What the threads of thread pools do, and how many there are.

Theory
    A thread takes tasks from its pool's queue until it is told to end, or nothing has come for a while. It keeps the
    queue alive, and not the pool.

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

# One entry for each thread of all pools.
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
    """The first that a thread of a pool does. The pool is in a box, as it must not be kept alive by the thread."""
    pool = box.pop()
    with pool._counts:
        pool._threads.add(get_ident())
        pool._native_ids.add(get_native_id())
        pool._starting -= 1
    reference, tasks, idle_timeout, idle = weakref.ref(pool), pool.task_queue, pool._idle_timeout, pool._idle
    pool = None
    _work(reference, tasks, idle_timeout, idle)


def _work(pool, tasks, idle_timeout, idle):
    """What a thread of a pool does."""
    told = False
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
                told = True
                break
            _do(pool, *task)
            task = None
            if fork_count() != forks:
                return  # a child that the task has forked, and whose only thread this is: it ends with it
            hub = get_hub_if_exists()
            if hub is not None:
                hub.destroy()  # which the task made
    finally:
        if fork_count() == forks:
            _end(pool(), told)


def _end(owner, told):
    count_idle_thread(-1)
    _threads.pop()
    if owner is not None:
        owner._thread_ends(told)


def _do(pool, result, report, func, args, kwargs):
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
    if fork_count() != forks:  # it has forked: the greenlets that wait for it are in the parent
        if error is not None:
            sys.excepthook(type(error), error, error.__traceback__)
        return
    owner = pool()
    context = (owner, func) if report and error is not None else None
    if owner is not None:
        owner._task_done()
    owner = None
    result.finish(value, error, context)
    count_idle_thread(1)


def count_threads() -> int:
    """How many threads all pools of the process have (int)."""
    return len(_threads)


in_child(_threads.clear)
