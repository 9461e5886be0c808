"""How the greenlets that share one TLS connection call the TLS library, and when they try again.

Theory
    A call that would have to wait names the direction, and is tried again when the descriptor is ready for it. But the
    library keeps data that it has received and not yet handed on. So the call of one greenlet may take from the
    descriptor what another greenlet waits for: more data than was asked for, the peer's end of the connection, a part
    of the handshake. After a call that may have taken something for others, these try again, as if the descriptor were
    ready.

Rules
    1. Among all threads, one greenlet at a time is inside the library: a callback in there may switch.
    2. A call that wants input is counted before it finds none. So another thread that takes some input knows of it.
    3. The library keeps a record that it could not send whole, and wants the same data again. So a write is finished
       before the next begins, even if the greenlet that began it was killed or ran out of time. The library is given
       one record at a time, so that there is little to finish.
    4. A call ends with the connection that it began with: data meant for TLS is never sent, or taken, without TLS.

What does not belong here: the interface of the sockets (greenio.ssl).
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
    cdef bint established    # false while a handshake may be under way, which any greenlet's call may finish
    cdef bint over           # whether a read has found the end of the peer's data
    cdef long ending         # the number of greenlets that are in end(), or have returned from it
    cdef long readers        # the number of greenlets in read()
    cdef long others         # the number of greenlets in other calls that may want input

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
        """After a call that may have taken what other greenlets wait for: let them try again."""
        self.drained = False
        if self.readers + self.others > 1:
            self.endpoint.try_again()
        return 0

    cdef int check_established(self, connection) except -1:
        """After a call that may also have finished the handshake: let the greenlets that wait for that try again."""
        if not self.established and self.readers + self.others > 1 and connection.version() is not None:
            self.established = True
            self.endpoint.try_again()
        return 0

    # --- reading ---

    def read(self, connection, length, buffer, bint ragged):
        """Read up to `length` bytes, into `buffer` if it is not None. Returns them or, with a buffer, their number.

        `ragged`: whether an end without close_notify counts as an end, and not as an error.
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
                except SSLWantWriteError:  # the library has to send an answer first
                    if self.endpoint.seconds == 0:
                        raise
                    events = WRITE
                finally:
                    self.inside.give()
                if held is None and buffer is not None:
                    held = Held((buffer,))
                self.check_established(connection)
                self.wait(events, &due, "read" if events == READ else "write")
        except SSLError as error:
            self.over = not isinstance(error, (SSLWantReadError, SSLWantWriteError))
            self.changed()
            if (
                (ragged and error.args[0] == SSL_ERROR_EOF)
                # If close_notify was sent here, too, the library raises an error. But the reader did not send it.
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
        # Fewer bytes than asked for, and than a full record, are the rest of a record: most likely the peer's data ends
        # here. The library has received nothing of the data after it.
        self.drained = 0 < count < length and count < RECORD
        self.over = count == 0 and length > 0
        if self.others or (self.readers and not self.drained):
            self.endpoint.try_again()
        return 0

    # --- writing ---

    def write(self, connection, data):
        """Write all of the data, when no other greenlet writes. Returns the number of bytes (int).

        It is less if the timeout is 0 and there is no room for all.
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
            self.send_record(connection, self.unfinished, due)
        return self.send_record(connection, record, due)

    cdef object send_record(self, connection, record, uint64_t due):
        cdef int events
        while True:
            self.enter()
            try:
                written = connection.write(record)
                self.unfinished = None
                break
            except SSLWantReadError:  # for the handshake, which any greenlet's call may finish
                self.established = self.drained = False
                if self.endpoint.seconds == 0:
                    raise
                events = READ
            except SSLWantWriteError:
                if self.endpoint.seconds == 0:
                    raise  # the caller must call again with the same data
                events = WRITE
            finally:
                self.inside.give()
            self.check_established(connection)
            try:
                self.wait(events, &due, "write")
            except BaseException:
                if events == WRITE:
                    self.unfinished = bytes(record)
                raise
        self.check_established(connection)
        return written

    def between_records(self, connection, function):
        """Call `function()` when no other greenlet writes, and no record is half sent. Returns its result."""
        self.begin_to_write()
        try:
            if self.unfinished is not None:
                self.send_record(connection, self.unfinished, 0)
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
        """Send close_notify and wait for the peer's; return the socket. Writes finish first, and reads go on meanwhile.

        If the library finds data in this call, it gives the connection up. So while another greenlet reads, that
        greenlet finds the peer's close_notify.
        """
        cdef uint64_t due = 0
        cdef bint sent = False
        cdef int events = READ
        self.begin_to_write()
        self.ending += 1
        try:
            if self.unfinished is not None:
                self.send_record(connection, self.unfinished, due)
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
