from contextlib import AbstractContextManager

__all__ = ["kept_free"]

LOWEST: int
LEAST: int
ROOM: int

def kept_free() -> AbstractContextManager[None]: ...
def give_back(descriptors: list[int]) -> None: ...
