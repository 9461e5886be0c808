from collections.abc import Callable
from types import ModuleType

__all__ = ["when_imported"]

def when_imported(name: str, function: Callable[[ModuleType], object], always: bool = False) -> None: ...
