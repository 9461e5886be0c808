"""Sending to and receiving from connected sockets: recv, recv_into, send and sendall of greenio.socket.socket.

Theory
    A call is tried; when it would block, the greenlet waits for the descriptor and tries again. A receive that got
    less than it asked for has drained the socket, so the next one waits first and spares the call that would only
    say EAGAIN.

Rules
    1. Data is received into one scratch buffer and copied out, which is cheaper than to shrink a large bytes object.
       The GIL is held from the call to the copy. Large amounts are received straight into the bytes object.
    2. A timeout bounds the whole call, however many waits it takes.
    3. A socket without a timeout counts as a blocking one: MSG_WAITALL waits for all.

What does not belong here: addresses (datagram.pyx), waiting (endpoint.pyx).
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_XDECREF
from libc.errno cimport errno
from libc.stdint cimport uint64_t

from greenio._descriptors.endpoint cimport READ, WRITE, Endpoint, endpoint_of
from greenio._descriptors.pauses import Pauses

__all__ = ["recv", "recv_into", "send", "sendall", "wait_for_peek"]

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t length) except NULL
    char *bytes_buffer "PyBytes_AS_STRING"(PyObject *)
    int _PyBytes_Resize(PyObject **, Py_ssize_t length) except -1

cdef extern from "sys/socket.h" nogil:
    ssize_t c_recv "recv"(int fd, void *buffer, size_t length, int flags)
    ssize_t c_send "send"(int fd, const void *buffer, size_t length, int flags)
    int MSG_DONTWAIT
    int MSG_PEEK
    int MSG_WAITALL

cdef extern from *:
    """
    #include <poll.h>

    #ifndef POLLRDHUP
    #define POLLRDHUP 0x2000
    #endif

    /* Whether the peer's data has ended: no more will come than is there. */
    static int greenio_has_ended(int fd)
    {
        struct pollfd asked = {fd, POLLRDHUP, 0};
        return poll(&asked, 1, 0) > 0;
    }
    """
    bint greenio_has_ended(int fd)

cdef char scratch[SCRATCH]


cdef char *scratch_buffer() noexcept:
    return scratch


cdef Py_ssize_t receive(Endpoint endpoint, char *buffer, Py_ssize_t length, int flags) except -1:
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    if length == 0:
        return 0  # as in the standard library, which asks the system for nothing
    if flags & MSG_WAITALL and endpoint.is_for_all(flags):
        return receive_all(endpoint, buffer, length, flags)
    endpoint.begin_receive(flags, &due)
    while True:
        if endpoint.fd < 0:
            endpoint.closed()
        count = c_recv(endpoint.fd, buffer, length, flags | MSG_DONTWAIT)
        if count >= 0:
            endpoint.drained = endpoint.is_stream and 0 < count < length and flags == 0
            return count
        endpoint.again(errno, READ, flags, &due)


cdef Py_ssize_t receive_all(Endpoint endpoint, char *buffer, Py_ssize_t length, int flags) except -1:
    """Receive `length` bytes, or fewer if an end or an error comes before. The next call raises that error."""
    cdef Py_ssize_t count
    cdef Py_ssize_t done = 0
    cdef uint64_t due = 0
    cdef int error
    if flags & MSG_PEEK:
        return peek_all(endpoint, buffer, length, flags)
    if endpoint.left_error != 0:
        endpoint.raise_left_error()
    endpoint.fair()
    while True:
        if endpoint.fd < 0:
            endpoint.closed()
        count = c_recv(endpoint.fd, buffer + done, length - done, flags | MSG_DONTWAIT)
        error = errno
        if count >= 0:
            done += count
            if count == 0 or done >= length:
                return done
            continue
        try:
            endpoint.again(error, READ, flags, &due)
        except OSError:
            if done:
                endpoint.leave_error(error)
                return done
            raise


cdef Py_ssize_t peek_all(Endpoint endpoint, char *buffer, Py_ssize_t length, int flags) except -1:
    """Peek at `length` bytes, or fewer if no more will come. The system does not report more data, so this polls."""
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    pauses = None
    while True:
        if endpoint.fd < 0:
            endpoint.closed()
        count = c_recv(endpoint.fd, buffer, length, flags | MSG_DONTWAIT)
        if count < 0:
            endpoint.again(errno, READ, flags, &due)
            continue
        if count == 0 or count >= length or greenio_has_ended(endpoint.fd):
            return count
        if pauses is None:
            pauses = Pauses(0.001, 0.05, None if endpoint.limit(READ) < 0 else endpoint.limit(READ))
        if not pauses.pause():
            return count


def wait_for_peek(Endpoint endpoint, Py_ssize_t length, int flags):
    """Wait until `length` bytes can be peeked at, or no more will come. Switches."""
    unwanted = bytearray(length)
    if length:
        peek_all(endpoint, PyByteArray_AS_STRING(unwanted), length, flags)


def recv(self, Py_ssize_t bufsize, int flags=0, /):
    """recv(bufsize[, flags]) -> bytes: as in the standard library. Switches while there is nothing to receive."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef Py_ssize_t count
    if bufsize < 0:
        raise ValueError("negative buffersize in recv")
    if endpoint.much or bufsize > SCRATCH or flags & MSG_WAITALL:
        return receive_much(endpoint, bufsize, flags)
    # Other greenlets use `scratch` too, but none runs between the call that fills it and the copy.
    count = receive(endpoint, scratch, bufsize, flags)
    if count == SCRATCH:
        endpoint.much = True
    return PyBytes_FromStringAndSize(scratch, count)


