"""The container of a queue whose operations run Python code: one greenlet at a time uses it.

Theory
    Three kinds of queue run Python code in the middle of a call: a subclass that overrides _init, _put, _get or _qsize;
    a PriorityQueue, which compares its items; and a queue whose `mutex` was asked for. A call takes the container's
    turn first. Before it gives the turn up, it serves the greenlets that wait in the lines.

Rules
    1. A call that finds the turn taken by another thread waits for a moment. A call that finds it taken by its own
       thread, in a finalizer, leaves its item for the owner of the turn.
    2. An exception of a hook belongs to the put(), get() or peek() for which the hook was called. That call ends with
       it, and no other call waits longer because of it. If it is not an Exception (KeyboardInterrupt, say), it may have
       been meant for the running greenlet, which gets it as well.
    3. If there is a mutex, it is the turn. Programs may hold it as they do with the standard library's. Greenlets wait
       in the lines all the same; they are served when the mutex is released.
"""

import weakref

from posix.unistd cimport usleep

from hub.errors import BlockingSwitchOutError
from hub.native import get_ident
from hub.unraisable import tell_unraisable
from hub.greenlet_api cimport import_greenlet, running_greenlet
from hub.waits cimport Wait
from hub.wait_queue cimport line_grant, line_grant_all, line_peek, line_take, line_wake

from greenio._sync.condition import Condition
from greenio._sync.containers cimport Container, ItemLines, failure_of
from greenio._sync.mutex cimport Lock

import_greenlet()


cdef class QueueMutex(Lock):
    """The mutex of a queue: releasing it serves the greenlets that wait for the queue (internal)."""

    cdef int give(self) except -1:
        cdef ItemLines queue = self.queue()
        cdef HookedContainer container = None if queue is None else queue.container
        try:
            if queue is not None:
                container.serve_in_turn(queue)
        finally:
            Lock.give(self)
        # A greenlet may have joined a line after the last look.
        while queue is not None and not self.held and container.has_work(queue):
            self.held = True
            try:
                container.serve_in_turn(queue)
            finally:
                Lock.give(self)
        return 0


