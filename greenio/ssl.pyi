import ssl as _standard
import sys
from collections.abc import Callable
from socket import _Address, _RetAddress
from socket import socket as _PlainSocket
from ssl import Purpose as Purpose
from ssl import SSLObject as SSLObject
from ssl import SSLSession as SSLSession
from typing import Any, overload

from _typeshed import StrOrBytesPath
from typing_extensions import Buffer

from greenio.socket import socket as _Socket

class SSLSocket(_standard.SSLSocket, _Socket):  # type: ignore[misc]  # of TLS there is no recvmsg() and sendmsg()
    context: SSLContext
    @overload  # type: ignore[override]
    def read(self, len: int = 1024, buffer: None = None) -> bytes: ...
    @overload
    def read(self, len: int, buffer: Buffer) -> int: ...
    @overload
    def read(self, len: int = 1024, *, buffer: Buffer) -> int: ...
    def write(self, data: Buffer) -> int: ...
    def send(self, data: Buffer, flags: int = 0) -> int: ...
    def sendall(self, data: Buffer, flags: int = 0) -> None: ...
    def do_handshake(self, block: bool = False) -> None: ...
    def unwrap(self) -> _Socket: ...
    def connect(self, addr: _Address) -> None: ...
    def connect_ex(self, addr: _Address) -> int: ...
    def accept(self) -> tuple[SSLSocket, _RetAddress]: ...

# It is the standard class itself. Here it looks like a subclass, for what its methods return and give to callbacks
# is of this module where the sockets are, which the standard library's types cannot say.
class SSLContext(_standard.SSLContext):
    sni_callback: Callable[[SSLObject, str, SSLContext], int | None] | None  # type: ignore[assignment]
    def set_servername_callback(
        self, server_name_callback: Callable[[SSLSocket | SSLObject, str | None, Any], int | None] | None
    ) -> None: ...
    @overload
    def wrap_socket(
        self,
        sock: _Socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: SSLSession | None = None,
    ) -> SSLSocket: ...
    @overload
    def wrap_socket(
        self,
        sock: _PlainSocket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: SSLSession | None = None,
    ) -> _standard.SSLSocket: ...

def create_default_context(
    purpose: Purpose = ...,
    *,
    cafile: StrOrBytesPath | None = None,
    capath: StrOrBytesPath | None = None,
    cadata: str | Buffer | None = None,
) -> SSLContext: ...

if sys.version_info < (3, 12):
    def wrap_socket(
        sock: _Socket,
        keyfile: StrOrBytesPath | None = None,
        certfile: StrOrBytesPath | None = None,
        server_side: bool = False,
        cert_reqs: int = ...,
        ssl_version: int = ...,
        ca_certs: str | None = None,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        ciphers: str | None = None,
    ) -> SSLSocket: ...

def get_server_certificate(
    addr: tuple[str, int], ssl_version: int = ..., ca_certs: str | None = None, timeout: float | None = ...
) -> str: ...

# Last: what is defined above is not taken from there.
from ssl import *  # type: ignore[assignment]  # noqa: E402, F403
