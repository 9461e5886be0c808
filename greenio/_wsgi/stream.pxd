# See stream.pyx.

from greenio._descriptors.endpoint cimport Endpoint


cdef class Stream:
    cdef public object sock
    cdef public object recv
    cdef public object send
    cdef readonly Endpoint endpoint
    cdef double write_seconds        # the limit of a write; negative: for ever
    cdef Py_ssize_t size             # how many bytes are received at a time, at most
    cdef bint is_tls
    cdef bint writing                # whether a write has begun, and was not completed
    cdef public bytes data           # the data that was received last
    cdef public Py_ssize_t position  # how many bytes of it are used

    cpdef bytes receive(self, timeout)
    cpdef Py_ssize_t rest(self)
    cpdef bytes take(self, Py_ssize_t most)
    cdef int begin_write(self) except -1
    cdef int send_all(self, data) except -1
    cpdef write(self, data)
    cpdef write_parts(self, bytes head, data, bytes tail=*)