cdef class HookedContainer(Container):
    """Items that are used through _put(), _get() and _qsize() of their queue (internal)."""

    def __cinit__(self):
        self.hooked = True
        self.left_over = []

    cdef int replace(self, Container plain) except -1:
        """Take over the items of a plain container. It is kept, as another thread may be in one of its methods."""
        self.replaced = plain
        self.items = plain.items
        return 0

    cdef int keep(self, object items) except -1:
        self.items = items
        return 0

    cdef long size(self, ItemLines queue) except -1:
        return queue._qsize()

    cdef bint has_room(self, ItemLines queue) except -1:
        return queue.limit < 0 or self.size(queue) < queue.limit

    # --- the turn ---

    cdef bint enter(self, bint may_wait) except -1:
        """Take the turn. Returns False if it is_below(), or if the mutex is held and `may_wait` is false."""
        while self.mutex is None and self.busy:
            if self.is_below():
                return False
            with nogil:
                usleep(20)
        if self.mutex is not None and (self.is_below() or not self.mutex.take(may_wait, None)):
            return False
        self.begin_turn()
        return True

    cdef int begin_turn(self) except -1:
        self.busy = True
        self.busy_thread = get_ident()
        self.busy_greenlet = running_greenlet()
        return 0

    cdef bint is_below(self) except -1:
        """Whether the turn was taken further down the stack: by this thread or, with a mutex, by this greenlet."""
        if not self.busy:
            return False
        if self.mutex is not None:
            return self.busy_greenlet is running_greenlet()
        return self.busy_thread == <unsigned long> get_ident()

    cdef int leave(self, ItemLines queue) except -1:
        """Serve the greenlets in the lines as far as possible, and give the turn up."""
        while True:
            try:
                if self.mutex is None:  # its give() serves them
                    self.serve(queue)
            finally:
                self.busy = False
                if self.mutex is not None:  # a hook may have asked for it just now
                    self.mutex.give()
            # A greenlet may have joined a line after the last look.
            if self.mutex is not None or not self.has_work(queue) or not self.enter(True):
                return 0

    cdef int refuse_below(self, ItemLines queue) except -1:
        if self.busy and self.busy_greenlet is running_greenlet():
            raise BlockingSwitchOutError(
                f"a blocking operation on {queue!r} was called in the middle of another one by the same greenlet, in a "
                "finalizer or a comparison; use put_nowait() or get_nowait() there"
            )
        return 0

    # --- the mutex ---

    cdef QueueMutex need_mutex(self, ItemLines queue):
        """Return the mutex, which the first call makes."""
        cdef QueueMutex mutex
        cdef bint entered
        if self.mutex is None:
            entered = self.enter(True)
            if self.mutex is None:  # another thread may have been faster
                mutex = QueueMutex()
                mutex.queue = weakref.ref(queue)
                mutex.held = True  # this call has the turn, or one further down
                self.when_not_empty, self.when_not_full = Condition(mutex), Condition(mutex)
                self.when_all_done = Condition(mutex)
                self.mutex = mutex
            if entered:
                self.leave(queue)
        return self.mutex

    cdef bint enter_mutex(self) except -1:
        return self.mutex is not None and self.enter(True)

    cdef int tell_of_end(self) except -1:
        if self.mutex is not None:
            self.when_not_empty.notify_all()
            self.when_not_full.notify_all()
        return 0

    cdef int tell_of_all_done(self) except -1:
        if self.mutex is not None:
            self.when_all_done.notify_all()
        return 0

    cdef int serve_in_turn(self, ItemLines queue) except -1:
        """With the mutex held, serve the greenlets in the lines as far as possible."""
        if self.busy:
            return 0  # the owner of the turn will do it
        if self.has_work(queue):
            self.begin_turn()
            try:
                self.serve(queue)
            finally:
                self.busy = False
        return 0

    # --- the lines ---

    cdef bint has_work(self, ItemLines queue) except -1:
        if self.left_over:
            return True
        if line_peek(&queue.getters) is not None:
            try:
                if queue.closed or queue._qsize() > 0:
                    return True
            except BaseException as error:
                if not self.fail_getter(queue, error):
                    raise
        if line_peek(&queue.putters) is not None:
            try:
                return queue.closed or self.has_room(queue)
            except BaseException as error:
                if not self.fail_putter(error, line_take(&queue.putters)):
                    raise
        return False

    cdef bint fail_getter(self, ItemLines queue, error) except -1:
        """Raise an error in the first greenlet that waits to get. Returns whether the error is for that one alone."""
        return line_grant(&queue.getters, failure_of(error)) and isinstance(error, Exception)

    cdef bint fail_putter(self, error, Wait putter) except -1:
        """The same for a putter, which was taken out of the line, or None."""
        if putter is None:
            return False
        putter.given = failure_of(error)
        line_wake(putter)
        return isinstance(error, Exception)

    cdef int serve(self, ItemLines queue) except -1:
        """With the turn taken, serve the greenlets in the lines as far as possible."""
        cdef Wait wait
        for_us = None
        while True:
            if self.left_over:
                self.put_back(queue, self.left_over.pop(0), "put into", "in a finalizer")
                continue
            if line_peek(&queue.getters) is not None:
                try:
                    there = queue._qsize() > 0
                    if there:
                        item = queue._get()
                except BaseException as error:
                    if not self.fail_getter(queue, error):
                        for_us = error
                    continue
                if there:
                    if not line_grant(&queue.getters, item):
                        self.put_back(queue, item, "given back to", "")
                    elif self.mutex is not None:
                        self.when_not_full.notify()
                    continue
            if queue.closed:
                queue.refuse_all()
                break
            if line_peek(&queue.putters) is None:
                break
            wait = None
            try:
                if not self.has_room(queue):
                    break
                wait = line_take(&queue.putters)
                if wait is None:
                    break
                queue._put(wait.given)
                queue.note_put()
                if self.mutex is not None:
                    self.when_not_empty.notify()
            except BaseException as error:
                if not self.fail_putter(error, line_take(&queue.putters) if wait is None else wait):
                    for_us = error
            else:
                line_wake(wait)
        if queue.peekers.head != NULL:
            try:
                there = queue._qsize() > 0
            except BaseException as error:
                there = True  # each peek() looks again, and gets the error
                if not isinstance(error, Exception):
                    for_us = error
            if there:
                line_grant_all(&queue.peekers)
        if for_us is not None:
            raise for_us
        return 0

    cdef int put_back(self, ItemLines queue, object item, str how, str where) except -1:
        """With the turn taken, put an item in for which no put() waits. An exception is reported."""
        try:
            queue._put(item)
        except BaseException as error:
            tell_unraisable(error, f"Exception ignored of an item that was {how} {queue!r} {where}".rstrip(), item)
        return 0

    # --- operations on the items ---

    cdef bint put(self, ItemLines queue, object item, bint may_wait) except -1:
        if queue.closed:
            queue.refuse()
        if not self.enter(may_wait):
            if not self.is_below():
                return False
            if queue.limit >= 0 and queue._qsize() + len(self.left_over) >= queue.limit:
                return False
            queue.note_put()
            self.left_over.append(item)
            return True
        try:
            if queue.closed:
                queue.refuse()
            if not self.has_room(queue):
                return False
            queue._put(item)
            queue.note_put()
            if self.mutex is not None:
                self.when_not_empty.notify()
            return True
        finally:
            self.leave(queue)

    cdef bint get(self, ItemLines queue, Wait taker, bint may_wait) except -1:
        if not self.enter(may_wait):
            return False
        try:
            if queue._qsize() == 0:
                if queue.closed:
                    queue.refuse()
                return False
            taker.given = queue._get()
            if self.mutex is not None:
                self.when_not_full.notify()
            return True
        finally:
            self.leave(queue)

    cdef long size_in_turn(self, ItemLines queue) except -1:
        cdef bint entered = self.enter_mutex()
        try:
            return self.size(queue)
        finally:
            if entered:
                self.leave(queue)

    cdef int look_again(self, ItemLines queue) except -1:
        if not self.busy and self.has_work(queue) and self.enter(self.mutex is None):
            self.leave(queue)
        return 0

    cdef int limit_changed(self, ItemLines queue) except -1:
        if self.enter(self.mutex is None):
            self.leave(queue)
        return 0

    cdef int give_back(self, ItemLines queue, object item) except -1:
        if self.replaced is not None and not self.replaced.newest_first:
            self.items.appendleft(item)
        elif self.enter(self.mutex is None):
            try:
                self.put_back(queue, item, "given back to", "")
            finally:
                self.leave(queue)
        else:
            self.left_over.append(item)
        return 0

    cdef bint drop(self, ItemLines queue) except -1:
        if self.mutex is None:
            return self.get(queue, Wait.__new__(Wait), True)
        queue._get()
        return True

    cdef int shut_down(self, ItemLines queue, bint entered) except -1:
        if entered or self.enter(True):  # otherwise this thread has the turn, and leaves it later
            self.leave(queue)
        return 0
