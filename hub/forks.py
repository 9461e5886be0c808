"""Functions that put the library in order in a forked child, before any hook of the program runs.

CPython calls the hooks of forks in the order in which they were registered. A hook of the program may call the library,
and may be registered before some of the library's modules are imported. So the library has one hook for all of its
modules, and moves it to the front.
"""

from __future__ import annotations

import gc
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_child"]

functions: list[Callable[[], object]] = []


def in_child(function: Callable[[], object]) -> None:
    """Call ``function()`` in forked children, after earlier ones, and before hooks of the program (internal)."""
    functions.append(function)


def put_in_order() -> None:
    """The hook: call all functions. Raises the first of their exceptions when all have been called."""
    failed = None
    for function in functions:
        try:
            function()
        except BaseException as error:
            failed = failed or error
    if failed is not None:
        raise failed


def register_first() -> None:
    """Register put_in_order() in front of the hooks that are registered already."""
    os.register_at_fork(after_in_child=put_in_order)
    for hooks in gc.get_referrers(put_in_order):
        if type(hooks) is list and hooks[-1] is put_in_order:
            hooks.insert(0, hooks.pop())


register_first()
