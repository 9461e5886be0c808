"""Datagrams: receiving with the sender's address, and sending to one.

The methods of greenio.socket.socket, for the families whose addresses are converted here: IPv4, IPv6 and Unix. For
others, for host names, for arguments that are wrong and for whatever else is not plain, they call the standard
library's method, through `socket._recvfrom` and `socket._sendto`.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.errno cimport errno
from libc.stdint cimport uint64_t

from greenio._descriptors.endpoint cimport READ, SCRATCH, WRITE, Endpoint, scratch_buffer, endpoint_of

__all__ = ["recvfrom", "sendto"]

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <netinet/in.h>
    #include <stddef.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/un.h>

    typedef struct {
        struct sockaddr_storage storage;
        socklen_t length;
    } greenio_address;

    static int greenio_family_is_known(int family)
    {
        return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
    }

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

    /* What Python calls an address of one of the families above; a new reference. None if the system gave none. */
    static PyObject *greenio_address_object(const greenio_address *address)
    {
        char text[INET6_ADDRSTRLEN];

        if (address->length == 0)
            Py_RETURN_NONE;
        if (address->storage.ss_family == AF_INET) {
            const struct sockaddr_in *in = (const struct sockaddr_in *) &address->storage;
            inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
            return Py_BuildValue("(si)", text, (int) ntohs(in->sin_port));
        }
        if (address->storage.ss_family == AF_INET6) {
            const struct sockaddr_in6 *in = (const struct sockaddr_in6 *) &address->storage;
            inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
            return Py_BuildValue("(siII)", text, (int) ntohs(in->sin6_port), (unsigned int) ntohl(in->sin6_flowinfo),
                                 (unsigned int) in->sin6_scope_id);
        }
        if (address->storage.ss_family == AF_UNIX) {
            const struct sockaddr_un *un = (const struct sockaddr_un *) &address->storage;
            Py_ssize_t length = (Py_ssize_t) address->length - (Py_ssize_t) offsetof(struct sockaddr_un, sun_path);
            if (length > 0 && un->sun_path[0] == 0) /* Linux's abstract names */
                return PyBytes_FromStringAndSize(un->sun_path, length);
            if (length <= 0)
                return PyUnicode_FromString("");
            return PyUnicode_DecodeFSDefaultAndSize(un->sun_path, (Py_ssize_t) strnlen(un->sun_path, (size_t) length));
        }
        {
            const struct sockaddr *other = (const struct sockaddr *) &address->storage;
            return Py_BuildValue("(iy#)", (int) other->sa_family, other->sa_data, (Py_ssize_t) sizeof other->sa_data);
        }
    }

    /* Makes an IPv4 address of ("1.2.3.4", 5). 0 if it is anything else, or wrong. */
    static int greenio_address_of(PyObject *object, greenio_address *address)
    {
        struct sockaddr_in *in = (struct sockaddr_in *) &address->storage;
        PyObject *host, *port;
        const char *text;
        Py_ssize_t length;
        long number;

        if (!PyTuple_CheckExact(object) || PyTuple_GET_SIZE(object) != 2)
            return 0;
        host = PyTuple_GET_ITEM(object, 0);
        port = PyTuple_GET_ITEM(object, 1);
        if (!PyUnicode_CheckExact(host) || !PyUnicode_IS_ASCII(host) || !PyLong_CheckExact(port))
            return 0;
        number = PyLong_AsLong(port);
        if (number == -1 && PyErr_Occurred())
            PyErr_Clear();
        if (number < 0 || number > 0xFFFF)
            return 0;
        text = PyUnicode_AsUTF8AndSize(host, &length);
        if (text == NULL) {
            PyErr_Clear();
            return 0;
        }
        memset(in, 0, sizeof *in);
        if (length >= INET_ADDRSTRLEN || strlen(text) != (size_t) length)
            return 0;
        if (inet_pton(AF_INET, text, &in->sin_addr) != 1)
            return 0;
        in->sin_family = AF_INET;
        in->sin_port = htons((unsigned short) number);
        address->length = sizeof *in;
        return 1;
    }
    """
    ctypedef struct greenio_address:
        pass
    bint greenio_family_is_known(int family)
    Py_ssize_t greenio_recvfrom(int fd, void *buffer, size_t size, int flags, greenio_address *sender)
    Py_ssize_t greenio_sendto(int fd, const void *buffer, size_t size, int flags, const greenio_address *to)
    object greenio_address_object(const greenio_address *address)
    bint greenio_address_of(object address, greenio_address *result)
    int AF_INET

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1


def recvfrom(self, *args):
    """recvfrom(bufsize[, flags]) -> (bytes, address): as in the standard library. Switches while there is nothing."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef greenio_address sender
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    cdef int size
    cdef int flags
    if not greenio_family_is_known(endpoint.family) or not is_plain(args, 0) or not (
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
    return data, greenio_address_object(&sender)


def sendto(self, *args):
    """sendto(data[, flags], address) -> count: as in the standard library. Switches while nothing can be sent."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef greenio_address to
    cdef Py_buffer view
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    cdef int flags = 0
    cdef Py_ssize_t given = len(args)
    if (
        endpoint.family != AF_INET
        or not (given == 2 or (given == 3 and is_plain(args, 1)))
        or not greenio_address_of(args[given - 1], &to)
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
    """Whether an argument is there and a number that fits into a C int."""
    return index < len(args) and type(args[index]) is int and -0x80000000 <= args[index] <= 0x7FFFFFFF
