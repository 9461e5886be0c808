"""Name resolution that lets other greenlets run: the kinds of ``hub.resolver``.

    thread       the system's resolver, in threads of its own (the default)
    ares         c-ares, through the package pycares (``pip install 'greenio[ares]'``)
    dnspython    dnspython on cooperative sockets (``pip install 'greenio[dnspython]'``)

The setting ``greenio.config.resolver``, or the environment variable GREENIO_RESOLVER, names the kind. The setting may
also be a callable, or the dotted path of one, which is called with the hub. A resolver is an object with the methods
``getaddrinfo``, ``gethostbyname``, ``gethostbyname_ex``, ``gethostbyaddr`` and ``getnameinfo`` of the standard
library's `socket`, and ``close``. Any such object may be assigned to ``hub.resolver``.

    numeric      numeric addresses, which take no lookup
    base         lookups that several greenlets share, and their time limit
    names        the standard library's functions, built on two questions: addresses of a name, names of an address
    hosts        /etc/hosts, and the order of addresses

``import greenio.socket`` loads only this module and `numeric`.
"""

from __future__ import annotations

from greenio.config import config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hub.hub import Hub
    from hub.protocols import Resolver

__all__ = ["make_resolver"]


def make_resolver(hub: Hub) -> Resolver:
    """Make the resolver that the setting `resolver` asks for, for a hub. Does not switch.

    Raises ImportError if a package that it needs, or the module of a dotted path, is missing.
    """
    chosen = config.resolver
    if isinstance(chosen, str):
        from importlib import import_module

        if "." not in chosen:
            chosen = f"greenio.resolver.{chosen}.Resolver"
        module, _, name = chosen.rpartition(".")
        try:
            chosen = getattr(import_module(module), name)
        except AttributeError:
            raise ImportError(f"the setting resolver={chosen!r}: the module {module} has no {name!r}") from None
    return chosen(hub)
