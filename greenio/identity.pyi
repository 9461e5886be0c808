from collections.abc import Callable, Hashable
from typing import Any

from greenlet import greenlet

__all__ = ["at_end", "get_ident", "is_native"]

def get_ident() -> int: ...
def is_native() -> bool: ...
def at_end(greenlet: greenlet, key: Hashable, function: Callable[[], Any]) -> None: ...
