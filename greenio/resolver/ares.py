"""c-ares, through the package pycares: lookups without threads. Its sockets and times are watched by the hub's loop.

What differs from the system's resolver: /etc/hosts and /etc/resolv.conf are read, and nothing else. The services of
nsswitch.conf (mDNS, LDAP, containers) have no part in it, nor has NI_NOFQDN. The canonical name of a host that was
found in a search domain is the short one. c-ares keeps answers for as long as their name servers allow.

The channel is made at the first lookup. Everything that c-ares does, it does in the thread of the hub.
"""

import os
import sys
from _socket import EAI_AGAIN, EAI_FAIL, EAI_MEMORY, EAI_NODATA, EAI_NONAME, SOCK_STREAM
from _thread import get_ident
from ipaddress import ip_address

from greenio.event import AsyncResult
from greenio.resolver.hosts import Found
from greenio.resolver.names import NamesResolver, name_servers, seconds_for_one_try

try:
    import pycares
    from pycares import errno as ares_errno
except ImportError as error:
    raise ImportError("the resolver 'ares' needs the package pycares: pip install 'greenio[ares]'") from error

__all__ = ["Resolver"]

_READ, _WRITE = 1, 2

# What a name server, or the lack of one, is to the callers of getaddrinfo().
_NUMBERS = {
    ares_errno.ARES_ENOTFOUND: EAI_NONAME,
    ares_errno.ARES_EBADNAME: EAI_NONAME,
    ares_errno.ARES_ENODATA: EAI_NODATA,
    ares_errno.ARES_ENOMEM: EAI_MEMORY,
    ares_errno.ARES_EFORMERR: EAI_FAIL,
    ares_errno.ARES_ENOTIMP: EAI_FAIL,
    ares_errno.ARES_EBADQUERY: EAI_FAIL,
}


class Resolver(NamesResolver):
    """Asks name servers with c-ares. See the module for what differs from the system's resolver.

    Raises ImportError if pycares is not installed.
    """

    def __init__(self, hub):
        super().__init__(hub)
        self._channel = None
        self._asked = 0  # questions under way
        self._watchers = {}  # by descriptor
        self._timer = None

    def close(self):
        """End: whoever waits for a lookup gets gaierror(EAI_AGAIN)."""
        super().close()
        channel, self._channel = self._channel, None
        if channel is not None:
            # pycares closes a channel in a thread of its own; let there be nothing left that concerns this one.
            channel.cancel()
            channel.close()
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def after_fork_in_child(self):
        """In a forked child: the parent's channel is given up, and a new one made when needed (internal)."""
        super().after_fork_in_child()
        channel, self._channel = self._channel, None
        self._timer = None
        self._watchers = {}
        self._asked = 0
        if channel is not None and self._hub.thread_ident == get_ident():
            channel.cancel()  # which closes this process' copies of its sockets

    # --- questions ---

    def _ask_addresses(self, name, family):
        def ask(channel, answered):
            channel.getaddrinfo(name, None, family=family, type=SOCK_STREAM, callback=answered)

        return self._ask(ask, lambda answer: _found(name, answer))

    def _ask_names(self, address):
        def ask(channel, answered):
            channel.query(ip_address(address).reverse_pointer, pycares.QUERY_TYPE_PTR, callback=answered)

        return self._ask(ask, _names)

    def _ask(self, ask, understood):
        """Begin a question: ``ask(channel, answered)``. What ``understood(answer)`` returns is the result."""
        result = AsyncResult()
        channel = self._ready_channel()
        asked_in = self._watchers  # another one after a fork

        def answered(answer, error):
            if self._watchers is not asked_in:
                return
            self._asked -= 1
            found = understood(answer) if error is None else None
            if found is None:
                result.set((None, EAI_NODATA if error is None else _NUMBERS.get(error, EAI_AGAIN)))
            else:
                result.set((found, None))

        self._asked += 1  # before, as the answer may be there at once
        try:
            ask(channel, answered)
        except BaseException:
            self._asked -= 1
            raise
        self._set_timer()
        return result

    def _ready_channel(self):
        if self._channel is None:
            servers = name_servers()
            if servers is not None:
                servers = [_server(address, port) for address, port in servers]
            # Not `lookups`: pycares frees that string before c-ares reads it.
            self._channel = pycares.Channel(
                servers=servers, timeout=seconds_for_one_try(), sock_state_cb=self._socket_changed
            )
        return self._channel

    def _abandon_all(self):
        # c-ares cannot forget one question, only all of them.
        if self._asked and self._channel is not None:
            self._channel.cancel()
            self._set_timer()

    # --- sockets and times ---

    def _socket_changed(self, fd, readable, writable):
        """c-ares begins, or stops, to wait for a socket of its own. It calls this before it closes one."""
        if self._hub.thread_ident != get_ident():
            return  # pycares' own thread, which finds nothing to end: close() has done it
        try:
            watcher = self._watchers.pop(fd, None)
            if watcher is not None:
                watcher.close()
            if readable or writable:
                watcher = self._hub.loop.io(fd, _READ * readable | _WRITE * writable)
                self._watchers[fd] = watcher
                watcher.start(self._socket_ready, fd, bool(readable), bool(writable))
        except Exception:
            self._hub.handle_error(self, *sys.exc_info())  # c-ares would swallow it

    def _socket_ready(self, fd, readable, writable):
        none = pycares.ARES_SOCKET_BAD
        self._process(fd if readable else none, fd if writable else none)

    def _process(self, readable, writable):
        if self._channel is not None:
            self._channel.process_fd(readable, writable)
            self._set_timer()

    def _set_timer(self):
        """Come back when c-ares wants to ask again, or gives up."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        if self._asked:
            self._timer = self._hub.loop.timer(self._channel.timeout())
            self._timer.start(self._process, pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)


def _server(address, port):
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _text(name):
    return name if isinstance(name, str) else name.decode("ascii", "surrogateescape")


def _found(name, answer):
    """c-ares' answer to a question for addresses, as a Found; None if there are none."""
    addresses = [_text(node.addr[0]) for node in answer.nodes]
    if not addresses:
        return None
    # Those of A and of AAAA: each alias comes twice.
    aliases = list(dict.fromkeys(_text(each.alias) for each in answer.cnames))
    canonical = _text(answer.cnames[-1].name) if answer.cnames else os.fsdecode(name).rstrip(".")
    return Found(canonical, aliases, addresses)


def _names(answer):
    """The names in an answer to a question for a pointer (list of str), or None."""
    return [_text(each.data.dname) for each in answer.answer if each.type == pycares.QUERY_TYPE_PTR] or None
