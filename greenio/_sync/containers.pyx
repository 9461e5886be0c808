"""The containers that queues keep their items in, with their lines: the plain one, which C code changes in one go.

Theory
    A queue has three lines, for get, put and peek, and a container, which alone works on the items. A container that
    runs Python code in the middle needs more: hooked.pyx. A queue changes from a plain container to a hooked one when a
    program asks for its mutex.
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
    """Granted to a wait instead of an item, or instead of room for one (internal)."""


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
        """An item has come in."""
        return 0

    cdef int refuse(self) except -1:
        raise ShutDown(f"{self!r} was shut down")

    cdef int refuse_putters(self) except -1:
        while line_grant(&self.putters, SHUT_DOWN):
            pass
        return 0

    cdef int refuse_all(self) except -1:
        """It was shut down, and is empty or to be taken as such: nobody can put, and nobody get."""
        self.refuse_putters()
        while line_grant(&self.getters, SHUT_DOWN):
            pass
        line_grant_all(&self.peekers)
        return 0

    cdef object item_of(self, Wait wait):
        """What was granted: an item. Raises what was granted in place of one."""
        item, wait.given = wait.given, None
        if type(item) is Failure:
            if (<Failure> item).error is None:
                self.refuse()
            raise (<Failure> item).error
        return item


cdef class Container:
    """Items of the standard library's own types: nothing runs Python code in the middle (internal)."""

    cdef int keep(self, object items) except -1:
        """These are the items from now on."""
        self.items = items
        self.append_item = items.append
        self.pop_item = items.pop if self.newest_first else items.popleft
        return 0

    cdef bint put(self, ItemLines queue, object item, bint may_wait) except -1:
        """Put it if that can be done without waiting, but for the mutex if `may_wait`."""
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
        """Take an item if there is one: `taker.given`. Without waiting, but for the mutex if `may_wait`."""
        if len(self.items) == 0:
            if queue.closed:
                queue.refuse()
            return False
        taker.given = self.pop_item()
        if queue.putters.head != NULL:
            self.admit(queue)
        return True

    cdef int admit(self, ItemLines queue) except -1:
        """Take the items of the greenlets that wait to put, as many as there is room for."""
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
        """The size that it has when nobody is using it."""
        return len(self.items)

    cdef int refuse_below(self, ItemLines queue) except -1:
        """Waiting for a turn that the greenlet itself has, further down, would be for ever."""
        return 0

    cdef int look_again(self, ItemLines queue) except -1:
        """Somebody has come into a line: much may have happened since there was a look at the items."""
        return 0

    cdef int give_back(self, ItemLines queue, object item) except -1:
        """Put an item in whose taker was ended meanwhile."""
        if self.newest_first:
            self.append_item(item)
        else:
            self.items.appendleft(item)
        return 0

    cdef int limit_changed(self, ItemLines queue) except -1:
        return self.admit(queue)

    cdef bint drop(self, ItemLines queue) except -1:
        """Take an item out without letting another in. False if the container is in use."""
        self.pop_item()
        return True

    cdef int shut_down(self, ItemLines queue, bint entered) except -1:
        """Wake greenlets whose waits are in vain. `entered`: the result of enter_mutex(); the mutex is left."""
        if len(self.items) == 0:
            queue.refuse_all()
        return 0

    # --- of the queue's mutex, which a plain one does not have ---

    cdef bint enter_mutex(self) except -1:
        """Take the mutex, if it is there and not held below: whether leave() is to be called."""
        return False

    cdef int leave(self, ItemLines queue) except -1:
        return 0

    cdef int tell_of_end(self) except -1:
        """Wake all who wait with the conditions for an item, or for room."""
        return 0

    cdef int tell_of_all_done(self) except -1:
        """Wake all who wait with the condition for the end of all tasks."""
        return 0
