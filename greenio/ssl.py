"""TLS that lets other greenlets run: the standard library's `ssl`, on cooperative sockets.

There is one SSLContext class, the standard library's, and any context will do. What its `wrap_socket()` makes depends
on the socket: of one of `greenio.socket` an `SSLSocket` of this module, of any other the standard library's.
"""

import ssl as _standard
from ssl import *  # noqa: F403  (this module offers everything that the standard one does)
from ssl import SSLContext, SSLWantReadError, SSLWantWriteError, create_default_context

from greenio import socket as _socket

__all__ = ["SSLContext", "SSLSocket", "create_default_context", "get_server_certificate"]

_READ, _WRITE = 1, 2


class SSLSocket(_standard.SSLSocket, _socket.socket):
    """A TLS connection whose methods let other greenlets run while they wait; as ssl.SSLSocket.

    Several greenlets may use it, one to read and one to write at the same time. A timeout bounds each call.
    """

    def _until_done(self, what, function, *args):
        """Call a function of the TLS library until it does not have to wait for the peer any more."""
        deadline = None
        while True:
            try:
                return function(*args)
            except (SSLWantReadError, SSLWantWriteError) as wanted:
                if self.gettimeout() == 0:
                    raise
                # A read may have to write first, and the other way round.
                events = _READ if isinstance(wanted, SSLWantReadError) else _WRITE
            if deadline is None:
                deadline = self._stream.deadline()
            try:
                self._stream.wait_until(events, deadline)
            except TimeoutError:
                raise TimeoutError(f"The {what} operation timed out") from None

    def read(self, len=1024, buffer=None):
        """Read up to `len` bytes, into `buffer` if given; return them, or how many. Switches."""
        return self._until_done("read", super().read, len, buffer)

    def write(self, data):
        """Write data; return how many bytes were written (int). Switches."""
        return self._until_done("write", super().write, data)

    def send(self, data, flags=0):
        """Send data; return how many bytes were sent (int). Switches."""
        return self._until_done("write", super().send, data, flags)

    def do_handshake(self, block=False):
        """Make the handshake. Switches. `block`: wait for it even if the timeout is 0."""
        timeout = self.gettimeout()
        if timeout == 0 and block:
            self.settimeout(None)
        try:
            self._check_connected()
            self._until_done("handshake", self._sslobj.do_handshake)
        except (OSError, ValueError):
            raise
        except BaseException:
            # Killed in the middle of it: nobody can use the connection any more, or close it when it is being made.
            self.close()
            raise
        finally:
            self.settimeout(timeout)

    def unwrap(self):
        """End the TLS connection, and wait for the peer to do so; return the plain socket (this one). Switches."""
        if self._sslobj is None:
            raise ValueError(f"No SSL wrapper around {self}")
        plain = self._until_done("shutdown", self._sslobj.shutdown)
        self._sslobj = None
        return plain

    def accept(self):
        """Wait for a connection; return ``(SSLSocket, address)``. Switches; the handshake does too."""
        plain, address = self._accept_as(_socket.socket)
        try:
            wrapped = self.context.wrap_socket(
                plain,
                do_handshake_on_connect=self.do_handshake_on_connect,
                suppress_ragged_eofs=self.suppress_ragged_eofs,
                server_side=True,
            )
        except BaseException:
            plain.close()
            raise
        return wrapped, address


class _ByKindOfSocket(_standard.SSLSocket):
    """What contexts make sockets with: of each the kind that goes with the plain one."""

    @classmethod
    def _create(cls, sock, *args, **kwargs):
        kind = SSLSocket if isinstance(sock, _socket.socket) else _standard.SSLSocket
        return kind._create(sock, *args, **kwargs)


SSLContext.sslsocket_class = _ByKindOfSocket


def get_server_certificate(addr, ssl_version=_standard.PROTOCOL_TLS_CLIENT, ca_certs=None, timeout=10):
    """The certificate of the server at ``(host, port)``, as PEM (str). Switches.

    `timeout` in seconds. With `ca_certs`, a file, it is checked.
    """
    context = SSLContext(ssl_version)
    context.check_hostname = False
    context.verify_mode = _standard.CERT_REQUIRED if ca_certs else _standard.CERT_NONE
    if ca_certs:
        context.load_verify_locations(ca_certs)
    with _socket.create_connection(addr, timeout=timeout) as sock:
        with context.wrap_socket(sock, server_hostname=addr[0]) as wrapped:
            return _standard.DER_cert_to_PEM_cert(wrapped.getpeercert(True))
