from typing import Any

__all__ = ["wait_any"]

class Choice:
    sources: tuple[Any, ...]
    def __init__(self, sources: tuple[Any, ...]) -> None: ...

def wait_any(*sources: Any, timeout: float | None = None) -> tuple[Any, Any]: ...
