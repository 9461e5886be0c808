from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, overload

from _typeshed import SupportsWrite
from hub.hub import Hub
from typing_extensions import Self

__all__ = ["Config", "config"]

_T = TypeVar("_T")

class Setting(Generic[_T]):
    environment_key: str
    default: _T
    convert: Callable[[Any], _T]
    description: str
    apply: Callable[[_T], object] | None
    name: str
    def __init__(
        self,
        environment_key: str,
        default: _T,
        convert: Callable[[Any], _T],
        description: str,
        apply: Callable[[_T], object] | None = None,
    ) -> None: ...
    def __set_name__(self, owner: type[Config], name: str) -> None: ...
    @overload
    def __get__(self, instance: None, owner: type[Config] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: Config, owner: type[Config] | None = None) -> _T: ...
    # The text that the environment variable would have will do too.
    def __set__(self, instance: Config, value: _T | str) -> None: ...

def boolean(text: object) -> bool: ...
def positive(text: str | float) -> int: ...
def seconds(text: str | float | None) -> float | None: ...
def comma_separated(text: str | Iterable[str] | None) -> list[str] | None: ...
def resolver_choice(value: str | Callable[[Hub], Any]) -> str | Callable[[Hub], Any]: ...

class Config:
    settings: dict[str, Setting[Any]]
    track_greenlet_tree: Setting[bool]
    spawning_stack_limit: Setting[int]
    resolver: Setting[str | Callable[[Hub], Any]]
    resolver_timeout: Setting[float | None]
    resolver_nameservers: Setting[list[str] | None]
    def set(self, name: str, value: Any) -> None: ...
    def apply(self) -> None: ...
    def print_help(self, file: SupportsWrite[str] | None = None) -> None: ...

config: Config
