"""What is put in order in a forked child, before any hook of the program runs.

CPython calls hooks of forks in the order in which they were registered. One of the program may call the library, parts
of which may be imported after it was registered. So there is one hook for all of them, which is moved to the front.
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
    """Call ``function()`` in forked children, after those that were named before, and before hooks of the program."""
    functions.append(function)


def put_in_order() -> None:
    """For os.register_at_fork. Raises the first exception when all functions have been called."""
    failed = None
    for function in functions:
        try:
            function()
        except BaseException as error:
            failed = failed or error
    if failed is not None:
        raise failed


def register_first() -> None:
    """Register put_in_order() in front of the hooks that are there already."""
    os.register_at_fork(after_in_child=put_in_order)
    for hooks in gc.get_referrers(put_in_order):
        if type(hooks) is list and hooks[-1] is put_in_order:
            hooks.insert(0, hooks.pop())


register_first()
