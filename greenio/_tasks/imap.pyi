from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping as _Mapping
from typing import Any, TypeVar

from greenio.event import AsyncResult
from greenio.greenlet import Greenlet

__all__ = ["IMap", "IMapUnordered", "Mapping"]

_S = TypeVar("_S")
_T = TypeVar("_T")

class Mapping:
    def apply(
        self, func: Callable[..., _T], args: Iterable[Any] | None = None, kwds: _Mapping[str, Any] | None = None
    ) -> _T: ...
    def apply_cb(
        self,
        func: Callable[..., _T],
        args: Iterable[Any] | None = None,
        kwds: _Mapping[str, Any] | None = None,
        callback: Callable[[_T], object] | None = None,
    ) -> _T: ...
    def apply_async(
        self,
        func: Callable[..., _T],
        args: Iterable[Any] | None = None,
        kwds: _Mapping[str, Any] | None = None,
        callback: Callable[[_T], object] | None = None,
    ) -> Greenlet | AsyncResult: ...
    def map(self, func: Callable[[_S], _T], iterable: Iterable[_S]) -> list[_T]: ...
    def map_cb(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S],
        callback: Callable[[list[_T]], object] | None = None,
    ) -> list[_T]: ...
    def map_async(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S],
        callback: Callable[[list[_T]], object] | None = None,
    ) -> Greenlet: ...
    def imap(self, func: Callable[..., _T], *iterables: Iterable[Any], maxsize: int | None = None) -> IMap[_T]: ...
    def imap_unordered(
        self, func: Callable[..., _T], *iterables: Iterable[Any], maxsize: int | None = None
    ) -> IMapUnordered[_T]: ...
    def full(self) -> bool: ...

class IMapUnordered(Greenlet, Iterator[_T]):
    def __init__(
        self,
        spawn: Callable[..., Any],
        func: Callable[..., _T],
        arguments: Iterable[Iterable[Any]],
        maxsize: int | None = None,
    ) -> None: ...
    def __next__(self) -> _T: ...
    def next(self) -> _T: ...

class IMap(IMapUnordered[_T]): ...
