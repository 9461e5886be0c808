"""Queues between greenlets, and threads. Everything here may be used from any thread.

Theory
    An item goes from hand to hand: put() gives it to the first who waits to get one, and only if there is nobody
    into the container. A get() that makes room takes the item of the first who waits to put one.

Rules
    1. Containers of the standard library's own types are changed in C, in one go, as everything in a line is.
    2. A subclass that overrides _init, _put, _get or _qsize, and a PriorityQueue, whose items are compared, run
       Python code in the middle. Those take the queue's turn first. Who finds it taken by another thread waits for
       a moment; who finds it taken below himself, in a finalizer, leaves the item for the owner of the turn.
    3. What is called again and again and need not wait lets others run now and then (be_fair()): a get() before it
       takes an item; what only asks, before it answers; what fails as it must not wait, before it looks a last time.
    4. Whoever waits to get something does so only while there is nothing, and to put only while it is full.
    5. What a hook raises belongs to whose put(), get() or peek() it was called for, and that is over then; nobody else
       waits longer for it. What is no Exception may have been meant for the one who runs: he gets it as well.
    6. A queue whose `mutex` was asked for has that as its turn from then on, in which programs may do what they do
       with the standard library's. Who waits stands in the lines as ever; they are served when the mutex is given up.
"""

import heapq
import weakref
from _thread import TIMEOUT_MAX
from collections import deque
from queue import Empty, Full

from cpython.object cimport PyObject
from posix.unistd cimport usleep

from hub.errors import BlockingSwitchOutError
from hub.native import get_ident
from hub.unraisable import tell_unraisable
from hub.greenlet_api cimport import_greenlet, running_greenlet
from hub.arguments cimport count_of, seconds_of
from hub.ready cimport fifo_t
from hub.scheduler cimport Wait, be_fair
from hub.wait_queue cimport (
    Waitable, await_final_turn, await_turn, line_grant, line_grant_all, line_join, line_peek, line_take, line_wake,
    line_withdraw, new_turn,
)

from greenio._sync.condition import Condition
from greenio._sync.mutex cimport Lock

try:
    from queue import ShutDown
except ImportError:  # before CPython 3.13

    class ShutDown(Exception):
        """Raised by put() and get() of a queue that was shut down."""


import_greenlet()

__all__ = [
    "Channel", "Empty", "Full", "JoinableQueue", "LifoQueue", "PriorityQueue", "Queue", "ShutDown", "SimpleQueue",
]  # fmt: skip

cdef enum kind_t:
    KIND_FIFO    # the container is a deque
    KIND_LIFO    # the container is a list
    KIND_HOOKED  # the container is used through _put, _get and _qsize


cdef double LONGEST = TIMEOUT_MAX
cdef object SHUT_DOWN = object()  # granted in place of an item, or for one, when the queue is shut down


cdef class Failure:
    """Granted to whoever waits, in place of an item: the exception that came of it."""
    cdef object error


cdef Failure failure_of(error):
    cdef Failure failure = Failure()
    failure.error = error
    return failure


cdef object check_timeout(object timeout):
    cdef double seconds
    if timeout is not None:
        seconds = seconds_of(timeout)
        if seconds < 0:
            raise ValueError("'timeout' must be a non-negative number")
        if seconds > LONGEST:
            raise OverflowError("timeout value is too large")
    return timeout


cdef class Mutex(Lock):
    """The mutex of a queue: whoever gives it up serves those who wait for the queue (internal)."""
    cdef object queue  # a weak reference

    cdef int give(self) except -1:
        cdef SimpleQueue queue = self.queue()
        try:
            if queue is not None:
                queue.serve_in_turn()
        finally:
            Lock.give(self)
        # Somebody may have come after the last look.
        while queue is not None and not self.held and queue.has_work():
            self.held = True
            try:
                queue.serve_in_turn()
            finally:
                Lock.give(self)
        return 0


