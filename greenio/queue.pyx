"""Queues between greenlets, and threads. Everything here may be used from any thread.

Methods that wait say that they switch. Methods that answer a question, or fail at once, may switch too: see rule 1.

Theory
    An item goes from hand to hand: put() gives it to the first greenlet that waits to get one. Only if there is none
    does the item go into the container. A get() that makes room takes the item of the first greenlet that waits to put
    one.

Rules
    1. A call that need not wait may be made again and again. So it lets others run now and then (be_fair()): get()
       before it takes an item; a question before it is answered; a call that must not wait before its last look.
    2. Greenlets wait to get only while the queue is empty, and to put only while it is full.
    3. After a call of the container that may have run Python code, everything is looked at again.

What does not belong here: operations on the items (_sync/containers.pyx), hooks of subclasses and the mutex in which
they run (_sync/hooked.pyx), the queue that holds no items (_sync/channel.pyx).
"""

import heapq
from collections import deque
from queue import Empty, Full

from hub.arguments cimport count_of, seconds_of
from hub.ready cimport fifo_t
from hub.scheduler cimport be_fair
from hub.unraisable import tell_unraisable
from hub.waits cimport Wait
from hub.wait_queue cimport (
    await_final_turn, await_turn, line_grant, line_grant_all, line_join, line_withdraw, new_turn,
)

from greenio._sync.channel import Channel
from greenio._sync.containers cimport Container, Failure, ItemLines, check_timeout
from greenio._sync.containers import ShutDown
from greenio._sync.hooked cimport HookedContainer

__all__ = [
    "Channel", "Empty", "Full", "JoinableQueue", "LifoQueue", "PriorityQueue", "Queue", "ShutDown", "SimpleQueue",
]  # fmt: skip


