"""asyncio in greenlets: each has a running loop, and a current task, of its own.

asyncio keeps the loop that runs, and the task, by thread. A greenlet that waits inside of one would leave them to all
others of its thread, which then cannot run a loop of their own and are taken for coroutines. So they are put aside
while a greenlet waits, and put back when it goes on. That costs nothing in threads in which no loop runs.

It is compiled so that no signal handler comes in between: one that raises would leave it half done.
"""

import _asyncio
from functools import wraps

from greenlet import getcurrent
from hub import get_hub
from hub.scheduler import be_fair

__all__ = ["adapt", "let_others_run"]


class _Runners:
    """The greenlets of one thread in which a loop runs."""

    def __init__(self, set_running_loop, tasks):
        self._set = set_running_loop
        self._tasks = tasks
        self._running = set()
        self._aside = {}  # a greenlet that waits -> what was put aside: a list, as it may wait while it begins to wait

    def changed(self, loop):
        """The current greenlet has begun to run a loop, or (None) has stopped."""
        current = getcurrent()
        if loop is not None:
            if not self._running:
                get_hub().observe(self._observe)
            self._running.add(current)
        elif current in self._running:
            self._running.discard(current)
            if not self._running:
                get_hub().observe_no_more(self._observe)

    def _observe(self, returned):
        current = getcurrent()
        if returned:
            stack = self._aside.get(current)
            if stack:
                state = stack.pop()
                if not stack:
                    del self._aside[current]
                if state is not None:
                    loop, task = state
                    self._set(loop)
                    if task is not None:
                        self._tasks.enter(loop, task)
            return
        loop = _asyncio._get_running_loop()
        if loop is not None:
            task = self._tasks.leave(loop)
            self._set(None)
            self._aside.setdefault(current, []).append((loop, task))
        elif current in self._aside:
            self._aside[current].append(None)


class _Tasks:
    """The current task of a loop, taken away and put back."""

    def leave(self, loop):
        task = _asyncio._current_tasks.get(loop)
        if task is not None:
            _asyncio._leave_task(loop, task)
        return task

    def enter(self, loop, task):
        _asyncio._enter_task(loop, task)


class _SwappedTasks(_Tasks):
    """The same where there is no dict of the current tasks any more (CPython 3.14)."""

    def leave(self, loop):
        return _asyncio._swap_current_task(loop, None)

    def enter(self, loop, task):
        _asyncio._swap_current_task(loop, task)


def let_others_run(base_events):
    """Let other greenlets run now and then beside a loop of asyncio.base_events whose selector never waits.

    The standard library's selectors see to it themselves.
    """
    original = base_events.BaseEventLoop._run_once

    @wraps(original)
    def _run_once(self):
        be_fair()
        original(self)

    base_events.BaseEventLoop._run_once = _run_once


def adapt(events):
    """Adapt asyncio.events, in this thread and every other."""
    original = events._set_running_loop
    tasks = _Tasks() if hasattr(_asyncio, "_current_tasks") else _SwappedTasks()

    def _set_running_loop(loop):
        original(loop)
        hub = get_hub()
        runners = hub.__dict__.get("_running_loops")
        if runners is None:
            runners = hub.__dict__["_running_loops"] = _Runners(original, tasks)
        runners.changed(loop)

    events._set_running_loop = _set_running_loop
