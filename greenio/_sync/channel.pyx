"""Channel: a queue that holds nothing. Items go from hand to hand. It may be used from any thread.

Programs import it as `greenio.queue.Channel`. What does not belong here: queues that hold items.
"""

from collections import deque
from queue import Empty, Full

from hub.ready cimport fifo_t
from hub.waits cimport Wait
from hub.wait_queue cimport (
    Waitable, await_final_turn, line_grant, line_join, line_take, line_wake, new_turn,
)

from greenio._sync.containers cimport check_timeout
from greenio._sync.naming cimport name_type

__all__ = ["Channel"]


cdef class Channel(Waitable):
    """A queue that holds nothing: put() waits until a get() takes the item.

    `maxsize` is accepted for compatibility.
    """
    cdef object __weakref__
    cdef fifo_t takers
    cdef fifo_t givers       # each with the item it offers
    cdef object returned     # a deque of items that were given back, as an exception ended their taker's wait

    def __init__(self, maxsize=1):
        if maxsize != 1:
            raise ValueError(f"a channel holds nothing; maxsize can only be 1, not {maxsize!r}")
        self.returned = deque()

    @property
    def balance(self):
        """How many wait to put, less how many wait to get (int)."""
        return self.givers.length - self.takers.length

    @property
    def maxsize(self):
        """1, for compatibility: it holds nothing."""
        return 1

    def qsize(self):
        """0: it holds nothing."""
        return 0

    def empty(self):
        """True: it holds nothing."""
        return True

    def full(self):
        """True: it holds nothing."""
        return True

    def put(self, item, block=True, timeout=None):
        """Hand an item to a get(); wait for one at most `timeout` seconds (float; None for ever). Switches.

        Raises Full if the timeout passes first or, with ``block=False``, if no get() waits.
        """
        cdef Wait wait
        if line_grant(&self.takers, item):
            return
        if not block:
            raise Full
        wait = new_turn(self, check_timeout(timeout))
        wait.given = item
        if line_grant(&self.takers, item):
            return
        line_join(&self.givers, wait)
        if not await_final_turn(wait):
            raise Full

    def put_nowait(self, item):
        """As put(), without waiting."""
        self.put(item, False)

    def get(self, block=True, timeout=None):
        """Take an item from a put(); wait for one at most `timeout` seconds (float; None for ever). Switches.

        Raises Empty if the timeout passes first or, with ``block=False``, if no put() waits.
        """
        cdef Wait wait
        if not block:
            return self.get_nowait()
        wait = new_turn(self, check_timeout(timeout))
        if not self.take_now(wait):
            if not self.take_turn(wait):
                raise Empty
        return wait.given

    def get_nowait(self):
        """As get(), without waiting."""
        cdef Wait taker = Wait.__new__(Wait)
        if not self.take_now(taker):
            raise Empty
        return taker.given

    cdef bint take_now(self, Wait taker) except -1:
        cdef Wait giver
        if self.returned:
            taker.given = self.returned.popleft()
            return True
        giver = line_take(&self.givers)
        if giver is None:
            return False
        taker.given, giver.given = giver.given, None
        line_wake(giver)
        return True

    cdef fifo_t *line(self) except NULL:
        return &self.takers

    cdef int give_back(self, Wait taker) except -1:
        item, taker.given = taker.given, None
        if not line_grant(&self.takers, item):
            self.returned.append(item)
        return 0

    def __iter__(self):
        """Iterate by get(), up to an item that is the class StopIteration."""
        return self

    def __next__(self):
        """The next item. Switches if it has to wait for it."""
        item = self.get()
        if item is StopIteration:
            raise StopIteration
        return item

    next = __next__

    @classmethod
    def __class_getitem__(cls, item):
        return cls

    def __repr__(self):
        return (
            f"<{type(self).__name__} at {id(self):#x} {self.takers.length} waiting to get, "
            f"{self.givers.length} waiting to put>"
        )


name_type(Channel, b"greenio.queue.Channel")
