from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from greenio._wsgi.reading import Requests
from greenio.socket import socket as Socket

__all__ = ["Answers"]

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

class Answers(Requests):
    status: str | None
    code: int | None
    result: Any
    response_headers: list[tuple[str, str]]
    response_use_chunked: bool
    response_length: int
    provided_date: bool
    provided_content_length: int | None
    headers_sent: bool
    connection_upgraded: bool
    @property
    def is_open_ended(self) -> bool: ...
    _failed: bool
    _ended: int
    _left: int | None
    def __init__(self, sock: Socket, address: Any, server: Any) -> None: ...
    def log_error(self, message: str, *args: object) -> None: ...
    def starter(self) -> Callable[..., Callable[[bytes], None]]: ...
    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: _ExcInfo | None = None
    ) -> Callable[[bytes], None]: ...
    def finalize_headers(self) -> None: ...
    def write(self, data: bytes) -> None: ...
    def process_result(self) -> None: ...
    def send_early_hints(self, headers: Iterable[tuple[str, str]]) -> None: ...
    def take_over(self) -> None: ...
    def _answer_error(self, status: str, text: str, fields: str = "") -> None: ...
