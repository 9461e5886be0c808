from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar

__all__ = [
    "DidPatchAllEvent",
    "DidPatchBuiltinModulesEvent",
    "DidPatchModuleEvent",
    "DoNotPatch",
    "PatchEvent",
    "WillPatchAllEvent",
    "WillPatchEvent",
    "WillPatchModuleEvent",
    "notify",
    "notify_and_call_entry_points",
    "subscribers",
]

# Each is called with every event.
subscribers: list[Callable[[PatchEvent], object]]

class DoNotPatch(BaseException): ...

class PatchEvent:
    ENTRY_POINT_NAME: ClassVar[str | None]
    source: ModuleType | None
    target: ModuleType | None
    def __init__(self, source: ModuleType | None = None, target: ModuleType | None = None) -> None: ...

class WillPatchEvent(PatchEvent): ...

class WillPatchModuleEvent(WillPatchEvent):
    source: ModuleType
    target: ModuleType
    module_name: str
    target_item_names: list[str]
    def __init__(self, module_name: str, source: ModuleType, target: ModuleType, items: list[str]) -> None: ...

class DidPatchModuleEvent(PatchEvent):
    source: ModuleType
    target: ModuleType
    module_name: str
    def __init__(self, module_name: str, source: ModuleType, target: ModuleType) -> None: ...

class _AllMixin:
    patch_all_arguments: dict[str, bool]
    patch_all_kwargs: dict[str, Any]
    def __init__(self, patch_all_arguments: dict[str, bool], patch_all_kwargs: dict[str, Any]) -> None: ...

class WillPatchAllEvent(_AllMixin, WillPatchEvent):
    def will_patch_module(self, module_name: str) -> bool: ...

class DidPatchBuiltinModulesEvent(_AllMixin, PatchEvent): ...
class DidPatchAllEvent(_AllMixin, PatchEvent): ...

GeventPatchEvent = PatchEvent
GeventWillPatchEvent = WillPatchEvent
GeventWillPatchModuleEvent = WillPatchModuleEvent
GeventDidPatchModuleEvent = DidPatchModuleEvent
GeventWillPatchAllEvent = WillPatchAllEvent
GeventDidPatchAllEvent = DidPatchAllEvent
GeventDidPatchBuiltinModulesEvent = DidPatchBuiltinModulesEvent

def notify(event: PatchEvent) -> None: ...
def notify_and_call_entry_points(event: PatchEvent) -> None: ...
