"""The system's resolver, in threads.

/etc/hosts, nsswitch and mDNS work as in every other program. Results, their order and errors are those of the standard
library. A numeric address needs no lookup and never leaves the greenlet.
"""

from __future__ import annotations

import _socket
from _socket import NI_NUMERICHOST, NI_NUMERICSERV

from hub.current import hub_if_any

from greenio.resolver.base import BaseResolver
from greenio.threadpool import ThreadPool, ThreadResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hub.hub import Hub
    from hub.protocols import AddressInfo, AnyAddress

__all__ = ["Resolver"]


class Resolver(BaseResolver):
    """Calls the standard library's functions in threads of its own, with their arguments, results and errors.

    A lookup that no name server answers keeps its thread for as long as the system waits, even if no greenlet waits for
    it any more. There are `maxsize` threads (int). When all are kept in this way, other lookups wait; calls of other
    kinds, in ``hub.threadpool``, do not. The setting `resolver_nameservers` has no effect on the system's resolver.
    """

    maxsize = 64

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._pool = ThreadPool(self.maxsize, hub, idle_task_timeout=5)

    def close(self) -> None:
        """End the threads. Greenlets that wait for a lookup get gaierror(EAI_AGAIN). Does not switch."""
        super().close()
        self._pool.kill()

    def _in_thread(self, function, *args):
        # With the types, because 1, 1.0 and True are the same to a dictionary.
        key: object = (function, args, *map(type, args))
        try:
            hash(key)
        except TypeError:
            key = object()  # a bytearray, for instance: its lookup is not shared
        return self._look_up(key, self._submit, function, args)

    def _submit(self, function, args):
        pool: Any = self._pool
        return pool._submit(ThreadResult(hub_if_any()), False, function, args, {})

    def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """As socket.getaddrinfo(). Switches, unless `host` is numeric or None and `port` a number or None."""
        found = self._addrinfo_without_lookup(host, port, family, type, proto, flags)
        if found is None:
            found = list(self._in_thread(_socket.getaddrinfo, host, port, family, type, proto, flags))
        return found

    def _gethostbyname(self, hostname):
        return self._in_thread(_socket.gethostbyname, hostname)

    def _gethostbyname_ex(self, hostname):
        return _copied(self._in_thread(_socket.gethostbyname_ex, hostname))

    def gethostbyaddr(self, ip_address: str) -> tuple[str, list[str], list[str]]:
        """As socket.gethostbyaddr(). Switches."""
        return _copied(self._in_thread(_socket.gethostbyaddr, ip_address))

    def getnameinfo(
        self,
        sockaddr: AnyAddress,
        flags: int,
    ) -> tuple[str, str]:
        """As socket.getnameinfo(). Switches, unless `flags` ask for numbers only."""
        if isinstance(flags, int) and flags & NI_NUMERICHOST and flags & NI_NUMERICSERV:
            return _socket.getnameinfo(sockaddr, flags)  # type: ignore[arg-type]  # it takes triples, too
        return self._look_up(object(), self._submit, _socket.getnameinfo, (sockaddr, flags))


def _copied(found):
    """A copy of a shared result with lists of its own, which the caller may change."""
    name, aliases, addresses = found
    return name, list(aliases), list(addresses)
