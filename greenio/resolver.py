"""Name resolution that lets other greenlets run: the system's resolver, in the hub's thread pool.

Using the system's keeps /etc/hosts, nsswitch and mDNS as they are for every other program, and the results, their order
and the errors those of the standard library. What needs no lookup, a numeric address, never leaves the greenlet.
"""

import _socket
import re
from _socket import AI_NUMERICHOST, EAI_NONAME, NI_NUMERICHOST, NI_NUMERICSERV, gaierror

__all__ = ["Resolver", "may_be_numeric"]

# What may be a numeric address, in any of the forms that inet_aton() and inet_pton() take.
_MAY_BE_NUMERIC = re.compile(r"[0-9][0-9a-fA-FxX.]*|[0-9a-fA-F]*:[0-9a-fA-F:.]*(%.+)?", re.ASCII)


class Resolver:
    """The resolver of a hub: its calls run in the hub's thread pool, and their arguments, results and errors are those
    of the standard library's functions of the same names.

    ``hub.resolver`` may be replaced by another object with these methods.
    """

    def __init__(self, hub):
        self._hub = hub

    def close(self):
        """Give up what the resolver holds: nothing. The hub calls it when it is destroyed."""

    def _in_thread(self, function, *args):
        return self._hub.threadpool.apply(function, args)

    def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        """As socket.getaddrinfo(). Switches, unless `host` is numeric or None and `port` a number or None."""
        if _is_number(port):
            if host is None:
                return _socket.getaddrinfo(host, port, family, type, proto, flags)
            if may_be_numeric(host):
                try:
                    return _socket.getaddrinfo(host, port, family, type, proto, flags | AI_NUMERICHOST)
                except gaierror as error:
                    if error.errno != EAI_NONAME:
                        raise
        return self._in_thread(_socket.getaddrinfo, host, port, family, type, proto, flags)

    def gethostbyname(self, hostname):
        """As socket.gethostbyname(). Switches, unless the name is numeric."""
        if may_be_numeric(hostname):
            try:
                found = _socket.getaddrinfo(hostname, None, _socket.AF_INET, _socket.SOCK_STREAM, 0, AI_NUMERICHOST)
                return found[0][4][0]
            except gaierror:
                pass  # for the system to say what is wrong with it
        return self._in_thread(_socket.gethostbyname, hostname)

    def gethostbyname_ex(self, hostname):
        """As socket.gethostbyname_ex(). Switches."""
        return self._in_thread(_socket.gethostbyname_ex, hostname)

    def gethostbyaddr(self, ip_address):
        """As socket.gethostbyaddr(). Switches."""
        return self._in_thread(_socket.gethostbyaddr, ip_address)

    def getnameinfo(self, sockaddr, flags):
        """As socket.getnameinfo(). Switches, unless `flags` ask for numbers only."""
        if isinstance(flags, int) and flags & NI_NUMERICHOST and flags & NI_NUMERICSERV:
            return _socket.getnameinfo(sockaddr, flags)
        return self._in_thread(_socket.getnameinfo, sockaddr, flags)


def _is_number(port):
    return port is None or isinstance(port, int) or (isinstance(port, str) and port.isascii() and port.isdigit())


def may_be_numeric(host):
    """Whether a host (str) looks like a numeric address, which takes no lookup (bool)."""
    return isinstance(host, str) and _MAY_BE_NUMERIC.fullmatch(host) is not None