cdef class SimpleQueue(Waitable):
    """A first-in, first-out queue without task counting.

    `maxsize`: how many items it holds; None, 0 or less for any number. `items`: what is in it at first.
    """
    cdef object __weakref__
    cdef object container
    cdef object append_item             # its bound methods, for the kinds without hooks
    cdef object pop_item
    cdef kind_t kind
    cdef bint own_put              # whether put() is that of a subclass
    cdef bint own_get
    cdef long asked_limit          # what `maxsize` was set to
    cdef long limit                # how many items it holds at most, or -1
    cdef bint closed               # whether it was shut down
    cdef unsigned int calls        # how many did not have to wait, for fair()
    cdef fifo_t getters
    cdef fifo_t putters            # each with the item it offers
    cdef fifo_t peekers
    # For KIND_HOOKED:
    cdef bint busy                 # whether somebody is using the container
    cdef unsigned long busy_thread
    cdef PyObject *busy_greenlet   # borrowed: it is running
    cdef list left_over            # items that were put while the container was in use below
    # From the first use of `mutex` on, or None:
    cdef Mutex guard
    cdef object when_not_empty     # Conditions
    cdef object when_not_full
    cdef object when_all_done
    cdef bint first_in_first_out   # whether the container is that of KIND_FIFO

    def __init__(self, maxsize=None, items=()):
        self.setup(maxsize, items)

    cdef int setup(self, object maxsize, object items) except -1:
        kind = type(self)
        self.set_limit(maxsize)
        hooked = any(
            getattr(kind, name) is not getattr(base_of(kind), name) for name in ("_init", "_put", "_get", "_qsize")
        )
        if hooked or isinstance(self, PriorityQueue):
            self.kind = KIND_HOOKED
        else:
            self.kind = KIND_LIFO if isinstance(self, LifoQueue) else KIND_FIFO
        # As the standard library's: a subclass has its put() called, and its get().
        self.own_put = kind.put is not SimpleQueue.put
        self.own_get = kind.get is not SimpleQueue.get
        self.left_over = []
        if hooked and kind._init is not base_of(kind)._init:
            self._init(maxsize)
            for item in items:
                self._put(item)
        else:
            self.queue = self._create_queue(items)
        return 0

    cdef int set_limit(self, object maxsize) except -1:
        self.asked_limit = 0 if maxsize is None else count_of(maxsize, "the maxsize of a queue")
        self.limit = self.asked_limit if self.asked_limit > 0 else -1
        return 0

    # --- the container: hooks, as the standard library's queues have them ---

    @property
    def queue(self):
        """The container of the items: a deque, or a list. Assignable."""
        return self.container

    @queue.setter
    def queue(self, value):
        self.container = value
        if self.kind != KIND_HOOKED:
            self.append_item = value.append
            self.pop_item = value.popleft if self.kind == KIND_FIFO else value.pop

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
        return len(self.container)

    cdef long size(self) except -1:
        return self._qsize() if self.kind == KIND_HOOKED else len(self.container)

    cdef inline int fair(self) except -1:
        """Now and then, let others run; not in the middle of another call, where they would find the queue in use."""
        self.calls += 1
        return be_fair() if self.calls & 63 == 0 and not self.busy else 0

    cdef bint has_room(self) except -1:
        return self.limit < 0 or self.size() < self.limit

    cdef int note_put(self) except -1:
        """An item has come in."""
        return 0

    # --- the turn at a container with hooks ---

    cdef bint enter(self, bint may_wait) except -1:
        """Take the turn. False if it is_below(), or `may_wait` is false and somebody has the mutex."""
        while self.guard is None and self.busy:
            if self.is_below():
                return False
            with nogil:
                usleep(20)
        if self.guard is not None and (self.is_below() or not self.guard.take(may_wait, None)):
            return False
        self.begin_turn()
        return True

    cdef int begin_turn(self) except -1:
        self.busy = True
        self.busy_thread = get_ident()
        self.busy_greenlet = running_greenlet()
        return 0

    cdef bint is_below(self) except -1:
        """Whether the turn is taken further down: by the current thread or, with a mutex, by the greenlet."""
        if not self.busy:
            return False
        if self.guard is not None:
            return self.busy_greenlet is running_greenlet()
        return self.busy_thread == <unsigned long> get_ident()

    cdef int serve_in_turn(self) except -1:
        """With the mutex held, do what can be done for those who wait."""
        if self.busy:
            return 0  # whoever is will do it
        if self.has_work():
            self.begin_turn()
            try:
                self.serve()
            finally:
                self.busy = False
        return 0

    cdef bint enter_mutex(self) except -1:
        """Take the mutex, if it is there and not held below: whether leave() is to be called."""
        return self.guard is not None and self.enter(True)

    cdef Mutex need_mutex(self):
        """The mutex, made when it is needed first."""
        cdef Mutex guard
        cdef bint entered
        if self.guard is None:
            entered = self.enter(True)
            if self.guard is None:  # another thread may have been faster
                guard = Mutex()
                guard.queue = weakref.ref(self)
                guard.held = True  # as somebody has the turn
                self.when_not_empty, self.when_not_full = Condition(guard), Condition(guard)
                self.when_all_done = Condition(guard)
                self.first_in_first_out = self.kind == KIND_FIFO
                self.kind = KIND_HOOKED
                self.guard = guard
            if entered:
                self.leave()
        return self.guard

    cdef int leave(self) except -1:
        """Do what can be done for those who wait, and give the turn up."""
        if self.guard is not None:
            self.busy = False
            return self.guard.give()
        try:
            self.serve()
        finally:
            self.busy = False
        # Somebody may have come after the last look.
        while self.has_work() and self.enter(True):
            try:
                self.serve()
            finally:
                self.busy = False
        return 0

    cdef bint has_work(self) except -1:
        if self.left_over:
            return True
        if line_peek(&self.getters) is not None:
            try:
                if self.closed or self._qsize() > 0:
                    return True
            except BaseException as error:
                if not self.fail_getter(error):
                    raise
        if line_peek(&self.putters) is not None:
            try:
                return self.closed or self.has_room()
            except BaseException as error:
                if not self.fail_putter(error, line_take(&self.putters)):
                    raise
        return False

    cdef bint fail_getter(self, error) except -1:
        """Give the first of those who wait to get what was raised for him. Whether it is for him alone."""
        return line_grant(&self.getters, failure_of(error)) and isinstance(error, Exception)

    cdef bint fail_putter(self, error, Wait putter) except -1:
        """The same with one who was taken out of the line, or None."""
        if putter is None:
            return False
        putter.given = failure_of(error)
        line_wake(putter)
        return isinstance(error, Exception)

    cdef int serve(self) except -1:
        """Do what can be done for those who wait. With the turn."""
        cdef Wait wait
        for_us = None
        while True:
            if self.left_over:
                self.put_back(self.left_over.pop(0), "put into", "in a finalizer")
                continue
            if line_peek(&self.getters) is not None:
                try:
                    there = self._qsize() > 0
                    if there:
                        item = self._get()
                except BaseException as error:
                    if not self.fail_getter(error):
                        for_us = error
                    continue
                if there:
                    if not line_grant(&self.getters, item):
                        self.put_back(item, "given back to", "")
                    elif self.guard is not None:
                        self.when_not_full.notify()
                    continue
            if self.closed:
                self.refuse_all()
                break
            if line_peek(&self.putters) is None:
                break
            wait = None
            try:
                if not self.has_room():
                    break
                wait = line_take(&self.putters)
                if wait is None:
                    break
                self._put(wait.given)
                self.note_put()
                if self.guard is not None:
                    self.when_not_empty.notify()
            except BaseException as error:
                if not self.fail_putter(error, line_take(&self.putters) if wait is None else wait):
                    for_us = error
            else:
                line_wake(wait)
        if self.peekers.head != NULL:
            try:
                there = self._qsize() > 0
            except BaseException as error:
                there = True  # each of them looks for himself, and gets it
                if not isinstance(error, Exception):
                    for_us = error
            if there:
                line_grant_all(&self.peekers)
        if for_us is not None:
            raise for_us
        return 0

    cdef int put_back(self, object item, str how, str where) except -1:
        """Put an item in that nobody waits to put. With the turn. What goes wrong is reported."""
        try:
            self._put(item)
        except BaseException as error:
            tell_unraisable(error, f"Exception ignored of an item that was {how} {self!r} {where}".rstrip(), item)
        return 0

    cdef int refuse_all(self) except -1:
        """It was shut down, and is empty or to be taken as such: nobody can put, and nobody get."""
        while line_grant(&self.putters, SHUT_DOWN):
            pass
        while line_grant(&self.getters, SHUT_DOWN):
            pass
        line_grant_all(&self.peekers)
        return 0

    cdef int refuse_below(self) except -1:
        """Waiting for a turn that the greenlet itself has, further down, would be for ever."""
        if self.busy and self.busy_greenlet is running_greenlet():
            raise BlockingSwitchOutError(
                f"a blocking operation on {self!r} was called in the middle of another one by the same greenlet, in a "
                "finalizer or a comparison; use put_nowait() or get_nowait() there"
            )
        return 0

    # --- put ---

    cdef bint put_at_once(self, object item, bint may_wait) except -1:
        """Put it if that can be done without waiting, but for the mutex if `may_wait`."""
        if self.closed:
            raise ShutDown(f"{self!r} was shut down")
        if self.kind == KIND_HOOKED:
            return self.put_hooked(item, may_wait)
        if self.getters.head != NULL and line_grant(&self.getters, item):
            self.note_put()
            return True
        if self.limit >= 0 and <long> len(self.container) >= self.limit:
            return False
        self.append_item(item)
        self.note_put()
        if self.peekers.head != NULL:
            line_grant_all(&self.peekers)
        return True

    cdef bint put_hooked(self, object item, bint may_wait) except -1:
        if not self.enter(may_wait):
            if not self.is_below():
                return False
            if self.limit >= 0 and self._qsize() + len(self.left_over) >= self.limit:
                return False
            self.note_put()
            self.left_over.append(item)
            return True
        try:
            if self.closed:
                raise ShutDown(f"{self!r} was shut down")
            if not self.has_room():
                return False
            self._put(item)
            self.note_put()
            if self.guard is not None:
                self.when_not_empty.notify()
            return True
        finally:
            self.leave()

    def put(self, item, block=True, timeout=None):
        """Put an item in; while the queue is full wait at most `timeout` seconds (float; None for ever). May switch.

        Raises Full if the timeout passes first or, with ``block=False``, if it is full; ShutDown if the queue was
        shut down.
        """
        cdef Wait wait
        if timeout is not None:
            if block and self.limit >= 0:
                check_timeout(timeout)
            else:
                seconds_of(timeout)
        if self.put_at_once(item, True):
            return
        if not block:
            self.put_or_fail(item)
            return
        wait = new_turn(self, check_timeout(timeout))
        wait.given = item
        if self.put_at_once(item, False):
            return
        if self.kind == KIND_HOOKED:
            self.refuse_below()
        line_join(&self.putters, wait)
        try:
            self.joined()
        except BaseException:
            line_withdraw(wait)
            raise
        if not await_final_turn(wait):
            raise Full
        if wait.given is SHUT_DOWN:
            raise ShutDown(f"{self!r} was shut down")
        if type(wait.given) is Failure:
            raise (<Failure> wait.given).error

    def put_nowait(self, item):
        """Put an item in, without waiting. Raises Full if the queue is full, or ShutDown.

        Does not switch if there is room. If it is called again and again while there is none, others get their turn.
        """
        if self.own_put:
            self.put(item, block=False)
        else:
            self.put_or_fail(item)

    cdef int put_or_fail(self, object item) except -1:
        if self.put_at_once(item, True):
            return 0
        self.fair()
        if not self.put_at_once(item, True):
            raise Full
        return 0

    # --- get ---

    cdef bint get_at_once(self, Wait taker, bint may_wait) except -1:
        """Take an item if there is one: `taker.given`. Without waiting, but for the mutex if `may_wait`."""
        if self.kind == KIND_HOOKED:
            return self.get_hooked(taker, may_wait)
        if len(self.container) == 0:
            if self.closed:
                raise ShutDown(f"{self!r} was shut down")
            return False
        taker.given = self.pop_item()
        if self.putters.head != NULL:
            self.admit()
        return True

    cdef int admit(self) except -1:
        """Take the items of those who wait to put, as many as there is room for."""
        cdef Wait wait
        while self.limit < 0 or <long> len(self.container) < self.limit:
            wait = line_take(&self.putters)
            if wait is None:
                break
            item, wait.given = wait.given, None
            if self.getters.head == NULL or not line_grant(&self.getters, item):
                self.append_item(item)
            self.note_put()
            line_wake(wait)
        return 0

    cdef bint get_hooked(self, Wait taker, bint may_wait) except -1:
        if not self.enter(may_wait):
            return False
        try:
            if self._qsize() == 0:
                if self.closed:
                    raise ShutDown(f"{self!r} was shut down")
                return False
            taker.given = self._get()
            if self.guard is not None:
                self.when_not_full.notify()
            return True
        finally:
            self.leave()

    cdef object item_of(self, Wait wait):
        item, wait.given = wait.given, None
        if item is SHUT_DOWN:
            raise ShutDown(f"{self!r} was shut down")
        if type(item) is Failure:
            raise (<Failure> item).error
        return item

    def get(self, block=True, timeout=None):
        """Take an item out; while there is none wait at most `timeout` seconds (float; None for ever). May switch.

        Raises Empty if the timeout passes first or, with ``block=False``, if there is none; ShutDown if there is
        none and the queue was shut down; OverflowError for a timeout beyond threading.TIMEOUT_MAX.
        """
        cdef Wait wait
        if block:
            check_timeout(timeout)
            self.fair()
        if self.kind != KIND_HOOKED and len(self.container):
            # The plain case, without a wait.
            item = self.pop_item()
            if self.putters.head != NULL:
                self.admit()
            return item
        if not block:
            return self.get_or_fail()
        if self.closed or self.kind == KIND_HOOKED:
            wait = Wait.__new__(Wait)
            if self.get_at_once(wait, True):
                return self.item_of(wait)
        wait = new_turn(self, timeout)
        if self.get_at_once(wait, False):
            return self.item_of(wait)
        if self.kind == KIND_HOOKED:
            self.refuse_below()
        if not self.take_turn(wait):
            raise Empty
        return self.item_of(wait)

    def get_nowait(self):
        """Take an item out, without waiting. Raises Empty if there is none, or ShutDown.

        Does not switch if there is one. If it is called again and again while there is none, others get their turn.
        """
        return self.get(block=False) if self.own_get else self.get_or_fail()

    cdef object get_or_fail(self):
        cdef Wait taker = Wait.__new__(Wait)
        if not self.get_at_once(taker, True):
            self.fair()
            if not self.get_at_once(taker, True):
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

    # --- together with others ---

    cdef bint take_now(self, Wait taker) except -1:
        return self.get_at_once(taker, False)

    cdef fifo_t *line(self) except NULL:
        return &self.getters

    cdef int joined(self) except -1:
        # With hooks, much may have happened between the look and the line.
        if self.kind == KIND_HOOKED and not self.busy and self.has_work() and self.enter(self.guard is None):
            self.leave()
        return 0

    cdef object taken(self, Wait taker):
        return self.item_of(taker)

    cdef int give_back(self, Wait taker) except -1:
        item, taker.given = taker.given, None
        if type(item) is Failure:
            message = "Exception ignored in get(), for one who was ended meanwhile, of"
            tell_unraisable((<Failure> item).error, message, self)
            return 0
        if item is SHUT_DOWN or line_grant(&self.getters, item):
            return 0
        if self.kind == KIND_FIFO or self.first_in_first_out:
            self.queue.appendleft(item)
        elif self.kind == KIND_LIFO:
            self.append_item(item)
        elif self.enter(self.guard is None):
            try:
                self.put_back(item, "given back to", "")
            finally:
                self.leave()
        else:
            self.left_over.append(item)
        return 0

    # --- what is known of it ---

    @property
    def maxsize(self):
        """How many items it holds at most (int), as given: 0 or less for any number.

        Assignable: whoever waits to put then may go on.
        """
        return self.asked_limit

    @maxsize.setter
    def maxsize(self, value):
        self.set_limit(value)
        if self.kind == KIND_HOOKED:
            if self.enter(self.guard is None):
                self.leave()
        else:
            self.admit()

    def qsize(self):
        """How many items are in it (int). If that is asked again and again, others get their turn first."""
        self.fair()
        return self.size_in_turn()

    cdef long size_in_turn(self) except -1:
        cdef bint entered = self.enter_mutex()
        try:
            return self.size()
        finally:
            if entered:
                self.leave()

    def empty(self):
        """Whether there is nothing in it (bool). If that is asked again and again, others get their turn first."""
        self.fair()
        return self.size_in_turn() == 0

    def full(self):
        """Whether it holds as many items as it can (bool). If that is asked again and again, others get their turn."""
        self.fair()
        return 0 <= self.limit <= self.size_in_turn()

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
        """A new queue of the same class with the same items and limit. Nobody waits for it."""
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
    """The class of this module whose hooks a queue has unless it overrides them."""
    for base in kind.__mro__:
        if base.__module__ == __name__:
            return base


