"""The TLS arguments of servers, and the handshake with a client."""

from __future__ import annotations

from contextlib import suppress

from greenio.ssl import CERT_NONE, PROTOCOL_TLS_SERVER, SSLContext
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio.socket import socket
    from greenio.ssl import SSLSocket

__all__ = ["context_of", "end_politely", "handshake"]

#: The arguments that go to wrap_socket() for each connection. The others are about the context.
CONNECTION_ARGUMENTS = ("do_handshake_on_connect", "suppress_ragged_eofs")


def context_of(arguments: dict[str, Any], context: SSLContext | None) -> SSLContext:
    """Return `context`, or else make one from the old arguments of ssl.wrap_socket(), which are removed.

    These are certfile, keyfile, cert_reqs, ca_certs, ciphers and ssl_version. Raises TypeError for others, ValueError
    without a certificate, OSError for a file that cannot be read. Does not switch.
    """
    about_context = {name: arguments.pop(name) for name in sorted(set(arguments) - set(CONNECTION_ARGUMENTS))}
    if context is not None:
        if about_context:
            raise TypeError(f"{next(iter(about_context))!r} does not go with ssl_context: set it on the context")
        return context
    certfile, keyfile = about_context.pop("certfile", None), about_context.pop("keyfile", None)
    context = SSLContext(about_context.pop("ssl_version", None) or PROTOCOL_TLS_SERVER)
    verify = about_context.pop("cert_reqs", CERT_NONE)
    authorities, ciphers = about_context.pop("ca_certs", None), about_context.pop("ciphers", None)
    about_context.pop("server_side", None)
    if about_context:
        raise TypeError(f"a server has no argument {next(iter(about_context))!r}")
    if not certfile:
        raise ValueError("a TLS server needs a certificate: give ssl_context=, or certfile= and keyfile=")
    for path in filter(None, (certfile, keyfile, authorities)):
        with open(path, "rb"):
            pass  # OpenSSL's error would not name the file
    context.load_cert_chain(certfile, keyfile)
    if authorities:
        context.load_verify_locations(authorities)
    context.verify_mode = verify
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def handshake(context: SSLContext, sock: socket, seconds: float | None, arguments: dict[str, Any]) -> SSLSocket:
    """Make the TLS handshake with a client, and return its TLS socket. Switches.

    `sock` gives its descriptor to the TLS socket. `arguments`: those for wrap_socket(). Raises TimeoutError if the
    handshake takes longer than `seconds` (float; None for ever), another OSError if it fails.
    """
    with Timeout(seconds, False):
        return context.wrap_socket(sock, server_side=True, **arguments)
    raise TimeoutError(f"the client has not made its TLS handshake within {seconds} s")


def end_politely(connection: SSLSocket) -> None:
    """Tell the peer that no more data comes, if that is possible at once, and close. Does not switch."""
    with suppress(OSError, ValueError):  # the connection is broken, or there is no room for the message
        connection.settimeout(0)
        connection.unwrap()
    connection.close()
