"""The standard library's functions, built on two questions that a DNS library answers.

A subclass of NamesResolver asks for the addresses of a name, and for the names of an address. Everything else is here.
The standard functions themselves check arguments and make socket addresses. They are given numeric addresses only, so
they look up nothing but services, in /etc/services.
"""

from __future__ import annotations

import _socket
import os
import re
from _socket import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    AI_ADDRCONFIG,
    AI_ALL,
    AI_CANONNAME,
    AI_NUMERICHOST,
    AI_PASSIVE,
    AI_V4MAPPED,
    EAI_ADDRFAMILY,
    EAI_AGAIN,
    EAI_NODATA,
    EAI_NONAME,
    NI_NAMEREQD,
    NI_NUMERICHOST,
    SOCK_DGRAM,
    gaierror,
    herror,
)

from greenio.config import config
from greenio.resolver.base import BaseResolver, failure
from greenio.resolver.hosts import Found, Hosts, in_order
from greenio.resolver.numeric import numeric_addrinfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from hub.protocols import AddressInfo, AnyAddress

__all__ = ["NamesResolver", "merged", "name_servers", "seconds_for_one_try"]

# How gethostbyaddr() reports a failed question for the names of an address: numbers and texts of the C library.
_HOST_ERRORS = {
    EAI_NONAME: (1, "Unknown host"),
    EAI_AGAIN: (2, "Host name lookup failure"),
    EAI_NODATA: (4, "No address associated with name"),
}


def name_servers() -> list[tuple[str, int | None]] | None:
    """The setting `resolver_nameservers`: a list of (address, port), with None for a port that is not given.

    None if the setting is None: the system's name servers are asked then. Raises ValueError for a text that is not an
    address.
    """
    chosen = config.resolver_nameservers
    return None if chosen is None else [_server(text) for text in chosen]


# An address, or an address with a port, in which IPv6 stands in brackets.
_SERVER = re.compile(r"(?:\[(?P<bracketed>[^]]*)\]|(?P<ipv4>[^:]*)|(?P<ipv6>.*:.*:.*))(?::(?P<port>[0-9]+))?")


def _server(text):
    match: Any = _SERVER.fullmatch(text)
    try:
        address = match["bracketed"] or match["ipv4"] or match["ipv6"]
        _socket.inet_pton(AF_INET6 if ":" in address else AF_INET, address.partition("%")[0])
        return address, int(match["port"]) if match["port"] else None
    except (OSError, TypeError):
        raise ValueError(
            f"resolver_nameservers: {text!r} is not the address of a name server; examples are '192.0.2.1', "
            "'192.0.2.1:5353', '2001:db8::1' and '[2001:db8::1]:5353'"
        ) from None


def seconds_for_one_try() -> float | None:
    """How long to wait for one answer before the question is asked again (seconds, float); None for the default.

    It is short enough to ask a lost question again within the setting `resolver_timeout`.
    """
    seconds = config.resolver_timeout
    return None if seconds is None else min(2.0, seconds / 4)


def merged(outcomes: Iterable[tuple[Found | None, int | None]]) -> tuple[Found | None, int | None]:
    """Make one outcome of the outcomes for IPv4 and IPv6 addresses. Each is (Found, None) or (None, number)."""
    found = [each for each, _ in outcomes if each is not None]
    if found:
        # IPv4 from one search domain and IPv6 from another belong to two hosts.
        found = [each for each in found if _asked_for(each) == _asked_for(found[0])]
        addresses = in_order([address for each in found for address in each.addresses])
        return Found(found[0].name, found[0].aliases, addresses), None
    numbers = {number for _, number in outcomes}
    return None, next(each for each in (EAI_AGAIN, EAI_NODATA, EAI_NONAME) if each in numbers)


def _asked_for(found):
    return (found.aliases or [found.name])[0].lower()