cdef class SimpleQueue(ItemLines):
    """A first-in, first-out queue without task counting.

    `maxsize`: how many items it holds; None, 0 or less for any number. `items`: its first items (an iterable).
    """
    cdef bint own_put              # whether put() is that of a subclass
    cdef bint own_get

    def __init__(self, maxsize=None, items=()):
        self.setup(maxsize, items)

    cdef int setup(self, object maxsize, object items) except -1:
        kind = type(self)
        self.set_limit(maxsize)
        hooked = any(
            getattr(kind, name) is not getattr(base_of(kind), name) for name in ("_init", "_put", "_get", "_qsize")
        )
        # As in the standard library, put_nowait() and get_nowait() call the put() and get() of a subclass.
        self.own_put = kind.put is not SimpleQueue.put
        self.own_get = kind.get is not SimpleQueue.get
        if self.container is None:  # otherwise this is another call of __init__(), maybe in the middle of a hook
            self.container = HookedContainer() if hooked or isinstance(self, PriorityQueue) else Container()
            self.container.newest_first = isinstance(self, LifoQueue)
        if hooked and kind._init is not base_of(kind)._init:
            self._init(maxsize)
            for item in items:
                self._put(item)
        else:
            self.queue = self._create_queue(items)
        return 0

    # --- the container: hooks, as the standard library's queues have them ---

    @property
    def queue(self):
        """The container of the items: a deque, or a list. Assignable."""
        return self.container.items

    @queue.setter
    def queue(self, value):
        self.container.keep(value)

    def _create_queue(self, items=()):
        return deque(items)

    def _init(self, maxsize):
        self.queue = self._create_queue()

    def _put(self, item):
        self.queue.append(item)

    def _get(self):
        return self.queue.popleft()

    def _peek(self):
        return self.queue[0]

    def _qsize(self):
        return len(self.container.items)

    cdef long size(self) except -1:
        return self.container.size(self)

    cdef inline int fair(self) except -1:
        """Let others run now and then, but not in the middle of another call, where they find the queue in use."""
        self.calls += 1
        return be_fair() if self.calls & 63 == 0 and not self.container.busy else 0

    # --- put ---

    def put(self, item, block=True, timeout=None):
        """Put an item in; while the queue is full wait at most `timeout` seconds (float; None for ever). May switch.

        Raises Full if the timeout passes first or, with ``block=False``, if the queue is full; ShutDown if it was shut
        down.
        """
        cdef Wait wait
        if timeout is not None:
            if block and self.limit >= 0:
                check_timeout(timeout)
            else:
                seconds_of(timeout)
        if self.container.put(self, item, True):
            return
        if not block:
            self.put_or_fail(item)
            return
        wait = new_turn(self, check_timeout(timeout))
        wait.given = item
        if self.container.put(self, item, False):
            return
        self.container.refuse_below(self)
        line_join(&self.putters, wait)
        try:
            self.joined()
        except BaseException:
            line_withdraw(wait)
            raise
        if not await_final_turn(wait):
            raise Full
        if type(wait.given) is Failure:
            self.item_of(wait)

    def put_nowait(self, item):
        """Put an item in, without waiting. Raises Full if the queue is full, or ShutDown.

        Does not switch if there is room. If it is called again and again while there is none, others run meanwhile.
        """
        if self.own_put:
            self.put(item, block=False)
        else:
            self.put_or_fail(item)

    cdef int put_or_fail(self, object item) except -1:
        if self.container.put(self, item, True):
            return 0
        self.fair()
        if not self.container.put(self, item, True):
            raise Full
        return 0

    # --- get ---

    def get(self, block=True, timeout=None):
        """Take an item out; while there is none wait at most `timeout` seconds (float; None for ever). May switch.

        Raises Empty if the timeout passes first or, with ``block=False``, if there is none; ShutDown if there is
        none and the queue was shut down; OverflowError for a timeout beyond threading.TIMEOUT_MAX.
        """
        cdef Wait wait
        if block:
            check_timeout(timeout)
            self.fair()
        if not self.container.hooked and len(self.container.items):
            # The plain case, without a wait.
            item = self.container.pop_item()
            if self.putters.head != NULL:
                self.container.admit(self)
            return item
        if not block:
            return self.get_or_fail()
        if self.closed or self.container.hooked:
            wait = Wait.__new__(Wait)
            if self.container.get(self, wait, True):
                return self.item_of(wait)
        wait = new_turn(self, timeout)
        if self.container.get(self, wait, False):
            return self.item_of(wait)
        self.container.refuse_below(self)
        if not self.take_turn(wait):
            raise Empty
        return self.item_of(wait)

    def get_nowait(self):
        """Take an item out, without waiting. Raises Empty if there is none, or ShutDown.

        Does not switch if there is one. If it is called again and again while there is none, others run meanwhile.
        """
        return self.get(block=False) if self.own_get else self.get_or_fail()

    cdef object get_or_fail(self):
        cdef Wait taker = Wait.__new__(Wait)
        if not self.container.get(self, taker, True):
            self.fair()
            if not self.container.get(self, taker, True):
                raise Empty
        return self.item_of(taker)

    def peek(self, block=True, timeout=None):
        """Return the item that get() would take, and leave it; wait as get() does. May switch. Raises Empty."""
        cdef Wait wait
        cdef bint granted
        if timeout is not None:
            seconds_of(timeout)
        wait = None
        while self.size() == 0:
            if self.closed:
                raise ShutDown(f"{self!r} was shut down")
            if not block:
                raise Empty
            if wait is None or timeout is None:
                wait = new_turn(self, check_timeout(timeout))
            else:
                due = wait.c.due
                wait = new_turn(self, timeout)
                wait.c.due = due
            if self.size():
                break
            line_join(&self.peekers, wait)
            granted = await_turn(wait)
            if not granted:
                raise Empty
        return self._peek()

    def peek_nowait(self):
        """As peek(), without waiting."""
        return self.peek(False)

    # --- for wait_any() ---

    cdef bint take_now(self, Wait taker) except -1:
        return self.container.get(self, taker, False)

    cdef fifo_t *line(self) except NULL:
        return &self.getters

    cdef int joined(self) except -1:
        return self.container.look_again(self)

    cdef object taken(self, Wait taker):
        return self.item_of(taker)

    cdef int give_back(self, Wait taker) except -1:
        item, taker.given = taker.given, None
        if type(item) is Failure:
            if (<Failure> item).error is not None:
                message = "Exception ignored in get(), whose greenlet was ended meanwhile, of"
                tell_unraisable((<Failure> item).error, message, self)
            return 0
        return 0 if line_grant(&self.getters, item) else self.container.give_back(self, item)

    # --- state ---

    @property
    def maxsize(self):
        """How many items it holds at most (int), as given: 0 or less for any number.

        Assignable: greenlets that wait to put may go on then.
        """
        return self.asked_limit

    @maxsize.setter
    def maxsize(self, value):
        self.set_limit(value)
        self.container.limit_changed(self)

    def qsize(self):
        """How many items are in it (int). If that is asked again and again, others get their turn first."""
        self.fair()
        return self.container.size_in_turn(self)

    def empty(self):
        """Whether there is nothing in it (bool). If that is asked again and again, others get their turn first."""
        self.fair()
        return self.container.size_in_turn(self) == 0

    def full(self):
        """Whether it holds as many items as it can (bool). If that is asked again and again, others get their turn."""
        self.fair()
        return 0 <= self.limit <= self.container.size_in_turn(self)

    @property
    def is_shutdown(self):
        """Whether it was shut down (bool)."""
        return self.closed

    def __len__(self):
        return self.size()

    def __bool__(self):
        """True, however many items there are."""
        return True

    def __iter__(self):
        """Iterate by get(), up to an item that is the class StopIteration, or the queue's shutdown."""
        return self

    def __next__(self):
        """The next item. Switches if it has to wait for it."""
        try:
            item = self.get()
        except ShutDown:
            raise StopIteration from None
        if item is StopIteration:
            raise StopIteration
        return item

    next = __next__

    def copy(self):
        """A new queue of the same class with the same items and limit. No greenlet waits for it."""
        return type(self)(self.maxsize, self.queue)

    @classmethod
    def __class_getitem__(cls, item):
        return cls

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x}{self.describe()}>"

    def describe(self):
        """Its state, for the repr (str)."""
        parts = ["" if self.limit < 0 else f" maxsize={self.limit}", f" {self.size()} items"]
        if self.closed:
            parts.append(" shut down")
        if self.getters.length or self.peekers.length:
            parts.append(f", {self.getters.length + self.peekers.length} waiting to get")
        if self.putters.length:
            parts.append(f", {self.putters.length} waiting to put")
        return "".join(parts)


