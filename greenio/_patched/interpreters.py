"""Native threads for other interpreters: code that ran there in a greenlet would keep all other greenlets waiting.

CPython 3.14 and later run several interpreters in one process, each in a thread of its own, and at the same time. Only
this interpreter has greenlets. So functions that start a thread for another interpreter start a native thread.

What does not belong here: calls into an interpreter. They block, as any computation.
"""

from __future__ import annotations

import threading
from types import FunctionType

from greenio.threading import NativeThread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["adapt", "adapt_executors"]


class _Threading:
    """Stands for the module `threading`, with native threads."""

    Thread = NativeThread

    def __getattr__(self, name):
        return getattr(threading, name)


def adapt(module: Any) -> None:
    """Let Interpreter.call_in_thread() of concurrent.interpreters start native threads."""
    module.threading = _Threading()


class _Globals(dict):  # type: ignore[type-arg]  # of names
    """The globals of a module, with another `threading`."""

    def __init__(self, module):
        super().__init__(threading=_Threading())
        self._names = vars(module)

    def __missing__(self, name):
        return self._names[name]  # a KeyError makes Python look among the builtins


def adapt_executors(module: Any) -> None:
    """Let the workers of concurrent.futures.interpreter's InterpreterPoolExecutor be native threads."""
    start: Any = module.InterpreterPoolExecutor._adjust_thread_count
    module.InterpreterPoolExecutor._adjust_thread_count = FunctionType(
        start.__code__, _Globals(module._thread), start.__name__, start.__defaults__, start.__closure__
    )
