# See containers.pyx.

from hub.ready cimport fifo_t
from hub.waits cimport Wait
from hub.wait_queue cimport Waitable


# Granted to a wait in place of an item, or of room for one: the wait's call raises.
cdef class Failure:
    cdef object error              # the exception; None for ShutDown


cdef class Container


# A queue's lines, its limit and its container.
cdef class ItemLines(Waitable):
    cdef object __weakref__
    cdef Container container
    cdef long asked_limit          # the `maxsize` that the program has set
    cdef long limit                # how many items the queue holds at most, or -1
    cdef bint closed               # whether it was shut down
    cdef unsigned int calls        # the number of calls that did not wait, for fair()
    cdef fifo_t getters
    cdef fifo_t putters            # each with the item it offers
    cdef fifo_t peekers

    cdef int set_limit(self, object maxsize) except -1
    cdef int note_put(self) except -1
    cdef int refuse(self) except -1
    cdef int refuse_putters(self) except -1
    cdef int refuse_all(self) except -1
    cdef object item_of(self, Wait wait)


# The items of a queue, and all operations on them.
cdef class Container:
    cdef object items              # a deque or a list, or an object that a program has put in its place
    cdef object append_item        # bound methods of the items, for a plain container
    cdef object pop_item
    cdef bint newest_first
    cdef bint hooked               # whether it is a HookedContainer
    cdef bint busy                 # whether a greenlet is in the middle of an operation; never for a plain container

    cdef int keep(self, object items) except -1
    cdef bint put(self, ItemLines queue, object item, bint may_wait) except -1
    cdef bint get(self, ItemLines queue, Wait taker, bint may_wait) except -1
    cdef int admit(self, ItemLines queue) except -1
    cdef long size(self, ItemLines queue) except -1
    cdef long size_in_turn(self, ItemLines queue) except -1
    cdef int refuse_below(self, ItemLines queue) except -1
    cdef int look_again(self, ItemLines queue) except -1
    cdef int give_back(self, ItemLines queue, object item) except -1
    cdef int limit_changed(self, ItemLines queue) except -1
    cdef bint drop(self, ItemLines queue) except -1
    cdef int shut_down(self, ItemLines queue, bint entered) except -1
    cdef bint enter_mutex(self) except -1
    cdef int leave(self, ItemLines queue) except -1
    cdef int tell_of_end(self) except -1
    cdef int tell_of_all_done(self) except -1


cdef Failure failure_of(object error)
cdef int check_seconds(object timeout) except -1


cdef inline object check_timeout(object timeout):
    """The timeout of a call, if it is one: None, or seconds within what the standard library takes."""
    if timeout is not None:
        check_seconds(timeout)
    return timeout
