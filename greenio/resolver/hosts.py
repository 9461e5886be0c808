"""/etc/hosts, for the resolvers that do not ask the system; and the best order in which to try addresses.

The file is read when it is first needed, and again when it has changed.
"""

from __future__ import annotations

import _socket
import os
from _socket import AF_INET, AF_INET6, AF_UNSPEC, SOCK_DGRAM
from contextlib import closing
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

    _ByName = dict[str, list[tuple[str, list[str]]]]  # a name -> (address, names) of each line that has it
    _ByAddress = dict[str, list[str]]  # an address -> its names
    _Contents = tuple[Any, _ByName, _ByAddress]  # of a file in that state

__all__ = ["Found", "Hosts", "in_order"]


class Found(NamedTuple):
    """The answer for a name: its canonical name, other names (list of str), addresses (list of str)."""

    name: str
    aliases: list[str]
    addresses: list[str]


class Hosts:
    """A hosts file: names and their addresses, as the C library's `files` service understands them."""

    def __init__(self, path: str | PathLike[str] = "/etc/hosts") -> None:
        self.path = path
        self._contents: _Contents = None, {}, {}

    def find(self, name: str, family: int = AF_UNSPEC) -> Found | None:
        """The entry of a name (str) in the file, with the addresses of a family: a Found, or None."""
        canonical, aliases, addresses = None, [], []
        for address, names in self._read()[1].get(name.lower(), ()):
            if family == AF_INET and ":" in address:
                if address != "::1":
                    continue
                address = "127.0.0.1"  # as the C library has it
            elif family == AF_INET6 and ":" not in address:
                continue
            if canonical is None:
                canonical, *aliases = names
            else:
                aliases += names[1:] if names[0] == canonical else [*names[1:], names[0]]
            addresses.append(address)
        return None if canonical is None else Found(canonical, aliases, in_order(addresses))

    def names(self, address: str) -> list[str] | None:
        """The names of an address (str) in the file (list of str), the canonical one first; or None."""
        names = self._read()[2].get(address)
        return None if names is None else list(names)

    def _read(self):
        try:
            status = os.stat(self.path)
            state = status.st_mtime_ns, status.st_size, status.st_ino
            if state != self._contents[0]:
                with open(self.path, encoding="utf-8", errors="surrogateescape") as file:
                    self._contents = state, *_parse(file)
        except OSError:
            self._contents = None, {}, {}  # no file that can be read: no names
        return self._contents


def _parse(lines):
    by_name: _ByName = {}
    by_address: _ByAddress = {}
    for line in lines:
        text, *names = line.partition("#")[0].split() or [""]
        address = _normal(text) if names else None
        if address is not None:
            by_address.setdefault(address, names)
            for name in {name.lower() for name in names}:
                by_name.setdefault(name, []).append((address, names))
    return by_name, by_address


def _normal(address):
    """The shortest way to write an address; None if the text is not an address."""
    for family in (AF_INET, AF_INET6):
        try:
            return _socket.inet_ntop(family, _socket.inet_pton(family, address))
        except (OSError, ValueError):
            continue
    return None


def in_order(addresses: list[str]) -> list[str]:
    """Addresses (list of str) in the order to try them, the best first. Sends nothing.

    As in RFC 6724 (https://www.rfc-editor.org/rfc/rfc6724): the first are addresses to which this host has a route;
    among them, those that are reached from an address of the same scope and kind; among these, IPv6.
    """
    return sorted(addresses, key=_rank) if len(addresses) > 1 else list(addresses)


def _rank(address):
    try:
        with closing(_socket.socket(AF_INET6 if ":" in address else AF_INET, SOCK_DGRAM)) as probe:
            probe.connect((address, 53))
            source = probe.getsockname()[0]
    except OSError:
        return (2,)
    kind = _kind(address)
    scopes_differ = int(_is_local(source) != _is_local(address))
    return scopes_differ, kind != _kind(source), _PRECEDENCE[kind]


_PRECEDENCE = {"loopback": 0, "IPv6": 1, "unique local": 1, "site local": 1, "Teredo": 1, "6to4": 2, "IPv4": 3}


def _kind(address):
    """The kind of an address (str), as the C library's table of labels has it."""
    first, _, rest = address.partition(":")
    if not rest:
        return "IPv4"
    if address == "::1":
        return "loopback"
    if first == "2002":
        return "6to4"
    if first == "2001" and rest.startswith((":", "0:")):
        return "Teredo"
    if len(first) == 4 and first.startswith(("fc", "fd")):
        return "unique local"
    if len(first) == 4 and first.startswith(("fec", "fed", "fee", "fef")):
        return "site local"
    return "IPv6"


def _is_local(address):
    """Whether an address has a meaning only on this host, or only on one link."""
    return address == "::1" or address.startswith(("127.", "169.254.", "fe8", "fe9", "fea", "feb"))
