# See hooked.pyx.

from cpython.object cimport PyObject

from hub.waits cimport Wait

from greenio._sync.containers cimport Container, ItemLines
from greenio._sync.mutex cimport Lock


# The mutex of a queue.
cdef class QueueMutex(Lock):
    cdef object queue              # a weak reference


cdef class HookedContainer(Container):
    cdef unsigned long busy_thread
    cdef PyObject *busy_greenlet   # borrowed: it is running
    cdef list left_over            # items put in the middle of an operation of the same thread
    cdef Container replaced        # the plain container that the queue had before, or None
    # None until the program first uses the queue's `mutex`:
    cdef QueueMutex mutex
    cdef object when_not_empty     # Conditions
    cdef object when_not_full
    cdef object when_all_done

    cdef int replace(self, Container plain) except -1
    cdef bint has_room(self, ItemLines queue) except -1
    cdef bint enter(self, bint may_wait) except -1
    cdef int begin_turn(self) except -1
    cdef bint is_below(self) except -1
    cdef QueueMutex need_mutex(self, ItemLines queue)
    cdef int serve_in_turn(self, ItemLines queue) except -1
    cdef bint has_work(self, ItemLines queue) except -1
    cdef bint fail_getter(self, ItemLines queue, error) except -1
    cdef bint fail_putter(self, error, Wait putter) except -1
    cdef int serve(self, ItemLines queue) except -1
    cdef int put_back(self, ItemLines queue, object item, str how, str where) except -1
