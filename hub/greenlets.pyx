"""Greenlets that the hub starts: their entry in the ready queue, how they begin, and how they end.

All greenlets that the library makes are of this kind. The hub's data about a greenlet is part of the object, so nothing
is looked up, and nothing is allocated to start it.

Rules
    1. The hub greenlet is the parent of each greenlet. It starts the greenlet, and gets control when the greenlet ends.
    2. A greenlet's entry, `start_node`, is of kind NODE_START until it has begun, and of kind NODE_YIELD from then on.
    3. Code that queues the entry gives the queue a reference.
    4. A subclass's run() calls begin() first, and finished() last.

What does not belong here: a greenlet's function, its result, and waits for its end; greenlets that the program has made
itself.
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
        """Make the hub this greenlet's parent, so that it gets control when the greenlet ends."""
        self.scheduler = scheduler
        return hub_greenlet_set_parent(<PyObject *> self, <PyObject *> scheduler)

    def switch(self, *args, **kwargs):
        """Switch to this greenlet at once, as ``greenlet.switch`` does: for one that was suspended by such a switch.

        Raises InvalidSwitchError if it has not begun: the hub starts greenlets.
        """
        if self.start_node.kind == NODE_START and not hub_greenlet_has_started(<PyObject *> self):
            raise InvalidSwitchError(f"{self!r} has not begun: start() it, and the hub switches to it")
        return greenlet.switch(self, *args, **kwargs)

    cdef int schedule_start(self) except -1:
        """Put the greenlet on the ready queue to be started. For the hub's own thread."""
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
        """Note that the greenlet begins: a subclass's run() calls this first. Returns 1 if the hub did not start it."""
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
        """End a greenlet whose hub ends before it was started, with a GreenletExit instance. For the main greenlet."""
        if not self.unschedule_start():
            return 0
        # If the hub were still its parent, ending it would start the hub greenlet.
        hub_greenlet_set_parent(<PyObject *> self, <PyObject *> self.scheduler.main)
        throw_now(self, exception)
        self.finished()
        return 0

    cdef int end_unfinished(self, object exception) except -1:
        """End the waits for the end of this greenlet, which will never go on."""
        self.finished()
        return 0

    cdef int not_begun(self, object error) except -1:
        """Report that this greenlet could not be started, and finish it."""
        self.scheduler.report(self, error)
        self.finished()
        return 0

    cdef void finished(self) noexcept:
        """Drop the pending exceptions, and call the functions of `at_end`: a subclass's run() calls this last."""
        if self.slot.pending != NULL:
            drop_pending(&self.slot)
        while self.at_end is not None:  # these functions may add others
            at_end, self.at_end = self.at_end, None
            for function in at_end.values():
                try:
                    function()
                except BaseException as error:
                    self.scheduler.report(self, error)