cdef bytes receive_much(Endpoint endpoint, Py_ssize_t bufsize, int flags):
    """Receive into a bytes object of that size, made for each try: a greenlet that waits holds none."""
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    cdef int error
    cdef PyObject *data
    if bufsize == 0:
        return b""
    if endpoint.is_for_all(flags):
        whole = PyBytes_FromStringAndSize(NULL, bufsize)
        count = receive_all(endpoint, PyBytes_AS_STRING(whole), bufsize, flags)
        return whole if count == bufsize else whole[:count]
    endpoint.begin_receive(flags, &due)
    while True:
        if endpoint.fd < 0:
            endpoint.closed()
        data = new_bytes(NULL, bufsize)
        count = c_recv(endpoint.fd, bytes_buffer(data), bufsize, flags | MSG_DONTWAIT)
        error = errno
        if count >= 0:
            endpoint.drained = endpoint.is_stream and 0 < count < bufsize and flags == 0
            endpoint.much = count > SCRATCH // 2
            if count < bufsize:
                _PyBytes_Resize(&data, count)
            result = <bytes> data
            Py_DECREF(result)
            return result
        Py_XDECREF(data)
        endpoint.again(error, READ, flags, &due)


def recv_into(self, buffer, Py_ssize_t nbytes=0, int flags=0):
    """recv_into(buffer[, nbytes[, flags]]) -> number of bytes: as in the standard library. Switches."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef Py_buffer view
    if nbytes < 0:
        raise ValueError("negative buffersize in recv_into")
    try:
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE | PyBUF_SIMPLE)
    except (BufferError, TypeError):
        kind = type(buffer).__name__
        raise TypeError(f"recv_into() argument 1 must be read-write bytes-like object, not {kind}") from None
    try:
        if nbytes == 0:
            nbytes = view.len
        elif nbytes > view.len:
            raise ValueError("buffer too small for requested bytes")
        return receive(endpoint, <char *> view.buf, nbytes, flags)
    finally:
        PyBuffer_Release(&view)


def send(self, data, int flags=0, /):
    """send(data[, flags]) -> number of bytes sent: as in the standard library. Switches while nothing can be sent."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return send_once(endpoint, <char *> view.buf, view.len, flags)
    finally:
        PyBuffer_Release(&view)


cdef Py_ssize_t send_once(Endpoint endpoint, char *buffer, Py_ssize_t length, int flags) except -1:
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    endpoint.fair()
    while True:
        if endpoint.fd < 0:
            endpoint.closed()
        count = send_some(endpoint.fd, buffer, length, flags)
        if count >= 0:
            return count
        endpoint.again(errno, WRITE, flags, &due)


def sendall(self, data, int flags=0, /):
    """sendall(data[, flags]): send all of it, within the socket's timeout. Switches while nothing can be sent.

    On an error it is not known how much was sent.
    """
    cdef Endpoint endpoint = endpoint_of(self)
    cdef Py_buffer view
    if type(data) is bytes:
        send_all(endpoint, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), flags)
        return
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        send_all(endpoint, <char *> view.buf, view.len, flags)
    finally:
        PyBuffer_Release(&view)


cdef int send_all(Endpoint endpoint, char *buffer, Py_ssize_t length, int flags) except -1:
    cdef Py_ssize_t count
    cdef Py_ssize_t done = 0
    cdef uint64_t due = 0
    while True:
        endpoint.fair()
        if endpoint.fd < 0:
            endpoint.closed()
        count = send_some(endpoint.fd, buffer + done, length - done, flags)
        if count < 0:
            endpoint.again(errno, WRITE, flags, &due)
            continue
        done += count
        if done >= length:
            return 0


cdef Py_ssize_t send_some(int fd, char *buffer, Py_ssize_t length, int flags) noexcept:
    cdef Py_ssize_t count
    flags |= MSG_DONTWAIT
    if length <= SCRATCH:
        return c_send(fd, buffer, length, flags)
    with nogil:
        count = c_send(fd, buffer, length, flags)
    return count
