from contextlib import AbstractContextManager

__all__ = ["ensure", "kept_free"]

LOWEST: int
LEAST: int
ROOM: int

def kept_free() -> AbstractContextManager[None]: ...
def give_back(descriptors: list[int]) -> None: ...
def ensure(count: int) -> None: ...
