# See reading.pyx.

from greenio._wsgi.parser cimport HeadParser
from greenio._wsgi.stream cimport Stream


cdef class Requests:
    cdef public object socket
    cdef public object client_address
    cdef public object server
    cdef public object application
    cdef public object client
    cdef public object environ
    cdef public object wsgi_input
    cdef public bint close_connection
    cdef public bint idle
    cdef readonly double idle_since
    cdef public object websocket_upgrade   # the Upgrade of a request for a WebSocket that is being answered, or None
    cdef readonly Stream stream
    cdef object limits
    cdef object script_name
    cdef object forwarded_from
    cdef Py_ssize_t unchecked   # heads up to this size are within the limits
    cdef HeadParser parser
    cdef readonly bytes _head      # the head of the request, or the beginning of one that was refused
    cdef bint upgrade    # whether the client asks for another protocol
    cdef bint is_11      # whether the request is HTTP/1.1
    cdef readonly object began    # when the time for a connection's first head began, or None
    cdef readonly tuple _address   # REMOTE_ADDR and REMOTE_PORT
    cdef object is_draining

    cdef early_hints(self)
    cdef bytes head_in_pieces(self)
    cdef int check_size(self, bytearray buffer) except -1
    cdef int expect_body(self, environ, length) except -1
    cdef int read_upgrade(self, environ, length) except -1
    cdef bint check_expectation(self, environ) except -1
