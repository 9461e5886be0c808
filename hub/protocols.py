"""What a hub is given from outside, as type checkers see it: a pool of threads, a resolver of names, a stream.

For type checkers only: a program that runs never imports this. What does not belong here: the things themselves, which
are unknown in this package (`set_factory()` in `hub.hub` is told how to make them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

S = TypeVar("S")
T = TypeVar("T")
SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
#: What getnameinfo() takes: IPv6 addresses also without their scope.
AnyAddress = SocketAddress | tuple[str, int, int]
#: What getaddrinfo() returns a list of.
AddressInfo = tuple[int, int, int, str, SocketAddress]


class Stream(Protocol):
    """What errors can be told to: a file that is open for text, or something like it."""

    def write(self, text: str, /) -> object: ...


class Result(Protocol):
    """What a function in a thread comes to."""

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
