from types import TracebackType
from typing import Literal

from typing_extensions import Self

__all__ = ["Deadline", "fail_after", "move_on_after"]

class Deadline:
    seconds: float | None
    expired: bool
    def __init__(self, seconds: float | None) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool: ...
    @property
    def remaining(self) -> float | None: ...
    def reschedule(self, seconds: float | None) -> None: ...

class fail_after(Deadline):
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]: ...

class move_on_after(Deadline): ...
