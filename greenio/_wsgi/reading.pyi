from typing import Any

from greenio._wsgi.body import Input, Nothing
from greenio._wsgi.client import Client
from greenio._wsgi.stream import Stream
from greenio.socket import socket as Socket

__all__ = ["Requests"]

class Requests:
    socket: Socket
    client_address: Any
    server: Any
    application: Any
    client: Client
    environ: dict[str, Any]
    wsgi_input: Input | Nothing
    close_connection: bool
    idle: bool
    @property
    def idle_since(self) -> float: ...
    began: float | None
    websocket_upgrade: Any
    stream: Stream
    _head: bytes
    _address: tuple[str, str]
    def __init__(self, sock: Socket, address: Any, server: Any) -> None: ...
    def read_request(self) -> bool: ...
    def end_reading(self) -> None: ...
    @property
    def begins_with_method(self) -> bool: ...
    @property
    def requestline(self) -> str: ...
    @property
    def command(self) -> str | None: ...
    @property
    def path(self) -> str: ...
    @property
    def request_version(self) -> str | None: ...
    @property
    def content_length(self) -> str | None: ...
