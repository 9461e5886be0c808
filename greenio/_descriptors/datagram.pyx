"""Datagrams: receiving with the sender's address, and sending to one.

These methods of greenio.socket.socket serve the families of addresses.pxd. For other families, host names, wrong
arguments and every other special case they call the standard library's method, through `socket._recvfrom` and
`socket._sendto`.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.errno cimport errno
from libc.stdint cimport uint64_t

from greenio._descriptors.addresses cimport address_of, address_t, family_is_known, object_of_address
from greenio._descriptors.endpoint cimport READ, WRITE, Endpoint, endpoint_of
from greenio._descriptors.transfer cimport SCRATCH, scratch_buffer

__all__ = ["recvfrom", "sendto"]

cdef extern from *:
    """
    static Py_ssize_t greenio_recvfrom(int fd, void *buffer, size_t size, int flags, greenio_address *from)
    {
        from->length = sizeof from->storage;
        from->storage.ss_family = AF_UNSPEC;
        return recvfrom(fd, buffer, size, flags | MSG_DONTWAIT, (struct sockaddr *) &from->storage, &from->length);
    }

    static Py_ssize_t greenio_sendto(int fd, const void *buffer, size_t size, int flags, const greenio_address *to)
    {
        return sendto(fd, buffer, size, flags | MSG_DONTWAIT, (const struct sockaddr *) &to->storage, to->length);
    }
    """
    Py_ssize_t greenio_recvfrom(int fd, void *buffer, size_t size, int flags, address_t *sender)
    Py_ssize_t greenio_sendto(int fd, const void *buffer, size_t size, int flags, const address_t *to)
    int AF_INET

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1


def recvfrom(self, *args):
    """recvfrom(bufsize[, flags]) -> (bytes, address): as in the standard library. Switches while there is nothing."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef address_t sender
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    cdef int size
    cdef int flags
    if not family_is_known(endpoint.family) or not is_plain(args, 0) or not (
        len(args) == 1 or (len(args) == 2 and is_plain(args, 1))
    ):
        return self._recvfrom(*args)
    size = args[0]
    flags = args[1] if len(args) == 2 else 0
    if not 0 <= size <= SCRATCH or endpoint.is_for_all(flags):
        return self._recvfrom(*args)
    if endpoint.left_error != 0:
        endpoint.raise_left_error()
    endpoint.fair()
    while True:
        if endpoint.fd < 0:
            endpoint.closed()
        count = greenio_recvfrom(endpoint.fd, scratch_buffer(), size, flags, &sender)
        if count >= 0:
            break
        endpoint.again(errno, READ, flags, &due)
    data = PyBytes_FromStringAndSize(scratch_buffer(), count)
    return data, object_of_address(&sender)


def sendto(self, *args):
    """sendto(data[, flags], address) -> count: as in the standard library. Switches while nothing can be sent."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef address_t to
    cdef Py_buffer view
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    cdef int flags = 0
    cdef Py_ssize_t given = len(args)
    if (
        endpoint.family != AF_INET
        or not (given == 2 or (given == 3 and is_plain(args, 1)))
        or not address_of(args[given - 1], &to)
    ):
        return self._sendto(*args)
    if given == 3:
        flags = args[1]
    PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE)
    try:
        PySys_Audit("socket.sendto", "OO", <PyObject *> self, <PyObject *> args[given - 1])
        endpoint.fair()
        while True:
            if endpoint.fd < 0:
                endpoint.closed()
            count = greenio_sendto(endpoint.fd, view.buf, view.len, flags, &to)
            if count >= 0:
                return count
            endpoint.again(errno, WRITE, flags, &due)
    finally:
        PyBuffer_Release(&view)


cdef bint is_plain(tuple args, Py_ssize_t index) except -1:
    """Whether there is an argument at that index, and it is a number that fits into a C int."""
    return index < len(args) and type(args[index]) is int and -0x80000000 <= args[index] <= 0x7FFFFFFF
