"""Networks: sets of addresses, for the proxies that a server trusts.

What does not belong here: what trusted proxies may tell (forwarded.py, proxy_protocol.py).
"""

from __future__ import annotations

import ipaddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Networks"]

_CACHE_SIZE = 1024


class Networks:
    """A set of addresses.

    `networks`: one string or several. Each is an address, a network such as "10.0.0.0/8", "unix" for all peers on Unix
    sockets, or "*" for all peers; one string may have several of these, separated by commas. Raises ValueError or
    TypeError.
    """

    __slots__ = ("_all", "_known", "_networks", "_unix")

    def __init__(self, networks: str | Iterable[str]) -> None:
        try:
            parts = networks.split(",") if isinstance(networks, str) else list(networks)
        except TypeError:
            parts = [networks]  # type: ignore[list-item]
        for part in parts:
            if not isinstance(part, str):
                raise TypeError(f"networks are texts, such as '10.0.0.0/8', not {part!r}")
        names = {part.strip() for part in parts} - {""}
        self._all = "*" in names
        self._unix = self._all or "unix" in names
        self._networks = [_network(name) for name in sorted(names - {"*", "unix"})]
        self._known: dict[str, bool] = {}

    def has_peer(self, address: Any) -> bool:
        """Whether a socket's peer is in the set (bool). `address`: the peer's, as the socket module has it."""
        return self.has(address[0]) if isinstance(address, tuple) else self._unix

    def has(self, host: str) -> bool:
        """Whether an address (str) is in the set (bool). A text that is not an address is not, except with "*"."""
        known = self._known.get(host)
        if known is None:
            known = self._all or self._find(host)
            if len(self._known) < _CACHE_SIZE:
                self._known[host] = known
        return known

    def _find(self, host):
        try:
            address: Any = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        # On a socket for both families, IPv4 addresses have the form of IPv6 ones.
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)


def _network(name):
    try:
        return ipaddress.ip_network(name)
    except ValueError as error:
        reason = str(error) if "host bits" in str(error) else f"{name!r} is not a network"
        raise ValueError(
            f"{reason}: write an address (10.0.0.1), a network (10.0.0.0/8), unix for Unix sockets, or * for all"
        ) from None
