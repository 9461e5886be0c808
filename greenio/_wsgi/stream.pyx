"""Stream: a connection's bytes. What has come and is not used yet, and how long may be waited for more.

Rules
    1. A time limit of None means for ever. It is set on the socket's endpoint, which keeps its timers from one wait to
       the next: that costs no work on the loop.
    2. A limit on writing counts from the last progress, not from the beginning of an answer.
    3. No more is received before what has come is used, so what is held is bounded by one receive.
    4. Nothing is sent behind a write that was not completed, whatever has interrupted it: a part of one thing would be
       followed by another.

What does not belong here: what the bytes mean.
"""

import socket as _standard
import struct
from _socket import socket as _basic
from time import monotonic

from greenio._wsgi.limits import LINGER_PAUSE

__all__ = ["Stream"]

#: How much is given to the socket at a time: what may take one `write_timeout` where it is encrypted.
cdef Py_ssize_t BLOCK = 65536
#: From here on, two parts of an answer are written one after the other instead of being copied together.
cdef Py_ssize_t LARGE = 131072
_MORE = _standard.MSG_MORE
_AT_ONCE = struct.pack("ii", 1, 0)  # for SO_LINGER: nothing that waits to be sent is sent any more


cdef class Stream:
    """The bytes of one connection.

    `data`, `position`: what was received last, and up to where it was used. `sock`, `endpoint`, `recv`, `send`: the
    socket, its endpoint and methods.
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
        """Receive more; b"" at the end. What was received before must have been used. Switches.

        Raises TimeoutError after so many seconds, or another OSError.
        """
        self.endpoint.seconds = -1 if timeout is None else timeout
        self.data = self.recv(self.size)
        self.position = 0
        return self.data

    cpdef Py_ssize_t rest(self):
        """How many bytes have come and are not used."""
        return len(self.data) - self.position

    cpdef bytes take(self, Py_ssize_t most):
        """Use up to so many bytes of what has come; return them."""
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
            # Whoever has received meanwhile has set another time.
            self.endpoint.seconds = self.write_seconds
            sent += self.send(view[sent : sent + (BLOCK if self.is_tls else length)])
        return 0

    cpdef write(self, data):
        """Send all of it. Switches while the peer does not take it.

        Raises OSError: TimeoutError if it takes too long, ConnectionAbortedError if an earlier write was not completed.
        """
        self.begin_write()
        self.send_all(data)
        self.writing = False

    cpdef write_parts(self, bytes head, data, bytes tail=b""):
        """Send three things in a row, at once if that can be. Switches."""
        if len(data) < LARGE:
            self.write(b"%b%b%b" % (head, data, tail) if tail else head + data)
            return
        if head:
            self.write_more(head)
        self.write(data)
        if tail:
            self.write(tail)

    def write_more(self, data):
        """Send something to which more is to be added at once: the system may wait for that. Switches."""
        self.begin_write()
        sent = 0
        if not self.is_tls:
            sent = self.send(data, _MORE)
        if sent < len(data):
            self.send_all(data[sent:])
        self.writing = False

    def write_file(self, file, offset, count):
        """Send a part of a file; return how many bytes that were: fewer, if the file is shorter. Switches."""
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
        """Whether something has come that nobody has used, which a close() would answer with a reset."""
        if self.rest():
            return True
        try:
            # Not the socket's own recv(), which waits.
            return bool(_basic.recv(self.sock, 1, _standard.MSG_PEEK | _standard.MSG_DONTWAIT))
        except (OSError, ValueError):
            return False

    def reset(self):
        """Close the connection so that the peer gets an error, and not the end of what was sent. Does not switch."""
        try:
            self.sock.setsockopt(_standard.SOL_SOCKET, _standard.SO_LINGER, _AT_ONCE)
        except OSError:
            pass  # it is closed already
        self.sock.close()

    def linger(self, seconds):
        """Say that nothing more will be sent, and take what still comes, for a while (RFC 9112, 9.6). Switches."""
        try:
            self.sock.shutdown(_standard.SHUT_WR)
            end = monotonic() + seconds
            while (left := end - monotonic()) > 0:
                if not self.receive(min(left, LINGER_PAUSE)):
                    return
        except OSError:
            return  # whatever it was, the connection is closed next
        finally:
            self.data = b""
            self.position = 0
