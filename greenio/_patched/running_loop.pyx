"""asyncio in greenlets: each greenlet has a running loop, a current task and the settings of a loop of its own.

asyncio keeps the running loop and the current task by thread. CPython keeps two settings by thread: the hooks of
asynchronous generators, and whether coroutines note where they were made. A greenlet that waits inside a loop would
leave all of these to the other greenlets of its thread. Those would be taken for coroutines and could not run a loop of
their own, and their generators would go to a loop that closes too early. So this state is put aside while a greenlet
waits, and put back when it goes on. That costs nothing in threads in which no greenlet has set any of it.

The module is compiled so that no signal handler runs in the middle: one that raises would leave the work half done.
"""

from functools import partial, wraps
from sys import get_asyncgen_hooks, get_coroutine_origin_tracking_depth

from greenlet import getcurrent
from hub import get_hub, native
from hub.scheduler import be_fair

from greenio._patched.identity import at_end

__all__ = ["adapt", "let_others_run", "set_asyncgen_hooks", "set_coroutine_origin_tracking_depth"]

cdef object asyncio_c = None  # the module _asyncio, when asyncio has been imported
cdef object set_hooks = native.original("sys", "set_asyncgen_hooks")
cdef object set_depth = native.original("sys", "set_coroutine_origin_tracking_depth")


class _Runners:
    """The greenlets of one thread that run a loop, or have set the hooks or the depth."""

    def __init__(self):
        self._running = set()  # their ids
        self._aside = {}  # id of a waiting greenlet -> its states: a list, as it may wait while it begins to wait

    def changed(self):
        """Note that the current greenlet has begun or ended running a loop, or has set the hooks or the depth."""
        current = getcurrent()
        if _state() is not None:
            if not self._running:
                get_hub().observe(self._observe)
            if id(current) not in self._running:
                self._running.add(id(current))
                at_end(current, "running loop", partial(self._gone, id(current)))
        elif id(current) not in self._aside:  # it is there if a signal handler runs a loop in the middle of a wait
            self._discard(id(current))

    def _discard(self, key):
        if key in self._running:
            self._running.discard(key)
            if not self._running:
                get_hub().stop_observing(self._observe)

    def _gone(self, key):
        """Forget a greenlet that has ended or is collected. Clear the state that it has left: it is not for others."""
        state = _state()
        if state is not None and key == id(getcurrent()):
            _clear(state[0])
        self._aside.pop(key, None)
        self._discard(key)

    def _observe(self, returned):
        key = id(getcurrent())
        if returned:
            stack = self._aside.get(key)
            if stack:
                state = stack.pop()
                if not stack:
                    del self._aside[key]
                if state is not None:
                    _put_back(state)
            return
        state = _state()
        if state is not None:
            self._aside.setdefault(key, []).append((*state, _clear(state[0])))
        elif key in self._aside:
            self._aside[key].append(None)


cdef object _state():
    """The state of the current greenlet: (loop, hooks, depth), or None if nothing is set."""
    loop = None if asyncio_c is None else asyncio_c._get_running_loop()
    hooks = get_asyncgen_hooks()
    depth = get_coroutine_origin_tracking_depth()
    if loop is None and depth == 0 and hooks[0] is None and hooks[1] is None:
        return None
    return loop, hooks, depth


cdef object _clear(object loop):
    """Clear the state. Returns the loop's current task."""
    task = None
    if loop is not None:
        task = tasks.leave(loop)
        asyncio_c._set_running_loop(None)
    set_hooks(None, None)
    set_depth(0)
    return task


cdef int _put_back(tuple state) except -1:
    loop, hooks, depth, task = state
    if loop is not None:
        asyncio_c._set_running_loop(loop)
        if task is not None:
            tasks.enter(loop, task)
    set_hooks(*hooks)
    set_depth(depth)
    return 0


class _Tasks:
    """Takes the current task away from a loop, and puts it back."""

    def leave(self, loop):
        task = asyncio_c._current_tasks.get(loop)
        if task is not None:
            asyncio_c._leave_task(loop, task)
        return task

    def enter(self, loop, task):
        asyncio_c._enter_task(loop, task)


class _SwappedTasks(_Tasks):
    """The same for CPython 3.14, which has no dict of the current tasks any more."""

    def leave(self, loop):
        return asyncio_c._swap_current_task(loop, None)

    def enter(self, loop, task):
        asyncio_c._swap_current_task(loop, task)


cdef object tasks = None  # one of these


cdef int changed() except -1:
    hub = get_hub()
    runners = hub.__dict__.get("_running_loops")
    if runners is None:
        runners = hub.__dict__["_running_loops"] = _Runners()
    runners.changed()
    return 0


def set_asyncgen_hooks(*args, **kwargs):
    """As the function of `sys`, with its errors, for the current greenlet. Does not switch."""
    set_hooks(*args, **kwargs)
    changed()


def set_coroutine_origin_tracking_depth(depth):
    """As the function of `sys`, with its errors, for the current greenlet. Does not switch."""
    set_depth(depth)
    changed()


def let_others_run(base_events):
    """Let other greenlets run now and then beside a loop of asyncio.base_events whose selector never waits.

    The standard library's selectors do that themselves.
    """
    original = base_events.BaseEventLoop._run_once

    @wraps(original)
    def _run_once(self):
        be_fair()
        original(self)

    base_events.BaseEventLoop._run_once = _run_once


def adapt(events):
    """Let asyncio.events keep the running loop by greenlet, in every thread."""
    global asyncio_c, tasks
    import _asyncio

    asyncio_c = _asyncio
    tasks = _Tasks() if hasattr(_asyncio, "_current_tasks") else _SwappedTasks()
    original = events._set_running_loop

    def _set_running_loop(loop):
        original(loop)
        changed()

    events._set_running_loop = _set_running_loop
