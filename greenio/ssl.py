"""TLS that lets other greenlets run: the standard library's `ssl`, on cooperative sockets.

There is one SSLContext class, the standard library's, and any context will do. What its `wrap_socket()` makes depends
on the socket: of one of `greenio.socket` an `SSLSocket` of this module, of any other the standard library's. A context
with a socket class of its own, as other libraries have, makes one that is of that class and cooperative.
"""

import errno
import os
import socket as _standard_socket
import ssl as _standard
from builtins import len as _length
from socket import _GLOBAL_DEFAULT_TIMEOUT
from ssl import *  # noqa: F403  (this module offers everything that the standard one does)
from ssl import SSLContext, SSLWantReadError, SSLWantWriteError
from types import ModuleType

from greenio import socket as _socket
from greenio.lock import Lock

# What the standard module imports for its own use comes with the star too: the sockets are to be these.
create_connection, socket = _socket.create_connection, _socket.socket

__all__ = [
    name
    for name, value in vars(_standard).items()
    if not name.startswith("_")
    and not isinstance(value, ModuleType)
    and name not in ("create_connection", "namedtuple", "socket")
]

_PlainSocket = _socket.socket.__base__
_READ, _WRITE = 1, 2
# The most that goes into one record of TLS.
_RECORD = 16384


