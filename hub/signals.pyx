"""Python's signal handlers: they run on the main greenlet, in the middle of what it waits for.

A process that sleeps in the loop runs no bytecode, and so no handler. The loop wakes up for a signal and queues the job
that is here, before anybody else.

Rules
    1. Handlers run where they would without greenlets: on the main greenlet. They may wait themselves.
    2. What a handler raises ends the main greenlet's wait; if something else has woken it already, it is raised there
       at the next one.
    3. If the main greenlet is not parked, handlers run on the hub greenlet, and what they raise is thrown at the main.

What does not belong here: the descriptor that CPython writes a signal's number to. The loop has that.
"""

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetObject
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cython cimport final

from greenlet import GreenletExit

from hub.greenlet_api cimport *
from hub.ready cimport OUTCOME_VALUE, WAIT_DECIDED, WAIT_WAITING, ready_push_front, ready_remove, wait_hold, wait_t
from hub.scheduler cimport Scheduler, SignalHandling, Wait
from hub.thrown cimport pend_exception

__all__ = ["call_on_main", "handle_signals"]

import_greenlet()


@final
cdef class SignalJob(SignalHandling):
    """Has Python's signal handlers run, on the main greenlet, as they would with no greenlets."""
    cdef Scheduler hub
    cdef wait_t *handled_in   # the main greenlet's wait while it runs the handlers
    cdef object function      # what it is to call besides, or None
    cdef bint held_up_hub     # the hub greenlet waits, in a callback, for it to have done so

    cdef int run(self) except -1:
        cdef Scheduler hub = self.hub
        cdef wait_t *wait = hub.principal_wait()
        if wait != NULL and wait.parked and wait is not self.handled_in and not hub.destroying:
            hub.signals_due = True
            if hub.enter(<PyObject *> hub.principal):
                raise GreenletExit()
            return 0
        return self.handle_here()

    cdef int handle_here(self) except -1:
        """On the hub greenlet: run Python's signal handlers. What they raise is thrown at the main greenlet."""
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            self.hub.throw_into(self.hub.principal or self.hub.main, error)
        return 0

    cdef int handle(self, wait_t *wait) noexcept:
        """On the main greenlet, switched to for that only: run Python's signal handlers, then wait on.

        Returns what switch_away() returns. What a handler raises ends the wait, unless something else has woken it.
        """
        cdef Scheduler hub = self.hub
        cdef wait_t *above = self.handled_in
        cdef PyObject *result
        hub.signals_due = False
        self.handled_in = wait
        if hub.observers is not None:
            hub.tell(True)
        try:
            if self.function is not None:
                function, self.function = self.function, None
                function()
            PyErr_CheckSignals()
        except BaseException as error:
            self.handled_in = above
            try:
                if self.held_up_hub:
                    hub.run_callback(int)  # so that it is switched to
                if wait.state == WAIT_WAITING:
                    PyErr_SetObject(type(error), error)
                    return -1
                # Something else has woken it: it goes on with that now, and gets the exception at its next wait.
                pend_exception(wait.slot, error)
                if wait.node.queued:
                    ready_remove(wait.ready, &wait.node)
                    wait.node.carried = True
                    return 1
            except MemoryError as no_memory:
                PyErr_SetObject(type(no_memory), no_memory)
                return -1
        self.handled_in = above
        if hub.observers is not None:
            hub.tell(False)
        if self.held_up_hub:
            # In the middle of a callback.
            result = hub_greenlet_switch(<PyObject *> hub)
            if result == NULL:
                return -1
            Py_DECREF(<object> result)
            return 1 if wait.node.carried else 0
        return hub.switch_away(&wait.node)


# --- methods of Hub ---------------------------------------------------------------------------------------------

def call_on_main(Scheduler self, function):
    """Call ``function()`` on the main greenlet at once, in the middle of its wait: a signal handler (internal).

    The current greenlet is held up, at any point of what it does, and goes on when the function has returned. If
    the function waits, others run meanwhile. What it raises ends the main greenlet's wait, and that goes on first.
    In the main greenlet, or if that does not wait, it is called right here.
    """
    cdef SignalJob job = <SignalJob?> self.signals
    cdef wait_t *main = self.principal_wait()
    cdef PyObject *current = running_greenlet()
    cdef PyObject *switched
    cdef Wait held_up
    cdef int result
    self.check_thread()
    if (
        current is <PyObject *> self.principal or main == NULL or not main.parked
        or main is job.handled_in
        or job.function is not None or self.restricted or self.loop.core.running
    ):
        function()
        return
    job.function = function
    self.signals_due = True
    if current is <PyObject *> self:
        job.held_up_hub = True
        switched = hub_greenlet_switch(<PyObject *> self.principal)
        job.held_up_hub = False
        if switched == NULL:
            hub_failed()
        Py_DECREF(<object> switched)
        return
    held_up = self.new_wait("the signal handler that runs on the main greenlet")
    wait_hold(&held_up.c)
    held_up.c.state = WAIT_DECIDED
    held_up.c.outcome = OUTCOME_VALUE
    ready_push_front(&self.loop.core.ready, &held_up.c.node)
    self.switch_to = <PyObject *> self.principal
    result = self.park(held_up)
    self.deliver(held_up, result)


def handle_signals(Scheduler hub):
    """Let a new hub run Python's signal handlers, if it is the main thread's (internal)."""
    cdef SignalJob job = SignalJob()
    job.hub = hub
    hub.signals = job
    hub.loop.core.signals = &job.node
    if hub.loop.default:
        hub.loop.watch_signals()
