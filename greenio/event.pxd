# See event.pyx.

from hub.ready cimport fifo_t

from greenio._sync.linkable cimport Linkable


cdef class Event(Linkable):
    cdef dict __dict__           # the standard one has one, and programs use it
    cdef object __weakref__
    cdef bint flag
    cdef fifo_t waiters

    cdef int raise_flag(self) except -1


cdef class AsyncResult(Linkable):
    cdef object __weakref__
    cdef bint is_set
    cdef object result_value
    cdef object error            # an exception instance, or None
    cdef object error_traceback  # its traceback when it was set
    cdef fifo_t waiters

    cdef object outcome(self)
