"""Networks: which peers are believed.

What does not belong here: what they are believed (forwarded.py, proxy_protocol.py).
"""

from __future__ import annotations

import ipaddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Networks"]

_MOST = 1024


class Networks:
    """A set of addresses, from what people write.

    `written`: a string or several: an address, a network such as "10.0.0.0/8", "unix" for all peers on Unix sockets,
    "*" for all. A string may have several, with commas between them. Raises ValueError, TypeError.
    """

    __slots__ = ("_all", "_known", "_networks", "_unix")

    def __init__(self, written: str | Iterable[str]) -> None:
        try:
            parts = written.split(",") if isinstance(written, str) else list(written)
        except TypeError:
            parts = [written]  # type: ignore[list-item]
        for part in parts:
            if not isinstance(part, str):
                raise TypeError(f"networks are texts, such as '10.0.0.0/8', not {part!r}")
        names = {part.strip() for part in parts} - {""}
        self._all = "*" in names
        self._unix = self._all or "unix" in names
        self._networks = [_network(name) for name in sorted(names - {"*", "unix"})]
        self._known: dict[str, bool] = {}

    def has_peer(self, address: Any) -> bool:
        """Whether a socket's peer is one of them: its address as the socket module has it (bool)."""
        return self.has(address[0]) if isinstance(address, tuple) else self._unix

    def has(self, host: str) -> bool:
        """Whether an address (str) is one of them (bool). What is no address is not."""
        known = self._known.get(host)
        if known is None:
            known = self._all or self._look(host)
            if len(self._known) < _MOST:
                self._known[host] = known
        return known

    def _look(self, host):
        try:
            address: Any = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        # A socket for both families has IPv4 addresses in the form of IPv6.
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)


def _network(name):
    try:
        return ipaddress.ip_network(name)
    except ValueError as error:
        reason = str(error) if "host bits" in str(error) else f"{name!r} is no network"
        raise ValueError(
            f"{reason}: write an address (10.0.0.1), a network (10.0.0.0/8), unix for Unix sockets, or * for all"
        ) from None
