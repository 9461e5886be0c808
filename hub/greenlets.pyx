"""Greenlets that the hub starts: their entry in the ready queue, how they begin, and how they end.

All greenlets that the library makes are of this kind. The hub's data about a greenlet is part of the object, so nothing
is looked up, and nothing is allocated to start it.

Rules
    1. The hub greenlet is the parent of each, the place where it is started, and where control goes when it ends.
    2. Its entry, `start_node`, is of kind NODE_START until it has begun, and of kind NODE_YIELD from then on.
    3. Code that queues the entry gives the queue a reference.
    4. A subclass's run() calls begin() first, and finished() last.

What does not belong here: its function, its result, and waits for its end; greenlets that the program made itself.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

from hub.callbacks cimport CallingHub
from hub.errors import InvalidSwitchError
from hub.greenlet_api cimport *
from hub.ready cimport NODE_START, NODE_YIELD, ready_push, ready_remove
from hub.stacks cimport begin_small
from hub.thrown cimport drop_pending, throw_now

__all__ = ["HubGreenlet"]

import_greenlet()


cdef class HubGreenlet(greenlet):
    """A greenlet that the hub starts (internal base class)."""

    def __cinit__(self, *args, **kwargs):
        self.start_node.kind = NODE_START
        self.start_node.object = <PyObject *> self

    def __dealloc__(self):
        if self.slot.pending != NULL:
            drop_pending(&self.slot)

    cdef int attach(self, CallingHub scheduler) except -1:
        """Make the hub the parent: control goes there when the greenlet ends."""
        self.scheduler = scheduler
        return hub_greenlet_set_parent(<PyObject *> self, <PyObject *> scheduler)

    def switch(self, *args, **kwargs):
        """Switch to it at once, as greenlet does it. For a greenlet that was suspended by such a switch.

        Raises InvalidSwitchError if it has not begun: the hub starts it.
        """
        if self.start_node.kind == NODE_START and not hub_greenlet_has_started(<PyObject *> self):
            raise InvalidSwitchError(f"{self!r} has not begun: start() it, and the hub switches to it")
        return greenlet.switch(self, *args, **kwargs)

    cdef int schedule_start(self) except -1:
        """Queue the first run. The hub's own thread."""
        Py_INCREF(self)  # the ready queue's; begin() gives it up
        ready_push(&self.scheduler.loop.core.ready, &self.start_node)
        return 0

    cdef bint unschedule_start(self) noexcept:
        if not self.start_node.queued or self.start_node.kind != NODE_START:
            return False
        ready_remove(&self.scheduler.loop.core.ready, &self.start_node)
        Py_DECREF(self)
        return True

    cdef int begin(self) except -1:
        """The first thing a subclass's run() calls. Returns 1 if it was not in the ready queue to be started."""
        cdef int by_hand = 0
        if <PyObject *> self is not running_greenlet() or self.start_node.kind != NODE_START:
            raise InvalidSwitchError(f"run() of {self!r} is not for users to call: start it, and the hub does")
        if self.scheduler.starting is <PyObject *> self:
            self.scheduler.starting = NULL
            Py_DECREF(self)  # the ready queue's; run()'s caller has its own
        elif self.start_node.queued:
            self.unschedule_start()
        else:
            by_hand = 1
        self.start_node.kind = NODE_YIELD
        begin_small()
        return by_hand

    cdef int end_unstarted(self, object exception) except -1:
        """Its hub ends before it was started: let it end with a GreenletExit instance, from the main greenlet."""
        if not self.unschedule_start():
            return 0
        # With the hub as its parent, that would be started by it.
        hub_greenlet_set_parent(<PyObject *> self, <PyObject *> self.scheduler.main)
        throw_now(self, exception)
        self.finished()
        return 0

    cdef int end_unfinished(self, object exception) except -1:
        """It will never go on: end the waits for its end."""
        self.finished()
        return 0

    cdef int not_begun(self, object error) except -1:
        """It could not be started."""
        self.scheduler.report(self, error)
        self.finished()
        return 0

    cdef void finished(self) noexcept:
        """The last thing a subclass's run() calls: drop its pending exceptions, and call the functions of `at_end`."""
        if self.slot.pending != NULL:
            drop_pending(&self.slot)
        while self.at_end is not None:  # these functions may add others
            at_end, self.at_end = self.at_end, None
            for function in at_end.values():
                try:
                    function()
                except BaseException as error:
                    self.scheduler.report(self, error)
