from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import Buffer

from greenio._descriptors.endpoint import Endpoint

__all__ = ["recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"]

def recvfrom(endpoint: Endpoint, receive: Callable[..., Any], bufsize: int, flags: int) -> tuple[bytes, Any]: ...
def recvfrom_into(
    endpoint: Endpoint, receive: Callable[..., Any], buffer: Buffer, nbytes: int, flags: int
) -> tuple[int, Any]: ...
def recvmsg(
    endpoint: Endpoint, receive: Callable[..., Any], bufsize: int, ancbufsize: int, flags: int
) -> tuple[bytes, list[Any], int, Any]: ...
def recvmsg_into(
    endpoint: Endpoint, receive: Callable[..., Any], buffers: Sequence[Buffer], ancbufsize: int, flags: int
) -> tuple[int, list[Any], int, Any]: ...
