"""debugpy, the debugger of VS Code and others. Most of it is in the package pydevd.

A greenlet that stops at a breakpoint stops the whole native thread, just as the debugger stops the whole process. The
debugger waits natively, and its own threads are native. If other greenlets ran meanwhile, they would miss their
breakpoints, because CPython traces nothing in a thread that is in a trace function.

The debugger shows each thread of a patched program as a thread with its own stack, although it is a greenlet. Up to
CPython 3.11 the debugger traces with sys.settrace(), which belongs to native threads. So the trace function is set anew
at each switch.

See https://github.com/microsoft/debugpy.
"""

from __future__ import annotations

import gc
import queue
import sys
import threading
import time
from collections import defaultdict
from functools import wraps

import greenlet
from hub import native

from greenio import thread
from greenio.lock import Lock
from greenio.threading import LibraryThread, NativeCondition, NativeEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["adapt", "adapt_frames", "adapt_threads", "adapt_tracing"]

_StandardQueue: Any = native.original("queue", "Queue")
_native_start: Any = vars(sys.modules["_thread"]).get("_original_start_new_thread", native.start_new_thread)
_PREFIXES = ("_pydev", "pydev", "debugpy")  # of the names of its modules


def _modules():
    """Return the debugger's modules that are loaded."""
    return [each for name, each in sys.modules.items() if each is not None and name.startswith(_PREFIXES)]


class _NativeModule:
    """A module of the standard library for the debugger, with native ways to wait. `names`: what is replaced."""

    def __init__(self, module, **names):
        vars(self).update(names, _module=module)

    def __getattr__(self, name):
        return getattr(self._module, name)

    def __setattr__(self, name, value):
        setattr(self._module, name, value)

    def __delattr__(self, name):
        delattr(self._module, name)


class _Queue(_StandardQueue):  # type: ignore[misc]  # the standard library's, patched or not
    def __init__(self, maxsize=0):
        super().__init__(maxsize)
        self.mutex = native.allocate_lock()
        self.not_empty, self.not_full, self.all_tasks_done = (NativeCondition(self.mutex) for _ in range(3))


def _if_threads_are_patched(adapt: Callable[[Any], None]) -> Callable[[Any], None]:
    return wraps(adapt)(lambda module: adapt(module) if native.saved.get("_thread") else None)


@_if_threads_are_patched
def adapt(modules: Any) -> None:
    """Give the debugger native locks and threads. `modules`: its module that imports those of the standard library."""
    replacements = {
        "threading": _NativeModule(
            threading, Lock=native.allocate_lock, RLock=native.RLock, Condition=NativeCondition, Event=NativeEvent
        ),
        "thread": _NativeModule(sys.modules["_thread"], allocate_lock=native.allocate_lock),
        "time": _NativeModule(time, sleep=native.sleep),
        "_queue": _NativeModule(queue, Queue=_Queue),
        "ThreadingEvent": NativeEvent,
        "ThreadingLock": native.allocate_lock,
    }
    originals = {name: getattr(modules, name, None) for name in replacements}
    for module in _modules():
        for name, value in list(vars(module).items()):
            if value is native.get_ident:
                setattr(module, name, thread.get_ident)
            elif name in originals and value is originals[name]:
                setattr(module, name, replacements[name])
    # The debugger knows a frame of this name in this file: it is too early then to ask which thread this is.
    function = thread.ThreadGreenlet._run
    function.__code__ = function.__code__.replace(co_name="_bootstrap", co_filename=threading.__file__)
    if "pydevd" in sys.modules:
        _adapt_running_debugger()


