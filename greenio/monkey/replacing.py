"""Replaces an attribute of a module or a class, and remembers the original."""

from __future__ import annotations

import sys

from hub.native import saved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType
    from typing import Any

__all__ = ["holder_of", "patch_item", "replace_in_standard_library"]

_MISSING = object()


def holder_of(module: ModuleType, name: str) -> tuple[Any, str]:
    """The object that has a (dotted) name of a module, and the name's last part. Raises AttributeError."""
    *path, last = name.split(".")
    for each in path:
        module = getattr(module, each)
    return module, last


def patch_item(module: ModuleType, name: str, new: object) -> bool:
    """Put `new` under a name of a module, and remember the original. Returns whether that was another object.

    The name may be dotted: a class and an attribute of it.
    """
    holder, last = holder_of(module, name)
    before = vars(holder).get(last, _MISSING)
    if before is new:
        return False
    if before is not _MISSING:
        saved.setdefault(module.__name__, {}).setdefault(name, before)
    setattr(holder, last, new)
    return True


def replace_in_standard_library(replaced: Iterable[tuple[object, object]]) -> None:
    """Replace objects also in modules of the standard library that took them by name before.

    `replaced`: pairs of the original and its replacement.
    """
    new_by_id = {id(old): (old, new) for old, new in replaced}
    for module_name, module in list(sys.modules.items()):
        if module is None or module_name.partition(".")[0] not in sys.stdlib_module_names:
            continue
        if module_name in ("__main__", "_socket", "_signal", "posix"):
            continue
        # Most modules have none of them, and this finds that out in C code.
        if new_by_id.keys().isdisjoint(map(id, list(vars(module).values()))):
            continue
        for name, value in list(vars(module).items()):
            found = new_by_id.get(id(value))
            if found is not None and found[0] is value:
                patch_item(module, name, found[1])
