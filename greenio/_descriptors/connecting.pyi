from collections.abc import Callable, Iterable
from typing import TypeVar

from greenio.socket import socket

__all__ = ["in_turn", "interleaved", "side_by_side"]

# What getaddrinfo() returns for an address.
_Found = TypeVar("_Found", bound=tuple[object, ...])

def in_turn(
    attempt: Callable[[_Found], socket], addresses: Iterable[_Found]
) -> tuple[socket | None, list[OSError]]: ...
def interleaved(addresses: Iterable[_Found]) -> list[_Found]: ...
def side_by_side(
    attempt: Callable[[_Found], socket], addresses: Iterable[_Found], delay: float
) -> tuple[socket | None, list[OSError]]: ...
