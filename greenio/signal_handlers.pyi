from collections.abc import Callable
from signal import Handlers
from types import FrameType
from typing import Any

__all__ = ["getsignal", "move_to_main", "signal"]

_Handler = Callable[[int, FrameType | None], Any] | int | Handlers | None

def signal(signalnum: int, handler: _Handler) -> _Handler: ...
def getsignal(signalnum: int) -> _Handler: ...
def move_to_main() -> None: ...