class SSLSocket(_standard.SSLSocket, _socket.socket):
    """A TLS connection whose methods let other greenlets run while they wait; as ssl.SSLSocket.

    Any number of greenlets may use it; those that write do so one after the other. The timeout bounds each call.
    """

    # The TLS library keeps a record that it could not send whole, and wants the same data again: a write must be
    # brought to its end before the next begins, also when the greenlet that began it was killed or ran out of time.
    # It is given one record at a time, so that there is little to finish.

    def _adopt(self):
        super()._adopt()
        self._write_lock = Lock()  # held by who writes
        self._unfinished = None  # the data (bytes) of a write that was given up with a record half sent
        self._drained = False  # whether the last read took all there was: the next one waits before it tries

    def _wait(self, events, deadline, what):
        try:
            self._stream.wait_until(events, deadline)
        except TimeoutError:
            raise TimeoutError(f"The {what} operation timed out") from None
        self._check_open()

    def _check_open(self):
        # The TLS library knows the descriptor by its number, which may be another file's by now.
        if self.fileno() < 0:
            raise OSError(errno.EBADF, "the socket was closed while this greenlet waited for it")

    def _until_done(self, what, function, *args, deadline=None):
        """Call a function of the TLS library until it does not have to wait for the peer any more."""
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
            self._wait(events, deadline, what or ("read" if events == _READ else "write"))

    def read(self, len=1024, buffer=None):
        """Read up to `len` bytes, into `buffer` if given; return them, or how many. Switches."""
        deadline = None
        if self._drained:
            self._drained = False
            if self._sslobj is not None and self._stream.timeout != 0:
                deadline = self._stream.deadline()
                self._wait(_READ, deadline, "read")
        else:
            self._stream.fair()
        result = self._until_done("read", super().read, len, buffer, deadline=deadline)
        # Less than was asked for is the rest of a record, and no full one: most likely the end of what was sent. The
        # TLS library has nothing yet of what comes next.
        count = _length(result) if buffer is None else result
        self._drained = 0 < count < len and count < _RECORD
        return result

    def write(self, data):
        """Write data; return how many bytes were written (int). Switches."""
        if self._sslobj is None:
            return super().write(data)
        return self._alone(self._write_all, self._sslobj, data)

    def send(self, data, flags=0):
        """Send data; return how many bytes were sent (int). Switches."""
        if self._sslobj is None or flags:
            return super().send(data, flags)
        return self._alone(self._write_all, self._sslobj, data)

    def sendall(self, data, flags=0):
        """Send all of the data. Switches."""
        if (
            type(data) is bytes
            and 0 < len(data) <= _RECORD
            and self._sslobj is not None
            and not flags
            and type(self).send is SSLSocket.send
        ):
            # One record: the usual case, with nothing to cut up.
            sent = self._alone(self._write, self._sslobj, data)
            if sent == len(data):
                return None
            data = data[sent:]
        return super().sendall(data, flags)

    def _alone(self, function, *args):
        """Call a function that writes when no other greenlet does, and nothing is left of an earlier write."""
        if not self._write_lock.acquire(False):
            if self.gettimeout() == 0:
                raise SSLWantWriteError(_standard.SSL_ERROR_WANT_WRITE, "another greenlet is writing")
            if not self._write_lock.acquire(timeout=-1 if self.gettimeout() is None else self.gettimeout()):
                raise TimeoutError("The write operation timed out")
        try:
            self._stream.fair()
            self._check_open()
            if self._unfinished is not None:
                self._write(self._sslobj, self._unfinished)
            return function(*args)
        finally:
            self._write_lock.release()

    def _write_all(self, connection, data):
        # Of the connection that it was when the call began: what was meant for TLS is never sent without.
        if type(data) is bytes and len(data) <= _RECORD:
            return self._write(connection, data)
        try:
            view = memoryview(data)
        except TypeError:
            return connection.write(data)  # says what is wrong
        deadline = self._stream.deadline()
        written = 0
        with view, view.cast("B") as rest:
            if not rest:
                return self._write(connection, rest)
            while written < len(rest):
                self._stream.fair()
                self._check_open()
                with rest[written : written + _RECORD] as record:
                    try:
                        written += self._write(connection, record, deadline)
                    except (SSLWantReadError, SSLWantWriteError):
                        if not written:
                            raise
                        return written
            return written

    def _write(self, connection, record, deadline=None):
        while True:
            try:
                written = connection.write(record)
                self._unfinished = None
                return written
            except (SSLWantReadError, SSLWantWriteError) as wanted:
                if self.gettimeout() == 0:
                    raise  # for the caller to call again with the same data
                events = _READ if isinstance(wanted, SSLWantReadError) else _WRITE
            if deadline is None:
                deadline = self._stream.deadline()
            try:
                self._wait(events, deadline, "write")
            except BaseException:
                if events == _WRITE:
                    self._unfinished = bytes(record)
                raise

    def do_handshake(self, block=False):
        """Make the handshake. Switches. `block`: wait for it even if the timeout is 0.

        A greenlet that is killed in the middle of it closes the connection.
        """
        self._check_connected()
        if self.fileno() < 0:
            self.getpeername()  # says that it is closed
        timeout = self._stream.timeout
        if timeout == 0 and block:
            self._stream.timeout = None
        try:
            self._until_done("handshake", self._sslobj.do_handshake)
        except Exception:
            raise
        except BaseException:
            # Nobody can use the connection any more, or close it when it is being made.
            self.close()
            raise
        finally:
            self._stream.timeout = timeout

    def unwrap(self):
        """End the TLS connection, and wait for the peer to do so; return the plain socket (this one). Switches."""
        if self._sslobj is None:
            return super().unwrap()  # says what is wrong
        plain = self._alone(self._until_done, None, self._sslobj.shutdown)
        self._sslobj = None
        return plain

    def connect(self, addr):
        """Connect, and make the handshake if ``do_handshake_on_connect`` is set. Switches.

        A greenlet that is killed in the handshake closes the socket; killed before it, it may connect again.
        """
        self._connecting(super().connect, addr)

    def connect_ex(self, addr):
        """Connect; return 0 or an error number instead of raising OSError. Switches. As connect()."""
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
    # What every context makes its sockets with, also those that have a class of their own for them.
    ours = isinstance(sock, _socket.socket)
    if not ours and not isinstance(sock, _PlainSocket):
        # Something that stands for a socket: of the kind that the program has.
        ours = _standard_socket.socket is _socket.socket
    if not ours:
        return plain_create(cls, sock, *args, **kwargs)
    if not issubclass(cls, SSLSocket):
        cls = _cooperative(cls)
    return plain_create(cls, _HandedOver(sock), *args, **kwargs)


class _HandedOver:
    """A socket whose descriptor goes to another one of ours: it stays non-blocking."""

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
    """The class that is like a subclass of ssl.SSLSocket, and cooperative."""
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
    """The certificate of the server at ``(host, port)``, as PEM (str). Switches.

    `timeout` in seconds, for connecting and for each wait of the handshake. With `ca_certs`, a file, it is checked.
    """
    context = SSLContext(ssl_version)
    context.check_hostname = False
    context.verify_mode = _standard.CERT_REQUIRED if ca_certs else _standard.CERT_NONE
    if ca_certs:
        context.load_verify_locations(ca_certs)
    with _socket.create_connection(addr, timeout=timeout) as sock:
        with context.wrap_socket(sock, server_hostname=addr[0]) as wrapped:
            return _standard.DER_cert_to_PEM_cert(wrapped.getpeercert(True))
