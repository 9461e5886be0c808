"""TLS that lets other greenlets run: the standard library's `ssl`, on cooperative sockets.

Methods that send or receive say that they switch; the others do not switch.

There is one SSLContext class, the standard library's, and any context will do. For a socket of `greenio.socket`, its
`wrap_socket()` makes an `SSLSocket` of this module; for any other, the standard library's. If a context has a socket
class of its own, as in other libraries, the result is of that class, and cooperative as well.
"""

import os
import socket as _standard_socket
import ssl as _standard
from _socket import socket as _basic
from socket import _GLOBAL_DEFAULT_TIMEOUT
from ssl import *  # noqa: F403  (this module offers everything that the standard one does)
from ssl import SSLContext
from types import ModuleType

from greenio import socket as _socket
from greenio._descriptors.tls import Engine

# The star also brings names that the standard module imports for its own use. These two must be the cooperative ones.
create_connection, socket = _socket.create_connection, _socket.socket

__all__ = [
    name
    for name, value in vars(_standard).items()
    if not name.startswith("_")
    and not isinstance(value, ModuleType)
    and name not in ("create_connection", "namedtuple", "socket")
]

_PlainSocket = _socket.socket.__base__


class SSLSocket(_standard.SSLSocket, _socket.socket):
    """A TLS connection whose methods let other greenlets run while they wait; as ssl.SSLSocket.

    Any number of greenlets may use it; their writes are made one after the other. The timeout bounds each call.
    """

    # greenio._descriptors.tls has the rules by which its greenlets share the connection.

    def _adopt(self):
        super()._adopt()
        self._set_flag()
        self._engine = Engine(self._endpoint)
        # The connection after shutdown(), if its data can still be read, or written.
        self._late_reads = self._late_writes = None

    def _set_flag(self):
        # The TLS library reads and writes the descriptor by itself.
        _basic.setblocking(self, False)
        self._endpoint.flagged = self._endpoint.timeout is None

    def read(self, len=1024, buffer=None):
        """Read up to `len` bytes, into `buffer` if given; return them or, with a buffer, their number. Switches."""
        connection = self._sslobj
        if connection is None:
            return super().read(len, buffer)  # says what is wrong
        return self._engine.read(connection, len, buffer, self.suppress_ragged_eofs)

    def recv(self, buflen=1024, flags=0):
        """Receive up to `buflen` bytes. Switches."""
        if not flags:
            if self._sslobj is not None:
                return self.read(buflen)
            if self._late_reads is not None:
                return self._read_late(buflen)
        return super().recv(buflen, flags)

    def recv_into(self, buffer, nbytes=None, flags=0):
        """Receive up to `nbytes` bytes (by default as many as fit) into a buffer; return their number. Switches."""
        if self._sslobj is not None or self._late_reads is None or flags:
            return super().recv_into(buffer, nbytes, flags)
        nbytes = nbytes or memoryview(buffer).nbytes
        return self._read_late(nbytes, buffer)

    def _read_late(self, length, buffer=None):
        try:
            return self._engine.read(self._late_reads, length, buffer, self.suppress_ragged_eofs)
        except BrokenPipeError:
            # The peer's data has no proper end. OpenSSL 3.6 wants to send that to the peer, and cannot. The standard
            # library reads without TLS at this point, and finds the end.
            return b"" if buffer is None else 0

    def write(self, data):
        """Write data; return how many bytes were written (int). Switches."""
        connection = self._sslobj
        if connection is None:
            return super().write(data)  # says what is wrong
        return self._engine.write(connection, data)

    def send(self, data, flags=0):
        """Send data; return how many bytes were sent (int). Switches."""
        connection = self._sslobj or self._late_writes
        if connection is None or flags:
            return super().send(data, flags)
        return self._engine.write(connection, data)

    def sendall(self, data, flags=0):
        """Send all of the data. Switches."""
        connection = self._sslobj or self._late_writes
        if connection is None or flags or type(self).send is not SSLSocket.send:
            return super().sendall(data, flags)
        sent = 0
        if type(data) is bytes and data:
            sent = self._engine.write(connection, data)
            if sent == len(data):
                return None
        with memoryview(data) as view, view.cast("B") as rest:
            while sent < len(rest):
                with rest[sent:] as left:
                    sent += self._engine.write(connection, left)
        return None

    def sendfile(self, file, offset=0, count=None):
        """Send a file; return the number of bytes sent. Switches."""
        if self._late_writes is None:
            return super().sendfile(file, offset, count)
        return self._sendfile_use_send(file, offset, count)

    def do_handshake(self, block=False):
        """Make the handshake. Switches. `block`: wait for it even if the timeout is 0.

        A greenlet that is killed in the middle of it closes the connection.
        """
        self._check_connected()
        if self.fileno() < 0:
            self.getpeername()  # says that it is closed
        try:
            self._engine.handshake(self._sslobj, block)
        except Exception:
            raise
        except BaseException:
            # The connection is of no use any more. If it is being made, the program cannot close it.
            self.close()
            raise

    def verify_client_post_handshake(self):
        """As in the standard library. Switches if another greenlet writes, or a record is half sent."""
        connection = self._sslobj
        if connection is None:
            return super().verify_client_post_handshake()  # says what is wrong
        return self._engine.between_records(connection, connection.verify_client_post_handshake)

    def shutdown(self, how):
        """As in the standard library, except that recv() and send() use TLS as long as they work. Does not switch."""
        connection = self._sslobj
        if connection is not None:
            self._late_reads = self._late_writes = connection
        if how != _standard_socket.SHUT_RD:
            self._late_writes = None
        super().shutdown(how)

    def unwrap(self):
        """End the TLS connection, and wait for the peer to do so; return the plain socket (this one). Switches."""
        connection = self._sslobj
        if connection is None:
            return super().unwrap()  # says what is wrong
        plain = self._engine.end(connection)
        if self._sslobj is connection:
            self._sslobj = None
        return plain

    def _real_close(self):
        self._late_reads = self._late_writes = None
        super()._real_close()

    def connect(self, addr):
        """Connect, and make the handshake if ``do_handshake_on_connect`` is set. Switches.

        A greenlet that is killed in the handshake closes the socket. If it is killed earlier, the socket may be
        connected again.
        """
        self._connecting(super().connect, addr)

    def connect_ex(self, addr):
        """As connect(), but returns 0, or an error number (int) where connect() raises OSError. Switches."""
        return self._connecting(super().connect_ex, addr)

    def _connecting(self, function, addr):
        try:
            return function(addr)
        except Exception:
            raise
        except BaseException:
            if not self._connected:
                self._sslobj = None
            raise

    def accept(self):
        """Wait for a connection; return ``(SSLSocket, address)``. Switches; the handshake does too."""
        plain, address = _socket.socket.accept(self)
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


