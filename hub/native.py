"""The standard library as it was before anything of it was replaced.

Patching puts cooperative functions in the place of the standard ones. What the library itself builds on must stay what
it was, whenever the module that needs it is first imported: such modules take it from here. Those that every program
has are named; `original()` finds any other.

What does not belong here: the replacements, which are the business of the library on top.
"""

from __future__ import annotations

from _thread import RLock, allocate_lock, get_ident, start_new_thread
from _thread import _local as local
from importlib import import_module
from time import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "LibraryLock", "RLock", "allocate_lock", "get_ident", "local", "original", "saved", "sleep", "start_new_thread",
]  # fmt: skip

#: What was replaced: name of the module -> name in it -> what was there before.
saved: dict[str, dict[str, object]] = {}


class LibraryLock(RLock):  # type: ignore[misc]  # RLock is final to type checkers only
    """A reentrant lock that stays native, for what finalizers and several threads do to the library's own data.

    Patching exchanges the RLocks that were made before: not those of this class.
    """


def original(module: str, name: str) -> Any:
    """What a module of the standard library had, or has, under a name, whether it was replaced or not.

    Raises AttributeError if it has, and had, nothing of that name.
    """
    replaced = saved.get(module, {})
    if name in replaced:
        return replaced[name]
    return getattr(import_module(module), name)
