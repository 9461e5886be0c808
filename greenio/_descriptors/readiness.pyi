from typing import Protocol

from hub.event_loop import child
from hub.watchers import Watcher

__all__ = ["cancel_wait", "wait_read", "wait_readwrite", "wait_write"]

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

def wait_read(
    fileno: int | _HasFileno,
    timeout: float | None = None,
    timeout_exc: BaseException | type[BaseException] | None = None,
) -> None: ...
def wait_write(
    fileno: int | _HasFileno,
    timeout: float | None = None,
    timeout_exc: BaseException | type[BaseException] | None = None,
    event: object = None,
) -> None: ...
def wait_readwrite(
    fileno: int | _HasFileno,
    timeout: float | None = None,
    timeout_exc: BaseException | type[BaseException] | None = None,
    event: object = None,
) -> None: ...
def cancel_wait(watcher: Watcher | child, error: BaseException | type[BaseException] | None = None) -> None: ...