cdef object base_of(kind):
    """The class of this module from which a class of queues inherits its hooks."""
    for base in kind.__mro__:
        if base.__module__ == __name__:
            return base


cdef class Queue(SimpleQueue):
    """A first-in, first-out queue that counts tasks: `task_done()` and `join()`; and that can be shut down.

    `maxsize`: how many items it holds; None, 0 or less for any number. `items`: its first items (an iterable).
    `unfinished_tasks`: how many tasks count as unfinished at first, by default the number of `items`.
    """
    cdef dict __dict__           # the standard one has one, and programs use it
    cdef long unfinished         # items put for which task_done() was not called yet
    cdef fifo_t joiners

    def __init__(self, maxsize=None, items=(), unfinished_tasks=None):
        self.setup(maxsize, items)
        if unfinished_tasks is None:
            self.unfinished = self.size()
        else:
            self.unfinished = count_of(unfinished_tasks, "unfinished_tasks")

    cdef int note_put(self) except -1:
        self.unfinished += 1
        return 0

    @property
    def unfinished_tasks(self):
        """How many items were put for which task_done() was not called yet (int). Assignable: 0 ends every join()."""
        return self.unfinished

    @unfinished_tasks.setter
    def unfinished_tasks(self, long value):
        self.unfinished = value
        if value <= 0:
            line_grant_all(&self.joiners)

    @property
    def mutex(self):
        """The lock that every operation on the queue takes, as in the standard library.

        The queue is slower once this lock or one of the conditions has been used.
        """
        return self.hooked().mutex

    cdef HookedContainer hooked(self):
        """The container, which becomes a hooked one with a mutex if it is not yet."""
        cdef HookedContainer container
        if not self.container.hooked:
            container = HookedContainer()
            if not self.container.hooked:  # another thread may have been faster
                container.replace(self.container)
                self.container = container
        container = self.container
        container.need_mutex(self)
        return container

    @property
    def not_empty(self):
        """The Condition, with `mutex`, that is notified when an item has come in."""
        return self.hooked().when_not_empty

    @property
    def not_full(self):
        """The Condition, with `mutex`, that is notified when an item has gone."""
        return self.hooked().when_not_full

    @property
    def all_tasks_done(self):
        """The Condition, with `mutex`, that is notified when `unfinished_tasks` is 0."""
        return self.hooked().when_all_done

    def task_done(self):
        """Count one item as done. Does not switch. Raises ValueError if it is called more often than items were put."""
        cdef bint entered = self.container.enter_mutex()
        try:
            if self.unfinished <= 0:
                raise ValueError("task_done() called too many times")
            self.unfinished -= 1
            if self.unfinished == 0:
                self.tell_all_done()
        finally:
            if entered:
                self.container.leave(self)

    cdef int tell_all_done(self) except -1:
        line_grant_all(&self.joiners)
        return self.container.tell_of_all_done()

    def join(self, timeout=None):
        """Wait until task_done() was called for every item, at most `timeout` seconds (float; None for ever).

        Returns True, or False if the timeout passed first. Switches if it waits.
        """
        cdef Wait wait
        if timeout is not None:
            seconds_of(timeout)
        if self.unfinished <= 0:
            return True
        wait = new_turn(self, timeout)
        if self.unfinished <= 0:
            return True
        line_join(&self.joiners, wait)
        return await_turn(wait)

    def shutdown(self, immediate=False):
        """Let put() raise ShutDown from now on, and get() when the queue is empty. Does not switch.

        `immediate`: throw the items away, and count them as done. Greenlets that wait are woken.
        """
        cdef bint entered = self.container.enter_mutex()
        try:
            self.closed = True
            self.refuse_putters()
            if immediate:
                dropped = 0
                while self.size() and self.container.drop(self):
                    dropped += 1
                self.unfinished = max(0, self.unfinished - dropped)
                if self.unfinished == 0:
                    self.tell_all_done()
            self.container.tell_of_end()
        finally:
            line_grant_all(&self.peekers)  # each peek() looks again
            self.container.shut_down(self, entered)

    def copy(self):
        """A new queue of the same class with the same items, limit and count of tasks. No greenlet waits for it."""
        return type(self)(self.maxsize, self.queue, self.unfinished)

    def describe(self):
        """Its state, for the repr (str)."""
        tasks = f" tasks={self.unfinished}" if self.unfinished else ""
        joining = f", {self.joiners.length} waiting to join" if self.joiners.length else ""
        return SimpleQueue.describe(self) + tasks + joining


class JoinableQueue(Queue):
    """The same as Queue, by the name that it has in older programs."""


cdef class LifoQueue(Queue):
    """A queue whose newest item comes out first."""

    def _create_queue(self, items=()):
        return list(items)

    def _get(self):
        return self.queue.pop()

    def _peek(self):
        return self.queue[-1]


cdef class PriorityQueue(Queue):
    """A queue whose smallest item comes out first."""

    def _create_queue(self, items=()):
        heap = list(items)
        heapq.heapify(heap)
        return heap

    def _put(self, item):
        heapq.heappush(self.queue, item)

    def _get(self):
        heap = self.queue
        first = heap[0]
        try:
            return heapq.heappop(heap)
        except BaseException:
            heap.append(first)  # a comparison failed, and the item is out of the heap already
            raise