cdef class Queue(SimpleQueue):
    """A first-in, first-out queue that counts tasks: `task_done()` and `join()`; and that can be shut down.

    `maxsize`: how many items it holds; None, 0 or less for any number. `items`: what is in it at first.
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
        """The lock that everything that is done to the queue takes, as that of the standard library's.

        The queue is slower from the first use on of this or of one of the conditions.
        """
        return self.need_mutex()

    @property
    def not_empty(self):
        """The Condition, with `mutex`, that an item has come in."""
        self.need_mutex()
        return self.when_not_empty

    @property
    def not_full(self):
        """The Condition, with `mutex`, that an item has gone."""
        self.need_mutex()
        return self.when_not_full

    @property
    def all_tasks_done(self):
        """The Condition, with `mutex`, that `unfinished_tasks` is 0."""
        self.need_mutex()
        return self.when_all_done

    def task_done(self):
        """Say that what an item stood for is done. Does not switch. Raises ValueError if said too often."""
        cdef bint entered = self.enter_mutex()
        try:
            if self.unfinished <= 0:
                raise ValueError("task_done() called too many times")
            self.unfinished -= 1
            if self.unfinished == 0:
                self.tell_all_done()
        finally:
            if entered:
                self.leave()

    cdef int tell_all_done(self) except -1:
        line_grant_all(&self.joiners)
        if self.guard is not None:
            self.when_all_done.notify_all()
        return 0

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

        `immediate`: throw away what is in it, and count it as done. Those who wait are woken.
        """
        cdef bint entered = self.enter_mutex()
        try:
            self.closed = True
            while line_grant(&self.putters, SHUT_DOWN):
                pass
            if immediate:
                dropped = 0
                while self.size() and self.drop():
                    dropped += 1
                self.unfinished = max(0, self.unfinished - dropped)
                if self.unfinished == 0:
                    self.tell_all_done()
            if self.guard is not None:
                self.when_not_empty.notify_all()
                self.when_not_full.notify_all()
        finally:
            self.tell_of_shutdown(entered)

    cdef int tell_of_shutdown(self, bint entered) except -1:
        """Wake those who wait for what will not come."""
        line_grant_all(&self.peekers)  # each of them looks for himself
        if entered or self.kind == KIND_HOOKED:
            if entered or self.enter(True):  # if it is taken below, whoever has it will do it
                self.leave()
        elif len(self.container) == 0:
            self.refuse_all()
        return 0

    cdef bint drop(self) except -1:
        """Take an item out without letting another in. False if the container is in use."""
        if self.kind != KIND_HOOKED:
            self.pop_item()
            return True
        if self.guard is None:
            return self.get_hooked(Wait.__new__(Wait), True)
        self._get()
        return True

    def copy(self):
        """A new queue of the same class with the same items, limit and count of tasks. Nobody waits for it."""
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
            heap.append(first)  # a comparison failed: it is out of the heap already
            raise


cdef class Channel(Waitable):
    """A queue that holds nothing: put() waits until somebody takes the item.

    `maxsize` is accepted for compatibility.
    """
    cdef object __weakref__
    cdef fifo_t takers
    cdef fifo_t givers       # each with the item it offers
    cdef object returned     # items whose taker was switched away from by force: a deque

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
        """Hand an item to somebody; wait for him at most `timeout` seconds (float; None for ever). Switches.

        Raises Full if the timeout passes first or, with ``block=False``, if nobody waits to get one.
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
        """Take an item from somebody; wait for him at most `timeout` seconds (float; None for ever). Switches.

        Raises Empty if the timeout passes first or, with ``block=False``, if nobody waits to put one.
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
