"""The greenlets that use one TLS connection: how they call the TLS library, and when they try again.

Theory
    A call that would have to wait says for what, and is tried again when the descriptor is ready. But the library keeps
    data that it has received and not yet handed on. So one greenlet's call may take from the descriptor what another
    one waits for: more data than was asked for, the peer's end of the connection, a message of the handshake. After a
    call that may have taken something for others, these try again, as if the descriptor were ready.

Rules
    1. Among all threads, one greenlet at a time is inside the library: a callback in there may switch.
    2. A call that wants input is counted before it finds none, so that another thread that takes some knows of it.
    3. The library keeps a record that it could not send whole, and wants the same data again. So a write comes to its
       end before the next begins, even if the greenlet that began it was killed or ran out of time. The library is
       given one record at a time, so that there is little to finish.
    4. A call ends with the connection that it began with: data meant for TLS is never sent, or taken, without TLS.

What does not belong here: what the sockets of greenio.ssl look like.
"""

from errno import EBADF
from ssl import SSL_ERROR_EOF, SSL_ERROR_WANT_WRITE, SSL_ERROR_ZERO_RETURN
from ssl import SSLError, SSLWantReadError, SSLWantWriteError

from libc.stdint cimport uint64_t

from greenio._descriptors.holding import Held
from greenio._sync.mutex cimport Lock, RLock
from greenio._descriptors.endpoint cimport READ, WRITE, Endpoint

__all__ = ["Engine"]

cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
    int poll(pollfd *asked, unsigned long length, int timeout)
    short POLLIN

cdef enum:
    RECORD = 16384  # the most that goes into one record of TLS


