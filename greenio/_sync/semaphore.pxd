# See semaphore.pyx.

from hub.ready cimport fifo_t

from greenio._sync.linkable cimport Linkable


cdef class Semaphore(Linkable):
    cdef object __weakref__
    cdef long count          # how many may be taken now; no greenlet stands in line while it is not 0
    cdef fifo_t waiters      # in acquire()
    cdef fifo_t onlookers    # in wait()

    cdef bint take(self, object blocking, object timeout) except -1
    cdef int give(self) except -1
    cdef int add(self, long n) except -1
    cdef int give_checked(self, long n) except -1


cdef class BoundedSemaphore(Semaphore):
    cdef long initial        # the most that the counter may be
