from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["ThreadCall", "call_in_thread"]

_T = TypeVar("_T")

class ThreadCall:
    def __init__(self, function: Callable[..., Any], *args: Any, undo: Callable[[], object] | None = None) -> None: ...
    def wait(self) -> Any: ...

def call_in_thread(function: Callable[..., _T], *args: Any) -> _T: ...
