"""dnspython on cooperative sockets: lookups in Python, without threads.

It differs from the system's resolver: it reads /etc/hosts and /etc/resolv.conf and nothing else. It does not use the
services of nsswitch.conf (mDNS, LDAP, containers), and ignores NI_NOFQDN.

dnspython's asynchronous resolver waits with a library that can be chosen. The library here lets the greenlet wait, and
returns when the operation is done. So dnspython's coroutines never suspend, and run to their end like any function.
Nothing is replaced in dnspython, and other users of it notice nothing.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, AF_UNSPEC, EAI_AGAIN, EAI_NODATA, EAI_NONAME, SOCK_DGRAM

from hub.scheduler import sleep

from greenio._tasks.spawning import spawn
from greenio.config import config
from greenio.event import AsyncResult
from greenio.resolver.hosts import Found
from greenio.resolver.names import NamesResolver, merged, name_servers, seconds_for_one_try

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hub.hub import Hub

    from greenio.greenlet import Greenlet

try:
    import dns.asyncbackend
    import dns.asyncresolver
    import dns.exception
    import dns.name
    import dns.nameserver
    import dns.resolver
    import dns.reversename
except ImportError as error:
    raise ImportError(
        "the resolver 'dnspython' needs the package dnspython: pip install 'greenio[dnspython]'"
    ) from error

__all__ = ["Resolver"]


class Resolver(NamesResolver):
    """Asks name servers with dnspython. The module's heading lists the differences from the system's resolver.

    Raises ImportError if dnspython is not installed.
    """

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._resolver = None
        self._greenlets: dict[AsyncResult, Greenlet] = {}  # by the results that they will set

    def close(self) -> None:
        """End all lookups: greenlets that wait for one get gaierror(EAI_AGAIN). Does not switch."""
        super().close()
        greenlets, self._greenlets = self._greenlets, {}
        for greenlet in greenlets.values():
            greenlet.kill(block=False)

    def after_fork_in_child(self) -> None:
        """In a forked child: forget the parent's questions (internal)."""
        super().after_fork_in_child()
        self._greenlets = {}
        self._resolver = None

    def _ask_addresses(self, name, family):
        return self._ask(self._find_addresses, name, family)

    def _ask_names(self, address):
        return self._ask(self._find_names, address)

    def _ask(self, find, *args):
        result = AsyncResult()

        def run():
            try:
                result.set(find(*args))
            except Exception as error:
                result.set_exception(error)
            finally:
                self._greenlets.pop(result, None)
                if not result.ready():
                    result.set((None, EAI_AGAIN))  # other code has killed this greenlet

        self._greenlets[result] = spawn(run)
        return result

    def _abandon(self, key, result):
        self._forget(key, result)
        greenlet = self._greenlets.pop(result, None)
        if greenlet is not None:
            greenlet.kill(block=False)

    def _find_addresses(self, name, family):
        outcomes = []
        for kind in _KINDS[family]:
            outcomes.append(self._resolve(_found, lambda: dns.name.Name(name.split(b".")), kind))
            if outcomes[-1][1] == EAI_NONAME:
                break  # the name does not exist, so it has no other records
        return merged(outcomes)

    def _find_names(self, address):
        return self._resolve(_names, lambda: dns.reversename.from_address(address), "PTR")

    def _resolve(self, understood, name, kind):
        try:
            return understood(_run(self._ready().resolve(name(), kind, search=True, backend=_backend))), None
        except dns.exception.DNSException as error:
            return None, _number(error)

    def _ready(self):
        if self._resolver is None:
            servers = name_servers()
            resolver: Any
            try:
                resolver = dns.asyncresolver.Resolver()
            except dns.resolver.NoResolverConfiguration:
                if servers is None:
                    raise
                resolver = dns.asyncresolver.Resolver(configure=False)
            if servers is not None:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(ip, port or 53) for ip, port in servers]
            if config.resolver_timeout is not None:
                resolver.lifetime, resolver.timeout = config.resolver_timeout, seconds_for_one_try()
            self._resolver = resolver
        return self._resolver


_KINDS = {AF_INET: ["A"], AF_INET6: ["AAAA"], AF_UNSPEC: ["A", "AAAA"]}


def _found(answer):
    aliases = [cname.name.to_text(True) for cname in answer.chaining_result.cnames]
    return Found(answer.canonical_name.to_text(True), aliases, [record.address for record in answer])


def _names(answer):
    return [pointer.target.to_text(True) for pointer in answer]


def _number(error):
    if isinstance(error, (dns.resolver.NXDOMAIN, dns.name.EmptyLabel, dns.name.LabelTooLong, dns.name.NameTooLong)):
        return EAI_NONAME
    if isinstance(error, dns.resolver.NoAnswer):
        return EAI_NODATA
    return EAI_AGAIN


# --- the library that dnspython waits with ----------------------------------------------------------------------------


def _run(coroutine):
    """Run a coroutine of dnspython that waits only with the classes below. Returns its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} waits for something other than greenio's sockets: dnspython has changed")


class _Socket:
    """The base of both kinds of sockets: a cooperative socket, and a timeout for each call."""

    def __init__(self, sock):
        super().__init__(sock.family, sock.type)  # type: ignore[call-arg]  # of dnspython's class beside it
        self._sock = sock

    async def close(self):
        self._sock.close()

    async def getpeername(self):
        return self._sock.getpeername()

    async def getsockname(self):
        return self._sock.getsockname()

    def _call(self, timeout, method, *args):
        self._sock.settimeout(timeout if timeout is None else max(timeout, 0.001))
        try:
            return method(*args)
        except TimeoutError:
            raise dns.exception.Timeout(timeout=timeout) from None


class _DatagramSocket(_Socket, dns.asyncbackend.DatagramSocket):  # type: ignore[misc,name-defined]  # found at run time
    async def sendto(self, what, destination, timeout):
        return self._call(timeout, self._sock.sendto, what, destination)

    async def recvfrom(self, size, timeout):
        return self._call(timeout, self._sock.recvfrom, size)


class _StreamSocket(_Socket, dns.asyncbackend.StreamSocket):  # type: ignore[misc,name-defined]  # found at run time
    async def sendall(self, what, timeout):
        return self._call(timeout, self._sock.sendall, what)

    async def recv(self, size, timeout):
        return self._call(timeout, self._sock.recv, size)


class _Backend(dns.asyncbackend.Backend):  # type: ignore[misc,name-defined]  # found at run time
    """greenio, as dnspython's asynchronous library."""

    def name(self):
        return "greenio"

    async def make_socket(
        self, af, socktype, proto=0, source=None, destination=None, timeout=None, ssl_context=None, server_hostname=None
    ):
        from greenio.socket import socket

        if ssl_context is not None:
            raise NotImplementedError("the resolver 'dnspython' asks name servers without TLS")
        made = (_DatagramSocket if socktype == SOCK_DGRAM else _StreamSocket)(socket(af, socktype, proto))
        try:
            if source:
                made._sock.bind(source)
            if destination:
                made._call(timeout, made._sock.connect, destination)
        except BaseException:
            made._sock.close()
            raise
        return made

    async def sleep(self, interval):
        sleep(interval)

    async def wait_for(self, awaitable, timeout):
        raise NotImplementedError("the resolver 'dnspython' asks name servers over UDP and TCP only")


_backend = _Backend()
