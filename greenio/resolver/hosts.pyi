from os import PathLike
from typing import NamedTuple

__all__ = ["Found", "Hosts", "in_order"]

class Found(NamedTuple):
    name: str
    aliases: list[str]
    addresses: list[str]

class Hosts:
    path: str | PathLike[str]
    def __init__(self, path: str | PathLike[str] = "/etc/hosts") -> None: ...
    def find(self, name: str, family: int = ...) -> Found | None: ...
    def names(self, address: str) -> list[str] | None: ...

def in_order(addresses: list[str]) -> list[str]: ...
