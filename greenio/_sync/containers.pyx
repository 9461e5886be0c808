"""The container that a plain queue keeps its items in, and the lines of greenlets that wait for a queue.

Theory
    A queue has three lines, for get, put and peek, and a container. Only the container works on the items. An operation
    on the container here runs no Python code in the middle. One that does needs more: hooked.pyx. A queue changes from
    a plain container to a hooked one when a program asks for its mutex.
"""

from _thread import TIMEOUT_MAX

from hub.arguments cimport count_of, seconds_of
from hub.waits cimport Wait
from hub.wait_queue cimport Waitable, line_grant, line_grant_all, line_take, line_wake

try:
    from queue import ShutDown
except ImportError:  # before CPython 3.13

    class ShutDown(Exception):
        """Raised by put() and get() of a queue that was shut down."""

        __module__ = "greenio.queue"


__all__ = ["ShutDown"]

cdef double LONGEST = TIMEOUT_MAX


cdef class Failure:
    """Granted to a wait in place of an item, or of room for one: the wait's call raises (internal)."""


cdef Failure failure_of(object error):
    cdef Failure failure = Failure.__new__(Failure)
    failure.error = error
    return failure


cdef Failure SHUT_DOWN = failure_of(None)


cdef int check_seconds(object timeout) except -1:
    cdef double seconds = seconds_of(timeout)
    if seconds < 0:
        raise ValueError("'timeout' must be a non-negative number")
    if seconds > LONGEST:
        raise OverflowError("timeout value is too large")
    return 0


cdef class ItemLines(Waitable):
    """The lines at a queue, its limit and its end (internal base class)."""

    cdef int set_limit(self, object maxsize) except -1:
        self.asked_limit = 0 if maxsize is None else count_of(maxsize, "the maxsize of a queue")
        self.limit = self.asked_limit if self.asked_limit > 0 else -1
        return 0

    cdef int note_put(self) except -1:
        """Called whenever an item has come in."""
        return 0

    cdef int refuse(self) except -1:
        raise ShutDown(f"{self!r} was shut down")

    cdef int refuse_putters(self) except -1:
        while line_grant(&self.putters, SHUT_DOWN):
            pass
        return 0

    cdef int refuse_all(self) except -1:
        """Wake all greenlets in the lines. The queue was shut down and is empty, or to be taken as empty."""
        self.refuse_putters()
        while line_grant(&self.getters, SHUT_DOWN):
            pass
        line_grant_all(&self.peekers)
        return 0

    cdef object item_of(self, Wait wait):
        """The item that was granted to a wait. Raises the exception if a Failure was granted in its place."""
        item, wait.given = wait.given, None
        if type(item) is Failure:
            if (<Failure> item).error is None:
                self.refuse()
            raise (<Failure> item).error
        return item


cdef class Container:
    """Items in a list or deque: no operation runs Python code in the middle (internal)."""

    cdef int keep(self, object items) except -1:
        """Use these items from now on."""
        self.items = items
        self.append_item = items.append
        self.pop_item = items.pop if self.newest_first else items.popleft
        return 0

    cdef bint put(self, ItemLines queue, object item, bint may_wait) except -1:
        """Put an item in, if there is room. Returns whether there was. Waits only if `may_wait`, for the mutex."""
        if queue.closed:
            queue.refuse()
        if queue.getters.head != NULL and line_grant(&queue.getters, item):
            queue.note_put()
            return True
        if queue.limit >= 0 and <long> len(self.items) >= queue.limit:
            return False
        self.append_item(item)
        queue.note_put()
        if queue.peekers.head != NULL:
            line_grant_all(&queue.peekers)
        return True

    cdef bint get(self, ItemLines queue, Wait taker, bint may_wait) except -1:
        """Take an item, as `taker.given`. Returns whether there was one. Waits as put() does."""
        if len(self.items) == 0:
            if queue.closed:
                queue.refuse()
            return False
        taker.given = self.pop_item()
        if queue.putters.head != NULL:
            self.admit(queue)
        return True

    cdef int admit(self, ItemLines queue) except -1:
        """Put in the items of the greenlets that wait for room, as many as there is room for."""
        cdef Wait wait
        while queue.limit < 0 or <long> len(self.items) < queue.limit:
            wait = line_take(&queue.putters)
            if wait is None:
                break
            item, wait.given = wait.given, None
            if queue.getters.head == NULL or not line_grant(&queue.getters, item):
                self.append_item(item)
            queue.note_put()
            line_wake(wait)
        return 0

    cdef long size(self, ItemLines queue) except -1:
        return len(self.items)

    cdef long size_in_turn(self, ItemLines queue) except -1:
        """The size when no operation is under way."""
        return len(self.items)

    cdef int refuse_below(self, ItemLines queue) except -1:
        """Raise BlockingSwitchOutError if the greenlet waits for itself: it is in an operation, further down."""
        return 0

    cdef int look_again(self, ItemLines queue) except -1:
        """Serve the lines, which a wait has joined: the items may have changed since its call looked at them."""
        return 0

    cdef int give_back(self, ItemLines queue, object item) except -1:
        """Put an item back whose taker was ended by an exception."""
        if self.newest_first:
            self.append_item(item)
        else:
            self.items.appendleft(item)
        return 0

    cdef int limit_changed(self, ItemLines queue) except -1:
        return self.admit(queue)

    cdef bint drop(self, ItemLines queue) except -1:
        """Take an item out, and admit none in its place. Returns False if the container is in use."""
        self.pop_item()
        return True

    cdef int shut_down(self, ItemLines queue, bint entered) except -1:
        """Wake the greenlets that wait in vain. `entered`: the result of enter_mutex(); the mutex is given up."""
        if len(self.items) == 0:
            queue.refuse_all()
        return 0

    # --- the mutex of the queue: a plain container has none ---

    cdef bint enter_mutex(self) except -1:
        """Take the mutex, if there is one and the caller does not hold it. Returns whether leave() must follow."""
        return False

    cdef int leave(self, ItemLines queue) except -1:
        return 0

    cdef int tell_of_end(self) except -1:
        """Notify all waits of the conditions `not_empty` and `not_full`."""
        return 0

    cdef int tell_of_all_done(self) except -1:
        """Notify all waits of the condition `all_tasks_done`."""
        return 0