class NamesResolver(BaseResolver):
    """A resolver that asks name servers itself. `hosts` is the hosts file, where it looks first."""

    hosts = Hosts()

    # --- for subclasses to define ---

    def _ask_addresses(self, name, family):
        """Begin to ask for the addresses of a name (bytes): AF_INET, AF_INET6 or, for both, AF_UNSPEC.

        Returns an AsyncResult. Its value will be ``(Found, None)``, or ``(None, number)`` with one of the EAI_ numbers.
        """
        raise NotImplementedError

    def _ask_names(self, address):
        """Begin to ask for the names of an address (str). As _ask_addresses(), with a list of names (str)."""
        raise NotImplementedError

    # --- the two questions ---

    def _addresses(self, name, family):
        """Find the addresses of a name (bytes): a Found. Raises gaierror. Switches, unless it is in the hosts file."""
        found = self.hosts.find(os.fsdecode(name), family)
        if found is not None:
            return found
        if not name or b"\0" in name:
            raise failure(EAI_NONAME)
        found, number = self._look_up((name.lower(), family), self._ask_addresses, name, family)
        if number is not None:
            raise failure(number)
        return found

    def _names(self, address):
        """Find the names of an address (str): (names, None) or (None, number). Switches unless they are in `hosts`."""
        address = address.partition("%")[0]
        names = self.hosts.names(address)
        if names is not None:
            return names, None
        if address.startswith("::ffff:") and "." in address:
            address = address.removeprefix("::ffff:")  # the address it has in DNS
        names, number = self._look_up(address, self._ask_names, address)
        return names and names[:1], number  # the first one only, as the C library does

    # --- the standard library's functions ---

    def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """As socket.getaddrinfo(). Switches, unless `host` is numeric, None, or in the hosts file."""
        found = self._addrinfo_without_lookup(host, port, family, type, proto, flags)
        if found is not None:
            return found
        if host is None:
            return _socket.getaddrinfo(host, port, family, type, proto, flags)
        try:
            return numeric_addrinfo(host, port, family, type, proto, flags)
        except gaierror as error:
            if error.errno != EAI_NONAME or flags & AI_NUMERICHOST:
                raise
        name, addresses = self._addresses_wanted(_encoded(host), family, flags)
        infos = []
        unnamed = flags & ~AI_CANONNAME
        for address in addresses:
            try:
                infos += numeric_addrinfo(address, port, AF_INET6 if ":" in address else AF_INET, type, proto, unnamed)
            except gaierror as error:
                # This host has no address of that family.
                if not flags & AI_ADDRCONFIG or error.errno not in (EAI_ADDRFAMILY, EAI_NONAME):
                    raise
        if not infos:
            raise failure(EAI_NONAME)
        if flags & AI_CANONNAME:
            infos[0] = (*infos[0][:3], name, infos[0][4])
        return infos

    def _addresses_wanted(self, name, family, flags):
        """The canonical name and the addresses that getaddrinfo() is to return."""
        if family != AF_INET6 or not flags & AI_V4MAPPED:
            found = self._addresses(name, family)
            return found.name, found.addresses
        found = self._addresses(name, AF_UNSPEC)
        own = [address for address in found.addresses if ":" in address]
        if own and not flags & AI_ALL:
            return found.name, own
        return found.name, [address if ":" in address else f"::ffff:{address}" for address in found.addresses]

    def _gethostbyname(self, hostname):
        if _is_special(hostname):
            return _socket.gethostbyname(hostname)
        return self._addresses(_encoded(hostname), AF_INET).addresses[0]

    def _gethostbyname_ex(self, hostname):
        if _is_special(hostname):
            return _socket.gethostbyname_ex(hostname)
        name, aliases, addresses = self._addresses(_encoded(hostname), AF_INET)
        return name, list(aliases), list(addresses)

    def gethostbyaddr(self, ip_address: str) -> tuple[str, list[str], list[str]]:
        """As socket.gethostbyaddr(). Switches, unless everything is in the hosts file."""
        if isinstance(ip_address, bytearray):
            ip_address = bytes(ip_address)
        if _is_special(ip_address):
            return self._gethostbyaddr_of_special(ip_address)
        try:
            address: Any = numeric_addrinfo(ip_address, None, AF_UNSPEC, SOCK_DGRAM, 0, 0)[0][4][0]
        except gaierror as error:
            if error.errno != EAI_NONAME:
                raise
            address = self._addresses(_encoded(ip_address), AF_UNSPEC).addresses[0]
        names, number = self._names(address)
        if number is not None:
            raise herror(*_HOST_ERRORS[number])
        return names[0], names[1:], [address]

    def _gethostbyaddr_of_special(self, host):
        if host == "<broadcast>":
            return self.gethostbyaddr("255.255.255.255")
        if host in ("", b""):
            addresses = _socket.getaddrinfo(None, "0", 0, SOCK_DGRAM, 0, AI_PASSIVE)
            if len(addresses) == 1:
                any_address: Any = addresses[0][4][0]
                return self.gethostbyaddr(any_address)
        return _socket.gethostbyaddr(host)  # raises the standard error

    def getnameinfo(
        self,
        sockaddr: AnyAddress,
        flags: int,
    ) -> tuple[str, str]:
        """As socket.getnameinfo(). Switches, unless the host is in the hosts file or `flags` ask for its number.

        NI_NOFQDN makes no difference.
        """
        if not isinstance(flags, int) or flags & NI_NUMERICHOST:
            return _socket.getnameinfo(sockaddr, flags)  # type: ignore[arg-type]  # it takes triples, too
        numbers: Any = sockaddr
        address, service = _socket.getnameinfo(numbers, flags & ~NI_NAMEREQD | NI_NUMERICHOST)
        names, number = self._names(address)
        if number == EAI_AGAIN:
            raise failure(EAI_AGAIN)
        if number is not None and flags & NI_NAMEREQD:
            raise failure(EAI_NONAME)
        return (names[0] if number is None else address), service


def _encoded(host):
    """A host's name as name servers know it (bytes). Raises UnicodeError as the standard functions do."""
    return bytes(host) if isinstance(host, (bytes, bytearray)) else host.encode("idna")


def _is_special(host: Any) -> bool:
    """Whether the standard functions refuse a host, or treat it as special, and look up nothing (bool)."""
    if not isinstance(host, (str, bytes, bytearray)):
        return True
    return len(host) == 0 or host == "<broadcast>" or ("\0" in host if isinstance(host, str) else b"\0" in host)
