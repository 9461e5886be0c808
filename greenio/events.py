"""Events of patching: before and after each module, with a way to refuse.

A function that is appended to `subscribers` is called with each event. An installed package may also name a function in
an entry point, in the group ENTRY_POINT_NAME of a class of events. That function is called with events of that class
only. The names are gevent's, with and without its prefix.

A function that raises DoNotPatch for one of the events before patching prevents it. Other exceptions are raised in the
call that patches. Nothing in this module switches, unless a subscriber does.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, ClassVar

__all__ = [
    "DidPatchAllEvent", "DidPatchBuiltinModulesEvent", "DidPatchModuleEvent", "DoNotPatch", "PatchEvent",
    "WillPatchAllEvent", "WillPatchEvent", "WillPatchModuleEvent", "notify", "notify_and_call_entry_points",
    "subscribers",
]  # fmt: skip

#: Functions that are called with each event.
subscribers: list[Callable[[PatchEvent], object]] = []


class DoNotPatch(BaseException):
    """Raised by a subscriber to prevent the patching that an event announces."""


class PatchEvent:
    """Something is patched. `source`: the module with the replacements. `target`: the module that they are put into."""

    #: The group of entry points that are called with events of this class, or None.
    ENTRY_POINT_NAME: ClassVar[str | None] = None

    def __init__(self, source: ModuleType | None = None, target: ModuleType | None = None) -> None:
        self.source = source
        self.target = target

    def __repr__(self) -> str:
        return f"<{type(self).__name__} source={self.source!r} target={self.target!r} at {id(self):#x}>"


class WillPatchEvent(PatchEvent):
    """Something is about to be patched. Raise DoNotPatch to prevent it."""


class WillPatchModuleEvent(WillPatchEvent):
    """A module is about to be patched: `module_name` (str). `target_item_names`: the names to replace (list of str)."""

    ENTRY_POINT_NAME = "greenio.plugins.monkey.will_patch_module"

    def __init__(self, module_name: str, source: ModuleType, target: ModuleType, items: list[str]) -> None:
        super().__init__(source, target)
        self.module_name = module_name
        self.target_item_names = items


class DidPatchModuleEvent(PatchEvent):
    """A module was patched. `module_name` (str)."""

    ENTRY_POINT_NAME = "greenio.plugins.monkey.did_patch_module"

    def __init__(self, module_name: str, source: ModuleType, target: ModuleType) -> None:
        super().__init__(source, target)
        self.module_name = module_name


class _AllMixin:
    def __init__(self, patch_all_arguments: dict[str, bool], patch_all_kwargs: dict[str, Any]) -> None:
        super().__init__()
        #: The arguments that patch_all() knows, with their values (dict).
        self.patch_all_arguments = patch_all_arguments
        #: Its other arguments, which are for subscribers (dict).
        self.patch_all_kwargs = patch_all_kwargs


class WillPatchAllEvent(_AllMixin, WillPatchEvent):
    """patch_all() is about to begin."""

    ENTRY_POINT_NAME = "greenio.plugins.monkey.will_patch_all"

    def will_patch_module(self, module_name: str) -> bool:
        """Whether patch_all() will patch this module, by its arguments (bool)."""
        return bool(self.patch_all_arguments.get(module_name))


class DidPatchBuiltinModulesEvent(_AllMixin, PatchEvent):
    """patch_all() has patched the standard library: now other packages may patch themselves."""

    ENTRY_POINT_NAME = "greenio.plugins.monkey.did_patch_builtins"


class DidPatchAllEvent(_AllMixin, PatchEvent):
    """patch_all() has ended."""

    ENTRY_POINT_NAME = "greenio.plugins.monkey.did_patch_all"


GeventPatchEvent, GeventWillPatchEvent = PatchEvent, WillPatchEvent
GeventWillPatchModuleEvent, GeventDidPatchModuleEvent = WillPatchModuleEvent, DidPatchModuleEvent
GeventWillPatchAllEvent, GeventDidPatchAllEvent = WillPatchAllEvent, DidPatchAllEvent
GeventDidPatchBuiltinModulesEvent = DidPatchBuiltinModulesEvent


def notify(event: PatchEvent) -> None:
    """Call the subscribers with an event."""
    for subscriber in list(subscribers):
        subscriber(event)


def notify_and_call_entry_points(event: PatchEvent) -> None:
    """Call the subscribers with an event, and the functions that installed packages name for its class."""
    notify(event)
    group = event.ENTRY_POINT_NAME
    if group is None or not _is_named_anywhere(group):
        return
    from importlib.metadata import entry_points

    for entry_point in entry_points(group=group):
        entry_point.load()(event)


_named: dict[str, Any] = {}  # a folder -> the texts of its entry points that name a group of ours


def _is_named_anywhere(group):
    """Whether an installed package names an entry point of the group (bool).

    `importlib.metadata` finds that out, too, but importing it takes longer than all the rest of patching.
    """
    from os import scandir

    for folder in dict.fromkeys(sys.path):
        if folder not in _named:
            found = _named[folder] = []
            try:
                with scandir(folder or ".") as entries:
                    names = [each.path for each in entries if each.name.endswith((".dist-info", ".egg-info"))]
            except OSError:
                continue
            for name in names:
                try:
                    with open(f"{name}/entry_points.txt", encoding="utf-8", errors="replace") as file:
                        text = file.read()
                except OSError:
                    continue
                if "greenio.plugins." in text:
                    found.append(text)
        if any(f"[{group}]" in text for text in _named[folder]):
            return True
    return False