def _adapt_running_debugger():
    """Adapt a debugger that ran before patching, because it has started the program."""
    # In a child process that the debugger follows, pydevd was the main module when its classes were made.
    kinds = {
        id(value)
        for module in _modules()
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__.startswith((*_PREFIXES, "__main__"))
    }
    for each in gc.get_objects():
        if id(type(each)) in kinds and hasattr(each, "__dict__"):
            for name, value in list(vars(each).items()):
                _make_native(each, name, value)
    _let_greenlets_be_traced(sys.modules["_pydev_bundle.pydev_monkey"])
    monitoring: Any = sys.modules.get("_pydevd_sys_monitoring.pydevd_sys_monitoring")
    # The idents of threads are greenlets' now, so the debugger has to find out again which thread is the main one.
    if hasattr(monitoring, "reset_thread_local_info"):
        monitoring.reset_thread_local_info()


def _make_native(holder, name, value):
    if isinstance(value, native.original("threading", "Event")):
        _make_event_native(value)
    elif isinstance(value, defaultdict) and value.default_factory is native.original("threading", "Event"):
        value.default_factory = NativeEvent
        for each in list(value.values()):
            _make_event_native(each)
    elif value is native.get_ident:
        setattr(holder, name, thread.get_ident)
    elif isinstance(value, Lock) and not value.locked():
        setattr(holder, name, native.allocate_lock())


def _make_event_native(event):
    event.__class__ = NativeEvent
    condition = event._cond
    condition.__class__ = NativeCondition
    if isinstance(condition._lock, Lock) and not condition._waiters:
        condition.__init__(native.allocate_lock())


def _let_greenlets_be_traced(monkey):
    """Let the debugger's replacements for functions that start threads start greenlets.

    `monkey`: the debugger's module that makes these replacements.
    """
    for module in (sys.modules["_thread"], threading):
        for before in ("_original_start_new_thread", "_original_start_joinable_thread"):
            vars(module).pop(before, None)
        for name, starts in (
            ("start_new_thread", thread.start_new_thread),
            ("start_new", thread.start_new_thread),
            ("start_joinable_thread", thread.start_joinable_thread),
        ):
            for each in (name, f"_{name}"):
                if hasattr(module, each):
                    native.saved.setdefault(module.__name__, {}).setdefault(each, getattr(module, each))
                    setattr(module, each, starts)
    monkey.patch_thread_modules()


# --- threads ------------------------------------------------------------------------------------------------------


@_if_threads_are_patched
def adapt_threads(module: Any) -> None:
    """Let the debugger's own threads be native. `module`: the one that defines their class."""
    module.threading = _NativeModule(threading, Thread=LibraryThread)
    module.PyDBDaemonThread.__bases__ = (LibraryThread,)


@_if_threads_are_patched
def adapt_frames(constants: Any) -> None:
    """Let the debugger find the stacks of greenlets. `constants`: the module with the function that finds stacks."""
    before = constants._current_frames
    for module in _modules():
        if vars(module).get("_current_frames") is before:
            module._current_frames = sys._current_frames


@_if_threads_are_patched
def adapt_tracing(tracing: Any) -> None:
    """Let each greenlet have a trace function of its own. `tracing`: the module that sets trace functions."""
    if hasattr(sys, "monitoring"):
        return
    get_debugger = sys.modules["_pydevd_bundle.pydevd_constants"].get_global_debugger
    mine = threading.local()
    vars(mine).update(vars(tracing._last_tracing_func_thread_local))
    debugger = get_debugger()
    if debugger is not None:
        debugger._local_thread_trace_func = threading.local()

    def set_trace(function):
        mine.tracing_func = function
        (tracing.TracingFunctionHolder._original_tracing or sys.settrace)(function)

    def switched(event, args):
        if observer is not None:
            observer(event, args)
        debugger = get_debugger()
        if debugger is None or debugger.pydb_disposed:
            return
        if not hasattr(mine, "tracing_func"):
            mine.tracing_func = debugger.get_thread_local_trace_func()
        set_trace(mine.tracing_func)

    tracing._last_tracing_func_thread_local, tracing.SetTrace = mine, set_trace
    # This module starts a native thread when it has work to do in all native threads.
    tracing.thread = _NativeModule(
        sys.modules["_thread"], _original_start_new_thread=_native_start, allocate_lock=native.allocate_lock
    )
    observer = greenlet.settrace(switched)
