# See stream.pyx.

from greenio._descriptors.endpoint cimport Endpoint


cdef class Stream:
    cdef public object sock
    cdef public object recv
    cdef public object send
    cdef readonly Endpoint endpoint
    cdef double write_seconds        # negative for ever
    cdef Py_ssize_t size             # the most that is received at a time
    cdef bint is_tls
    cdef bint writing              # a write has begun, and was not completed
    cdef public bytes data           # what was received last
    cdef public Py_ssize_t position  # up to where that was used

    cpdef bytes receive(self, timeout)
    cpdef Py_ssize_t rest(self)
    cpdef bytes take(self, Py_ssize_t most)
    cdef int begin_write(self) except -1
    cdef int send_all(self, data) except -1
    cpdef write(self, data)
    cpdef write_parts(self, bytes head, data, bytes tail=*)
