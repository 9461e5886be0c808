from greenio.resolver.base import BaseResolver
from greenio.resolver.numeric import _SocketAddress

__all__ = ["Resolver"]

class Resolver(BaseResolver):
    maxsize: int
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
