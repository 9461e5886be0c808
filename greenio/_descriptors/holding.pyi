from collections.abc import Iterable
from typing import Any

__all__ = ["Held"]

class Held:
    args: tuple[Any, ...]
    def __init__(self, args: Iterable[Any]) -> None: ...
    def release(self) -> None: ...
