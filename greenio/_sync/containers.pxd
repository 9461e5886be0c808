# See containers.pyx.

from hub.ready cimport fifo_t
from hub.waits cimport Wait
from hub.wait_queue cimport Waitable


# Granted to a wait instead of an item, or instead of room for one: with an exception, or None for a shutdown.
cdef class Failure:
    cdef object error


cdef class Container


# A queue's lines, its limit, and what it keeps its items in.
cdef class ItemLines(Waitable):
    cdef object __weakref__
    cdef Container container
    cdef long asked_limit          # what `maxsize` was set to
    cdef long limit                # how many items it holds at most, or -1
    cdef bint closed               # whether it was shut down
    cdef unsigned int calls        # how many did not have to wait, for fair()
    cdef fifo_t getters
    cdef fifo_t putters            # each with the item it offers
    cdef fifo_t peekers

    cdef int set_limit(self, object maxsize) except -1
    cdef int note_put(self) except -1
    cdef int refuse(self) except -1
    cdef int refuse_putters(self) except -1
    cdef int refuse_all(self) except -1
    cdef object item_of(self, Wait wait)


# What a queue keeps its items in, and all that is done to them.
cdef class Container:
    cdef object items              # a deque or a list, or what a program has put in its place
    cdef object append_item        # its bound methods, of a plain one
    cdef object pop_item
    cdef bint newest_first
    cdef bint hooked               # whether it is a HookedContainer
    cdef bint busy                 # whether somebody is using the items; a plain one is used in one go

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
