import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal

from typing_extensions import Self

from greenio.greenlet import Greenlet

__all__ = ["BaseExceptionGroup", "ExceptionGroup", "TaskGroup"]

if sys.version_info >= (3, 11):
    from builtins import BaseExceptionGroup as BaseExceptionGroup
    from builtins import ExceptionGroup as ExceptionGroup
else:
    class BaseExceptionGroup(BaseException):
        message: str
        exceptions: tuple[BaseException, ...]
        def __init__(self, message: str, exceptions: Sequence[BaseException]) -> None: ...

    class ExceptionGroup(BaseExceptionGroup, Exception): ...

class TaskGroup:
    greenlet_class: type[Greenlet]
    def __init__(self, greenlet_class: type[Greenlet] = ...) -> None: ...
    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Greenlet: ...
    def cancel(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]: ...