plain_create = _standard.SSLSocket._create.__func__


def _create_by_kind(cls, sock, *args, **kwargs):
    # Every context makes its sockets with this function, even a context that has a socket class of its own.
    ours = isinstance(sock, _socket.socket)
    if not ours and not isinstance(sock, _PlainSocket):
        # An object that stands for a socket counts as one of the kind that the program uses.
        ours = _standard_socket.socket is _socket.socket
    if not ours:
        return plain_create(cls, sock, *args, **kwargs)
    if not issubclass(cls, SSLSocket):
        cls = _cooperative(cls)
    return plain_create(cls, _HandedOver(sock), *args, **kwargs)


class _HandedOver:
    """Stands for a socket whose descriptor another of our sockets takes over: the descriptor stays non-blocking."""

    def __init__(self, sock):
        self._sock = sock

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def detach(self):
        descriptor = self._sock.detach()
        if descriptor >= 0:
            os.set_blocking(descriptor, False)
        return descriptor


def _cooperative(cls):
    """The cooperative counterpart of a subclass of ssl.SSLSocket: a class that is both."""
    if cls is _standard.SSLSocket:
        return SSLSocket
    made = cls.__dict__.get("_greenio_kind")
    if made is None:
        made = cls._greenio_kind = type(cls.__name__, (cls, SSLSocket), {"__module__": cls.__module__})
    return made


_standard.SSLSocket._create = classmethod(_create_by_kind)


def get_server_certificate(
    addr, ssl_version=_standard.PROTOCOL_TLS_CLIENT, ca_certs=None, timeout=_GLOBAL_DEFAULT_TIMEOUT
):
    """Fetch the certificate of the server at `addr`, ``(host, port)``, as PEM (str). Switches.

    `timeout` in seconds (float; None for ever), for connecting and for each wait of the handshake. `ca_certs`: a file
    to check the certificate with. Raises OSError, of which ssl.SSLError is one.
    """
    context = SSLContext(ssl_version)
    context.check_hostname = False
    context.verify_mode = _standard.CERT_REQUIRED if ca_certs else _standard.CERT_NONE
    if ca_certs:
        context.load_verify_locations(ca_certs)
    with _socket.create_connection(addr, timeout=timeout) as sock:
        with context.wrap_socket(sock, server_hostname=addr[0]) as wrapped:
            return _standard.DER_cert_to_PEM_cert(wrapped.getpeercert(True))
