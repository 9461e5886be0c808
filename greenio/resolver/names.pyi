from collections.abc import Iterable

from greenio.resolver.base import BaseResolver
from greenio.resolver.hosts import Found, Hosts
from greenio.resolver.numeric import _SocketAddress

__all__ = ["NamesResolver", "merged", "name_servers", "seconds_for_one_try"]

def name_servers() -> list[tuple[str, int | None]] | None: ...
def seconds_for_one_try() -> float | None: ...
def merged(outcomes: Iterable[tuple[Found | None, int | None]]) -> tuple[Found | None, int | None]: ...

class NamesResolver(BaseResolver):
    hosts: Hosts
    def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[int, int, int, str, _SocketAddress]]: ...
    def gethostbyaddr(self, ip_address: str) -> tuple[str, list[str], list[str]]: ...
    def getnameinfo(
        self,
        sockaddr: tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int] | tuple[int, bytes],
        flags: int,
    ) -> tuple[str, str]: ...