cdef class Engine:
    """Calls the TLS library for all greenlets that use one socket (internal).

    The functions take the connection, an object of `_ssl`. They switch, and raise what the standard library raises.
    """

    cdef Endpoint endpoint
    cdef RLock inside        # held inside the TLS library
    cdef Lock writing        # held while writing
    cdef object unfinished   # the data (bytes) of a write that was given up with a record half sent, or None
    cdef bint drained        # whether the last read took all there was: the next one waits before it tries
    cdef bint established    # whether no handshake is under way that another one's call may bring to its end
    cdef bint over           # whether a read has found the end of the peer's data
    cdef long ending         # how many are in end(), or have been and came to its end
    cdef long readers        # how many are in read()
    cdef long others         # and how many are in another call that may want input

    def __init__(self, Endpoint endpoint):
        self.endpoint = endpoint
        self.inside = RLock()
        self.writing = Lock()

    # --- one call of the library ---

    cdef int enter(self) except -1:
        """Before a call of the library; `inside.give()` follows it."""
        self.inside.take(True, None)
        if self.endpoint.fd < 0:
            # The library knows the descriptor by its number, which may be another file's by now.
            self.inside.give()
            raise OSError(EBADF, f"the {self.endpoint.name} was closed while this greenlet waited for it")
        return 0

    cdef object call(self, function):
        self.enter()
        try:
            return function()
        finally:
            self.inside.give()

    cdef int wait(self, int events, uint64_t *due, what) except -1:
        if due[0] == 0 and self.endpoint.seconds > 0:
            due[0] = self.endpoint.deadline()
        try:
            self.endpoint.wait(events, due[0], True)
        except TimeoutError:
            raise TimeoutError(f"The {what} operation timed out") from None
        return 0

    cdef int changed(self) except -1:
        """Something may have been taken that somebody else waits for: let them try again."""
        self.drained = False
        if self.readers + self.others > 1:
            self.endpoint.try_again()
        return 0

    cdef int look_whether_established(self, connection) except -1:
        """After a call that may also have ended the handshake: let the greenlets that wait for that try again."""
        if not self.established and self.readers + self.others > 1 and connection.version() is not None:
            self.established = True
            self.endpoint.try_again()
        return 0

    # --- reading ---

    def read(self, connection, length, buffer, bint ragged):
        """Read up to `length` bytes, into `buffer` if it is not None; return them, or how many.

        `ragged`: whether an end without close_notify is like one with it.
        """
        cdef uint64_t due = 0
        cdef int events
        held = None
        self.readers += 1
        try:
            if self.drained and self.endpoint.seconds != 0:
                self.drained = False
                if buffer is not None:
                    held = Held((buffer,))
                self.wait(READ, &due, "read")
            else:
                self.endpoint.fair()
            while True:
                self.enter()
                try:
                    result = connection.read(length) if buffer is None else connection.read(length, buffer)
                    break
                except SSLWantReadError:
                    if self.endpoint.seconds == 0:
                        raise
                    events = READ
                except SSLWantWriteError:  # it has to answer something first
                    if self.endpoint.seconds == 0:
                        raise
                    events = WRITE
                finally:
                    self.inside.give()
                if held is None and buffer is not None:
                    held = Held((buffer,))
                self.look_whether_established(connection)
                self.wait(events, &due, "read" if events == READ else "write")
        except SSLError as error:
            self.over = not isinstance(error, (SSLWantReadError, SSLWantWriteError))
            self.changed()
            if (
                (ragged and error.args[0] == SSL_ERROR_EOF)
                # The library makes an error of it if close_notify has been sent, too. The reader did not send it.
                or (self.ending and error.args[0] == SSL_ERROR_ZERO_RETURN)
            ):
                return b"" if buffer is None else 0
            raise
        except BaseException:
            self.changed()
            raise
        finally:
            self.readers -= 1
            if held is not None:
                held.release()
        self.has_read(length, len(result) if buffer is None else result)
        return result

    cdef int has_read(self, Py_ssize_t length, Py_ssize_t count) except -1:
        # Less than was asked for is the rest of a record, and no full one: most likely the end of what was sent. The
        # library has nothing yet of what comes next.
        self.drained = 0 < count < length and count < RECORD
        self.over = count == 0 and length > 0
        if self.others or (self.readers and not self.drained):
            self.endpoint.try_again()
        return 0

    # --- writing ---

    def write(self, connection, data):
        """Write all of the data, when no other greenlet writes; return how many bytes that is.

        Less if the timeout is 0 and there is no more room.
        """
        self.begin_to_write(data)
        try:
            if type(data) is bytes and len(data) <= RECORD:
                return self.write_record(connection, data, 0)
            return self.write_all(connection, data)
        finally:
            self.end_to_write()

    cdef int begin_to_write(self, data=None) except -1:
        cdef Endpoint endpoint = self.endpoint
        if not self.writing.take(False, None):
            if endpoint.seconds == 0:
                raise SSLWantWriteError(SSL_ERROR_WANT_WRITE, "another greenlet is writing")
            with Held((data,)):
                if not self.writing.take(True, None if endpoint.seconds < 0 else endpoint.seconds):
                    raise TimeoutError("The write operation timed out")
        self.others += 1
        return 0

    cdef int end_to_write(self) except -1:
        self.others -= 1
        self.writing.give()
        return 0

    cdef object write_all(self, connection, data):
        cdef uint64_t due = self.endpoint.deadline()
        cdef Py_ssize_t written = 0
        try:
            view = memoryview(data)
        except TypeError:
            return connection.write(data)  # says what is wrong
        with view, view.cast("B") as rest:
            if not rest:
                return self.write_record(connection, rest, due)
            while written < len(rest):
                with rest[written : written + RECORD] as record:
                    try:
                        written += self.write_record(connection, record, due)
                    except (SSLWantReadError, SSLWantWriteError):
                        if not written:
                            raise
                        return written
            return written

    cdef object write_record(self, connection, record, uint64_t due):
        self.endpoint.fair()
        if self.unfinished is not None:
            self.write_on(connection, self.unfinished, due)
        return self.write_on(connection, record, due)

    cdef object write_on(self, connection, record, uint64_t due):
        cdef int events
        while True:
            self.enter()
            try:
                written = connection.write(record)
                self.unfinished = None
                break
            except SSLWantReadError:  # for the handshake, which others may bring to its end
                self.established = self.drained = False
                if self.endpoint.seconds == 0:
                    raise
                events = READ
            except SSLWantWriteError:
                if self.endpoint.seconds == 0:
                    raise  # for the caller to call again with the same data
                events = WRITE
            finally:
                self.inside.give()
            self.look_whether_established(connection)
            try:
                self.wait(events, &due, "write")
            except BaseException:
                if events == WRITE:
                    self.unfinished = bytes(record)
                raise
        self.look_whether_established(connection)
        return written

    def between_records(self, connection, function):
        """Call `function()` when no other greenlet writes, and no record is half sent; return what it returns."""
        self.begin_to_write()
        try:
            if self.unfinished is not None:
                self.write_on(connection, self.unfinished, 0)
            return self.call(function)
        finally:
            self.end_to_write()

    # --- beginning and end ---

    def handshake(self, connection, bint patient):
        """Make the handshake. `patient`: wait for it even if the timeout is 0."""
        cdef uint64_t due = 0
        cdef int events
        self.others += 1
        try:
            while True:
                try:
                    self.call(connection.do_handshake)
                    self.established = True
                    return
                except SSLWantReadError:
                    if self.endpoint.seconds == 0 and not patient:
                        raise
                    events = READ
                except SSLWantWriteError:
                    if self.endpoint.seconds == 0 and not patient:
                        raise
                    events = WRITE
                self.wait(events, &due, "handshake")
        finally:
            self.changed()
            self.others -= 1

    def end(self, connection):
        """Send close_notify and wait for the peer's; return the socket. Others may write to an end, and read.

        The library gives a connection up when it finds data here. So while a greenlet reads, that one finds the peer's
        close_notify.
        """
        cdef uint64_t due = 0
        cdef bint sent = False
        cdef int events = READ
        self.begin_to_write()
        self.ending += 1
        try:
            if self.unfinished is not None:
                self.write_on(connection, self.unfinished, due)
            while True:
                while self.readers and not self.over and self.endpoint.seconds != 0 and (sent or self.has_input()):
                    self.wait(READ, &due, "read")
                try:
                    return self.call(connection.shutdown)
                except SSLWantReadError:
                    if self.endpoint.seconds == 0:
                        raise
                    events = READ
                except SSLWantWriteError:
                    if self.endpoint.seconds == 0:
                        raise
                    events = WRITE
                if events == READ and not sent:
                    sent = True
                    self.writing.give()
                self.wait(events, &due, "read" if events == READ else "write")
        except BaseException:
            self.ending -= 1
            raise
        finally:
            self.changed()
            self.others -= 1
            if not sent:
                self.writing.give()

    cdef bint has_input(self) noexcept:
        cdef pollfd asked
        asked.fd, asked.events = self.endpoint.fd, POLLIN
        return poll(&asked, 1, 0) > 0
