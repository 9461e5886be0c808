"""Stream: receiving and sending the bytes of one connection, with a time limit for each wait.

Rules
    1. A time limit of None means for ever. Limits are set on the socket's endpoint, which keeps its timers from one
       wait to the next, so that a limit costs no work on the loop.
    2. A limit on writing counts from the last progress, not from the beginning of an answer.
    3. No more data is received while earlier data is unused. So no more is held in memory than one receive.
    4. Nothing is sent after a write that was not completed, whatever has interrupted it. Otherwise one answer would
       stand in the middle of another.

What does not belong here: what the bytes mean.
"""

import socket as _standard
import struct
from _socket import socket as _basic
from time import monotonic

from greenio._wsgi.limits import LINGER_PAUSE

__all__ = ["Stream"]

#: How many bytes a TLS socket is given at a time. Each block may take `write_timeout`.
cdef Py_ssize_t BLOCK = 65536
#: From this size on (bytes), the parts of an answer are sent one after the other, and not copied together.
cdef Py_ssize_t LARGE = 131072
_MORE = _standard.MSG_MORE
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # for SO_LINGER: close() drops unsent data, and resets the connection


cdef class Stream:
    """The bytes of one connection.

    `data`: the data that was received last. `position`: how many bytes of it are used. `sock`, `endpoint`, `recv`,
    `send`: the socket, its endpoint and methods.
    """

    def __init__(self, sock, write_timeout, Py_ssize_t size):
        self.sock = sock
        self.endpoint = sock._endpoint
        self.recv, self.send = sock.recv, sock.send
        self.is_tls = hasattr(sock, "do_handshake")
        self.write_seconds = -1 if write_timeout is None else write_timeout
        self.size = size
        self.data = b""

    # --- receiving ---

    cpdef bytes receive(self, timeout):
        """Receive more data; b"" at the end. All earlier data must be used. Switches.

        Raises TimeoutError after `timeout` seconds (float; None for ever), or another OSError.
        """
        self.endpoint.seconds = -1 if timeout is None else timeout
        self.data = self.recv(self.size)
        self.position = 0
        return self.data

    cpdef Py_ssize_t rest(self):
        """Return how many bytes were received and are not used (int)."""
        return len(self.data) - self.position

    cpdef bytes take(self, Py_ssize_t most):
        """Use, and return, up to `most` bytes of the received data."""
        cdef bytes data = self.data
        if not self.position and len(data) <= most:
            self.data = b""
            return data
        data = data[self.position : self.position + most]
        self.position += len(data)
        return data

    # --- sending ---

    cdef int begin_write(self) except -1:
        if self.writing:
            raise ConnectionAbortedError("an earlier write was interrupted or goes on: nothing can be sent behind it")
        self.writing = True
        self.endpoint.seconds = self.write_seconds
        return 0

    cdef int send_all(self, data) except -1:
        cdef Py_ssize_t length = len(data)
        cdef Py_ssize_t sent = 0
        if length <= BLOCK:
            sent = self.send(data)
            if sent == length:
                return 0
        view = memoryview(data)
        while sent < length:
            # A greenlet that has received meanwhile has set its own limit.
            self.endpoint.seconds = self.write_seconds
            sent += self.send(view[sent : sent + (BLOCK if self.is_tls else length)])
        return 0

    cpdef write(self, data):
        """Send all of `data`. Switches while the peer takes no more.

        Raises OSError: TimeoutError if it takes too long, ConnectionAbortedError if an earlier write was not completed.
        """
        self.begin_write()
        self.send_all(data)
        self.writing = False

    cpdef write_parts(self, bytes head, data, bytes tail=b""):
        """Send three parts one after the other, together if they are small. Switches. Raises as write()."""
        if len(data) < LARGE:
            self.write(b"%b%b%b" % (head, data, tail) if tail else head + data)
            return
        if head:
            self.write_more(head)
        self.write(data)
        if tail:
            self.write(tail)

    def write_more(self, data):
        """Send data to which more is added at once. The system may wait for that. Switches. Raises as write()."""
        self.begin_write()
        sent = 0
        if not self.is_tls:
            sent = self.send(data, _MORE)
        if sent < len(data):
            self.send_all(data[sent:])
        self.writing = False

    def write_file(self, file, offset, count):
        """Send `count` bytes of a file from `offset` on. Switches. Raises as write().

        Returns how many bytes were sent (int): fewer, if the file is shorter.
        """
        done = 0
        self.begin_write()
        while done < count:
            self.endpoint.seconds = self.write_seconds
            most = min(count - done, 1 << 20)
            sent = self.sock.sendfile(file, offset + done, most)
            done += sent
            if sent < most:
                break
        self.writing = False
        return done

    # --- the end ---

    def has_more(self):
        """Whether unused data is there (bool). If so, close() would reset the connection. Does not switch."""
        if self.rest():
            return True
        try:
            # The socket's own recv() would wait.
            return bool(_basic.recv(self.sock, 1, _standard.MSG_PEEK | _standard.MSG_DONTWAIT))
        except (OSError, ValueError):
            return False

    def reset(self):
        """Reset the connection: the peer gets an error, and not the end of the stream. Does not switch."""
        try:
            self.sock.setsockopt(_standard.SOL_SOCKET, _standard.SO_LINGER, _RESET_ON_CLOSE)
        except OSError:
            pass  # it is closed already
        self.sock.close()

    def linger(self, seconds):
        """Shut down sending, and drop the data that still comes, for up to `seconds` (RFC 9112, 9.6). Switches."""
        try:
            self.sock.shutdown(_standard.SHUT_WR)
            end = monotonic() + seconds
            while (left := end - monotonic()) > 0:
                if not self.receive(min(left, LINGER_PAUSE)):
                    return
        except OSError:
            return  # the caller closes the connection next
        finally:
            self.data = b""
            self.position = 0
