"""Patches one module, for `patch_all()` and the patch functions.

Rules
    1. The replacements are imported before anything is replaced. They take originals from `hub.native` if they need
       any.
    2. A module that is patched already is left as it is.
    3. Subscribers are notified before and after a module is patched. Before, they may refuse.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from types import FunctionType

from hub.native import saved

from greenio import events
from greenio.monkey.replacing import holder_of, patch_item, replace_in_standard_library
from greenio.monkey.tables import SOURCES, TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import Any

__all__ = ["MonkeyPatchWarning", "done", "patch", "patch_module", "warn"]

#: The parts that patch functions have patched, by their names in patch_all().
done: set[str] = set()


class MonkeyPatchWarning(RuntimeWarning):
    """Patching came too late, or in a place where it cannot work. The text says what is affected, and what to do."""


def warn(message: str) -> None:
    """Warn, with the line of the user's code that patches."""
    warnings.warn(message, MonkeyPatchWarning, stacklevel=_depth_of_the_caller())


def _depth_of_the_caller():
    import sys

    frame, depth = sys._getframe(2), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("greenio.monkey"):
        frame, depth = frame.f_back, depth + 1
    return depth


def patch(name: str, items: Iterable[str | tuple[str, str]] | None = None, key: str | None = None) -> bool:
    """Patch a module of the standard library as the tables say. Returns whether anything was replaced.

    `items`: the names to replace, instead of those of the table. `key`: the key in the table, if it is not `name`.
    """
    target, source = import_module(name), import_module(SOURCES.get(key or "") or SOURCES[name])
    replacements = []
    for each in items or TABLES[key or name]:
        there, here = each if isinstance(each, tuple) else (each, each)
        try:
            holder, last = holder_of(target, there)
            new_holder, new_last = holder_of(source, here)
        except AttributeError:
            continue
        if last in vars(holder) and new_last in vars(new_holder):
            new = vars(new_holder)[new_last]
            if isinstance(new, FunctionType):
                # A process that is not patched unpickles its own function of that name.
                new.__module__ = name
            replacements.append((there, vars(holder)[last], new))
    return _replace(name, target, source, replacements)


def patch_module(
    target_module: ModuleType, source_module: ModuleType, items: Iterable[str] | None = None, **options: Any
) -> bool:
    """Replace names of a module with those of another: a patch function for modules of your own.

    `items`: the names; those of `source_module.__implements__` if not given. If the source has functions
    ``_greenio_will_monkey_patch`` and ``_greenio_did_monkey_patch``, they are called with the event before and after.
    Returns whether anything was replaced: False if a subscriber raised DoNotPatch. Raises AttributeError if there are
    no items.
    """
    if items is None:
        items = getattr(source_module, "__implements__", None)
        if items is None:
            raise AttributeError(f"{source_module!r} has no __implements__: say which items are to be replaced")
    replacements = [(name, getattr(target_module, name, None), getattr(source_module, name)) for name in items]
    return _replace(target_module.__name__, target_module, source_module, replacements)


def _replace(name, target, source, replacements):
    replaced = []

    def replace():
        for there, old, new in replacements:
            if patch_item(target, there, new):
                replaced.append((old, new))
        if replaced:
            replace_in_standard_library([pair for pair in replaced if pair[0] is not None])

    announce(name, target, source, [each[0] for each in replacements], replace)
    return bool(replaced)


def announce(
    name: str,
    target: ModuleType,
    source: ModuleType,
    items: Iterable[str] = (),
    replace: Callable[[], object] = lambda: None,
) -> bool:
    """Notify subscribers that a module will be patched, call ``replace()``, and notify them that it was patched.

    Returns False if one of them raised DoNotPatch.
    """
    before = events.WillPatchModuleEvent(name, source, target, list(items))
    try:
        _call_hook(source, "_greenio_will_monkey_patch", before)
        events.notify_and_call_entry_points(before)
    except events.DoNotPatch:
        return False
    replace()
    after = events.DidPatchModuleEvent(name, source, target)
    _call_hook(source, "_greenio_did_monkey_patch", after)
    events.notify_and_call_entry_points(after)
    return True


def _call_hook(source, name, event):
    hook = getattr(source, name, None)
    if hook is not None:
        hook(event)


def is_module_patched(mod_name: str) -> bool:
    """Whether anything of a module (str) was replaced (bool)."""
    return bool(saved.get(mod_name))


def is_object_patched(mod_name: str, item_name: str) -> bool:
    """Whether a name of a module (both str) was replaced (bool)."""
    return item_name in saved.get(mod_name, ())


def is_anything_patched() -> bool:
    """Whether anything was replaced (bool)."""
    return any(saved.values())
