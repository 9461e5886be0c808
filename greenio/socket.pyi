import socket as _standard
import sys
from _socket import _CMSG, _Address, _CMSGArg, _RetAddress
from collections.abc import Iterable
from socket import EAGAIN as EAGAIN
from socket import EBADF as EBADF
from socket import EWOULDBLOCK as EWOULDBLOCK
from socket import AddressFamily as AddressFamily
from socket import AddressInfo as AddressInfo
from socket import MsgFlag as MsgFlag
from socket import SocketIO as SocketIO
from socket import SocketKind as SocketKind
from socket import close as close
from socket import getaddrinfo as getaddrinfo
from socket import getfqdn as getfqdn
from socket import gethostbyaddr as gethostbyaddr
from socket import gethostbyname as gethostbyname
from socket import gethostbyname_ex as gethostbyname_ex
from socket import getnameinfo as getnameinfo
from typing import Any, SupportsIndex, overload

from typing_extensions import Buffer

from greenio._descriptors.endpoint import Endpoint
from greenio._descriptors.readiness import cancel_wait as cancel_wait
from greenio._descriptors.readiness import wait_read as wait_read
from greenio._descriptors.readiness import wait_readwrite as wait_readwrite
from greenio._descriptors.readiness import wait_write as wait_write

class socket(_standard.socket):
    _endpoint: Endpoint
    def __init__(
        self, family: AddressFamily | int = -1, type: SocketKind | int = -1, proto: int = -1, fileno: int | None = None
    ) -> None: ...
    def __del__(self) -> None: ...
    def accept(self) -> tuple[socket, _RetAddress]: ...
    def bind(self, address: _Address) -> None: ...
    def connect(self, address: _Address) -> None: ...
    def connect_ex(self, address: _Address) -> int: ...
    def recv(self, bufsize: int, flags: int = 0, /) -> bytes: ...
    def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int: ...
    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, _RetAddress]: ...
    def recvfrom_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> tuple[int, _RetAddress]: ...
    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[_CMSG], int, _RetAddress]: ...
    def recvmsg_into(
        self, buffers: Iterable[Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[_CMSG], int, _RetAddress]: ...
    def send(self, data: Buffer, flags: int = 0, /) -> int: ...
    def sendall(self, data: Buffer, flags: int = 0, /) -> None: ...
    @overload
    def sendto(self, data: Buffer, address: _Address, /) -> int: ...
    @overload
    def sendto(self, data: Buffer, flags: int, address: _Address, /) -> int: ...
    def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancdata: Iterable[_CMSGArg] = ...,
        flags: int = 0,
        address: _Address | None = None,
        /,
    ) -> int: ...
    if sys.platform == "linux":
        def sendmsg_afalg(
            self, msg: Iterable[Buffer] = ..., *, op: int, iv: Any = ..., assoclen: int = ..., flags: int = 0
        ) -> int: ...

    # sendfile() has the standard library's types.
    def settimeout(self, value: float | None) -> None: ...
    def gettimeout(self) -> float | None: ...
    @property
    def timeout(self) -> float | None: ...
    def setblocking(self, flag: bool) -> None: ...
    def getblocking(self) -> bool: ...
    def detach(self) -> int: ...

SocketType = socket

def fromfd(fd: SupportsIndex, family: AddressFamily | int, type: SocketKind | int, proto: int = 0) -> socket: ...
def socketpair(
    family: AddressFamily | int | None = None, type: SocketKind | int = ..., proto: int = 0
) -> tuple[socket, socket]: ...
def create_server(
    address: _Address,
    *,
    family: int = ...,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> socket: ...
def create_connection(
    address: tuple[str | None, bytes | str | int | None],
    timeout: float | None = ...,
    source_address: _Address | None = None,
    *,
    all_errors: bool = False,
    happy_eyeballs_delay: float | None = None,
) -> socket: ...

# Last: what is defined above is not taken from there.
from socket import *  # type: ignore[assignment]  # noqa: E402, F403
