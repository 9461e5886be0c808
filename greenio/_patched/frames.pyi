from types import FrameType
from typing import Any

__all__ = ["current_exceptions", "current_frames"]

def current_frames() -> dict[int, FrameType]: ...
def current_exceptions() -> dict[int, Any]: ...
