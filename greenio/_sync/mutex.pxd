# See mutex.pyx.

from cpython.object cimport PyObject

from hub.ready cimport fifo_t
from hub.wait_queue cimport Waitable


cdef class Lock(Waitable):
    cdef object __weakref__
    cdef bint held
    cdef fifo_t waiters

    cdef bint take(self, object blocking, object timeout) except -1
    cdef int give(self) except -1


cdef class RLock(Waitable):
    cdef object __weakref__
    cdef object owner        # the greenlet that holds it, or None
    cdef long depth          # how often that greenlet has taken it
    cdef fifo_t waiters

    cdef bint take(self, object blocking, object timeout) except -1
    cdef int give(self) except -1
    cdef int pass_on(self) except -1
