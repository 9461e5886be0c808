from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar

from _typeshed import SupportsWrite
from greenlet import greenlet as _greenlet
from typing_extensions import Self

__all__ = ["GreenletTree", "assert_switches", "format_run_info", "no_switch", "print_run_info", "wrap_errors"]

_E = TypeVar("_E", bound=BaseException)
_T = TypeVar("_T")

class wrap_errors(Generic[_E, _T]):
    def __init__(self, errors: type[_E] | tuple[type[_E], ...], func: Callable[..., _T]) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> _T | _E: ...
    # The attributes of `func`.
    def __getattr__(self, name: str) -> Any: ...

def format_run_info(
    thread_stacks: bool = True,
    greenlet_stacks: bool = True,
    limit: int | None = None,
    current_thread_ident: int | None = None,
) -> list[str]: ...
def print_run_info(
    thread_stacks: bool = True,
    greenlet_stacks: bool = True,
    limit: int | None = None,
    file: SupportsWrite[str] | None = None,
) -> None: ...

class GreenletTree:
    DEFAULT_DETAILS: dict[str, Any]
    greenlet: _greenlet
    child_trees: list[GreenletTree]
    root: bool
    def __init__(self, greenlet: _greenlet) -> None: ...
    def add_child(self, tree: GreenletTree) -> None: ...
    @property
    def is_current_tree(self) -> bool: ...
    @classmethod
    def forest(cls) -> list[Self]: ...
    @classmethod
    def current_tree(cls) -> Self: ...
    def format(self, details: bool | Mapping[str, Any] = True) -> str: ...
    def format_lines(self, details: bool | Mapping[str, Any] = True) -> list[str]: ...

class no_switch:
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: type[BaseException] | BaseException | TracebackType | None) -> None: ...

class assert_switches:
    max_blocking_time: float | None
    hub_only: bool
    def __init__(self, max_blocking_time: float | None = None, hub_only: bool = False) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None: ...
