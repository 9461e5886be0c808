"""The base of the resolvers: numeric hosts, a time limit, and lookups that several greenlets share."""

from __future__ import annotations

import _socket
import copy
import weakref
from _socket import EAI_AGAIN, EAI_NODATA, EAI_NONAME, gaierror

from hub.forks import in_child

from greenio.config import config
from greenio.resolver.numeric import is_ipv4, is_number, may_be_numeric, numeric_addrinfo
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hub.hub import Hub

__all__ = ["BaseResolver", "failure"]

# The C library's texts, which `socket` does not offer.
_WORDS = {
    EAI_AGAIN: "Temporary failure in name resolution",
    EAI_NODATA: "No address associated with hostname",
    EAI_NONAME: "Name or service not known",
}

_resolvers: weakref.WeakSet[BaseResolver] = weakref.WeakSet()


def failure(number: int) -> gaierror:
    """The error of a lookup, with the system's text: gaierror with one of the numbers EAI_AGAIN, EAI_NONAME, ..."""
    return gaierror(number, _WORDS[number])


class _Lookup:
    """A lookup under way: its future result, how many greenlets wait for it, and whether any have shared it."""

    __slots__ = ["result", "shared", "waiting"]

    def __init__(self, result):
        self.result = result
        self.waiting = 0
        self.shared = False


class BaseResolver:
    """A resolver of a hub. Subclasses begin the lookups; this class waits for them."""

    # Subclasses define these two lookups.
    _gethostbyname: Any
    _gethostbyname_ex: Any

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._under_way: dict[object, _Lookup] = {}
        self._waited_for: set[_Lookup] = set()  # those of them that a greenlet waits for
        _resolvers.add(self)

    def close(self) -> None:
        """End all lookups: greenlets that wait for one get gaierror(EAI_AGAIN). A hub that is destroyed calls this."""
        under_way, self._under_way = self._under_way, {}
        for lookup in under_way.values():
            if not lookup.result.ready():
                lookup.result.set_exception(failure(EAI_AGAIN))

    def after_fork_in_child(self) -> None:
        """In a forked child: forget the parent's lookups (internal)."""
        self._under_way = {}
        self._waited_for = set()

    # --- without a lookup ---

    def _addrinfo_without_lookup(self, host, port, family, type, proto, flags):
        """The result of socket.getaddrinfo() for a host that is numeric or None; None if the host or port is a name."""
        if not is_number(port):
            return None
        if host is None:
            return _socket.getaddrinfo(host, port, family, type, proto, flags)
        if may_be_numeric(host):
            try:
                return numeric_addrinfo(host, port, family, type, proto, flags)
            except gaierror as error:
                if error.errno != EAI_NONAME:
                    raise
        return None

    def gethostbyname(self, hostname: str) -> str:
        """As socket.gethostbyname(). Switches, unless the name is numeric."""
        if is_ipv4(hostname):
            return _socket.gethostbyname(hostname)
        return self._gethostbyname(hostname)

    def gethostbyname_ex(self, hostname: str) -> tuple[str, list[str], list[str]]:
        """As socket.gethostbyname_ex(). Switches, unless the name is numeric."""
        if is_ipv4(hostname):
            return _socket.gethostbyname_ex(hostname)
        return self._gethostbyname_ex(hostname)

    # --- with a lookup ---

    def _look_up(self, key, begin, *args):
        """Wait for the AsyncResult that ``begin(*args)`` returns, and return its value. Switches.

        If a lookup with the same hashable `key` is under way already, this waits for that one: a name that a thousand
        greenlets ask for at once is looked up once. Raises gaierror(EAI_AGAIN) when the setting `resolver_timeout`
        passes first. A greenlet that waits may be killed; the lookup goes on while others wait for it.
        """
        timeout = Timeout(config.resolver_timeout)
        try:
            with timeout:
                lookup = self._under_way.get(key)
                if lookup is None or lookup.result.ready():
                    lookup = self._under_way[key] = _Lookup(begin(*args))
                else:
                    lookup.shared = True
                waited_for = self._waited_for  # another set after a fork
                waited_for.add(lookup)
                lookup.waiting += 1
                try:
                    return lookup.result.get()
                except Exception as error:
                    if not lookup.shared:
                        raise
                    raise _copy(error) from None
                finally:
                    lookup.waiting -= 1
                    if lookup.waiting == 0:
                        waited_for.discard(lookup)
                        self._last_has_left(key, lookup.result)
        except Timeout as error:
            if error is not timeout:
                raise
        raise failure(EAI_AGAIN)

    def _last_has_left(self, key, result):
        if result.ready():
            self._forget(key, result)
        else:
            result.rawlink(lambda result: self._forget(key, result))
            self._abandon(key, result)
        if not self._waited_for:
            self._abandon_all()

    def _forget(self, key, result):
        lookup = self._under_way.get(key)
        if lookup is not None and lookup.result is result:
            del self._under_way[key]

    def _abandon(self, key, result):
        """Called when no greenlet waits for a lookup any more. The lookup goes on, unless a subclass ends it."""

    def _abandon_all(self):
        """Called when no greenlet waits for any lookup any more."""


def _copy(error):
    """A copy of an error, so that each greenlet that shares a lookup has a traceback of its own."""
    try:
        return copy.copy(error)
    except Exception:
        return error  # it cannot be copied: raise the shared one


def _after_fork_in_child():
    for resolver in list(_resolvers):
        resolver.after_fork_in_child()


in_child(_after_fork_in_child)
