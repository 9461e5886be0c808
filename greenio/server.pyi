from _socket import _RetAddress
from collections.abc import Callable
from typing import Any, Literal

from greenio.baseserver import BaseServer, _Listener, _Pool
from greenio.socket import AddressFamily
from greenio.socket import socket as _Socket

__all__ = ["StreamServer"]

class StreamServer(BaseServer):
    backlog: int
    reuse_addr: int
    def __init__(
        self,
        listener: tuple[Any, ...] | str | int | _Listener,
        handle: Callable[[_Socket, Any], object] | None = None,
        backlog: int | None = None,
        spawn: Literal["default"] | int | _Pool | Callable[..., object] | None = "default",
    ) -> None: ...
    @classmethod
    def get_listener(
        cls, address: tuple[Any, ...], backlog: int | None = None, family: AddressFamily | int | None = None
    ) -> _Socket: ...
    def do_read(self) -> tuple[_Socket, _RetAddress] | None: ...
    def do_close(self, sock: _Socket, *args: Any) -> None: ...
