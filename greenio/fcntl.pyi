from typing import Any, Protocol

__all__ = ["flock", "lockf"]

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

def flock(fd: int | _HasFileno, operation: int, /) -> None: ...
def lockf(fd: int | _HasFileno, cmd: int, len: int = 0, start: int = 0, whence: int = 0, /) -> Any: ...

# Last: what is defined above is not taken from there.
from fcntl import *  # noqa: E402, F403
