"""The standard library's functions and classes as they were before patching.

Patching puts cooperative functions in the place of standard ones. The library itself needs the native ones, even in a
module that is first imported after patching. Modules take them from here. Those that every program has loaded have
names here; `original()` finds any other.

What does not belong here: the replacements. They are in the library on top.
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

#: The originals of what was replaced: name of the module -> name in it -> the object that was there before.
saved: dict[str, dict[str, object]] = {}


class LibraryLock(RLock):  # type: ignore[misc]  # RLock is final to type checkers only
    """A reentrant lock that stays native, for data of the library that several threads or finalizers change.

    Patching replaces RLocks that exist already, but not those of this class.
    """


def original(module: str, name: str) -> Any:
    """Return the object that a module of the standard library has under a name, or had before it was replaced.

    Raises AttributeError if there is no such name. Does not switch.
    """
    replaced = saved.get(module, {})
    if name in replaced:
        return replaced[name]
    return getattr(import_module(module), name)
