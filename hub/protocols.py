"""Types of the objects that a hub gets from outside: a pool of threads, a resolver of names, a stream for errors.

For type checkers only: programs never import this at run time. What does not belong here: the classes that fit these
types. This package does not know them; `set_factory()` in `hub.hub` sets the functions that make their instances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

S = TypeVar("S")
T = TypeVar("T")
SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
#: The argument of getnameinfo(): IPv6 addresses also without their scope.
AnyAddress = SocketAddress | tuple[str, int, int]
#: An item of the list that getaddrinfo() returns.
AddressInfo = tuple[int, int, int, str, SocketAddress]


class Stream(Protocol):
    """A place where errors are printed: a file that is open for text, or a similar object."""

    def write(self, text: str, /) -> object: ...


class Result(Protocol):
    """The result of a function that runs in a thread of a pool. See `greenio.event.AsyncResult`."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any: ...
    def ready(self) -> bool: ...
    def successful(self) -> bool: ...
    def rawlink(self, callback: Callable[[Any], object]) -> None: ...
    def unlink(self, callback: Callable[[Any], object]) -> None: ...


class ThreadPool(Protocol):
    """See `greenio.threadpool.ThreadPool`."""

    maxsize: int

    @property
    def size(self) -> int: ...
    @size.setter
    def size(self, value: int) -> None: ...
    def spawn(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Result: ...
    def apply(
        self, func: Callable[..., T], args: Iterable[Any] | None = None, kwds: Mapping[str, Any] | None = None
    ) -> T: ...
    def apply_async(
        self,
        func: Callable[..., T],
        args: Iterable[Any] | None = None,
        kwds: Mapping[str, Any] | None = None,
        callback: Callable[[T], object] | None = None,
    ) -> Result: ...
    def map(self, func: Callable[[S], T], iterable: Iterable[S]) -> list[T]: ...
    def imap(self, func: Callable[..., T], *iterables: Iterable[Any], maxsize: int | None = None) -> Iterator[T]: ...
    def imap_unordered(
        self, func: Callable[..., T], *iterables: Iterable[Any], maxsize: int | None = None
    ) -> Iterator[T]: ...
    def full(self) -> bool: ...
    def join(self, timeout: float | None = None) -> bool: ...
    def kill(self) -> None: ...


class Resolver(Protocol):
    """See `greenio.resolver.base`. The arguments are those of the functions in `socket`."""

    def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]: ...
    def gethostbyname(self, hostname: str) -> str: ...
    def gethostbyname_ex(self, hostname: str) -> tuple[str, list[str], list[str]]: ...
    def gethostbyaddr(self, ip_address: str) -> tuple[str, list[str], list[str]]: ...
    def getnameinfo(self, sockaddr: AnyAddress, flags: int) -> tuple[str, str]: ...
    def close(self) -> None: ...
