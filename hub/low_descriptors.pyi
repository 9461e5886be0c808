from contextlib import AbstractContextManager

__all__ = ["kept_free"]

LOWEST: int
LEAST: int

def kept_free() -> AbstractContextManager[None]: ...
