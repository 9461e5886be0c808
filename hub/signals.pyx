"""Python's signal handlers, and Ctrl-C: on the main greenlet, in the middle of its wait.

A process that sleeps in the loop runs no bytecode, and so no handler. The loop wakes up for a signal and queues the job
in this file, before all other entries.

Rules
    1. Handlers run on the main greenlet, as in a program without greenlets. They may wait themselves.
    2. A handler's exception ends the main greenlet's wait. If something else has woken it already, it goes on with
       that, and Python runs the handlers before its next instruction.
    3. If the main greenlet is not parked, handlers run on the hub greenlet, and their exceptions are thrown at the main
       one.
    4. While a greenlet computes, Python calls handlers in the middle of the computation. A handler of the program's own
       runs there. Python's own handler for Ctrl-C, default_int_handler, must not end a greenlet that happens to
       compute: the main greenlet gets KeyboardInterrupt when the computing greenlet lets others run. If that takes
       longer than a second, or at the next Ctrl-C, the computing greenlet gets it: it must always be possible to stop a
       program.

What does not belong here: the descriptor that CPython writes a signal's number to (wakeup_slot.pyx).
"""

from _signal import default_int_handler

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetObject
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_XDECREF
from cython cimport final

from greenlet import GreenletExit

from hub.greenlet_api cimport *
from hub.ready cimport (
    OUTCOME_VALUE, WAIT_DECIDED, WAIT_WAITING, node_t, ready_push_front, ready_remove, wait_hold, wait_move, wait_t,
)
from hub.scheduler cimport Scheduler, SignalHandling, existing_hub
from hub.thrown cimport pend_exception
from hub.waits cimport AT_EXIT, Wait

__all__ = ["after_fork_in_child", "call_on_main", "handle_signals"]

cdef extern from *:
    """
    #include <signal.h>
    #include <time.h>

    /* Send the process a signal in a second. Returns 0, or -1 on failure. */
    static int hub_signal_in_a_second(int number, timer_t *timer)
    {
        struct sigevent event = {0};
        struct itimerspec second = {{0, 0}, {1, 0}};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = number;
        if (timer_create(CLOCK_MONOTONIC, &event, timer))
            return -1;
        if (timer_settime(*timer, 0, &second, NULL) == 0)
            return 0;
        timer_delete(*timer);
        return -1;
    }

    /* signal.default_int_handler, Python's own handler of SIGINT, gets another function. The object stays the same:
       asyncio and others check whether it is the handler that is set, and programs set it for other signals. */
    static int (*hub_put_off)(int number);
    static PyMethodDef hub_int_handler;

    static PyObject *hub_default_int_handler(PyObject *module, PyObject *args)
    {
        PyObject *frame = (PyObject *) PyEval_GetFrame();
        /* Python itself calls it with the frame that runs now. Other callers want its KeyboardInterrupt. */
        if (PyTuple_GET_SIZE(args) == 2 && PyTuple_GET_ITEM(args, 1) == (frame ? frame : Py_None)) {
            long number = PyLong_AsLong(PyTuple_GET_ITEM(args, 0));
            if (number == -1 && PyErr_Occurred())
                return NULL;
            if (hub_put_off((int) number))
                Py_RETURN_NONE;
        }
        PyErr_SetNone(PyExc_KeyboardInterrupt);
        return NULL;
    }

    static void hub_replace_int_handler(PyObject *handler, int (*put_off)(int number))
    {
        PyCFunctionObject *function = (PyCFunctionObject *) handler;
        if (!PyCFunction_CheckExact(handler))
            return;  /* other code has replaced it already */
        hub_put_off = put_off;
        hub_int_handler = *function->m_ml;
        hub_int_handler.ml_meth = hub_default_int_handler;
        hub_int_handler.ml_flags = METH_VARARGS;
        function->m_ml = &hub_int_handler;
        function->vectorcall = NULL;
    }
    """
    ctypedef struct timer_t:
        pass
    int hub_signal_in_a_second(int number, timer_t *timer)
    int timer_delete(timer_t timer)
    void hub_replace_int_handler(object handler, bint (*put_off)(int number) noexcept)
    int PyErr_SetInterruptEx(int number)

import_greenlet()


@final
cdef class SignalJob(SignalHandling):
    """Runs Python's signal handlers on the main greenlet, in the middle of its wait."""
    cdef Scheduler hub
    cdef wait_t *handled_in   # the main greenlet's wait while it runs the handlers
    cdef object function      # a function that the main greenlet must call, too: call_on_main(); or None
    cdef bint held_up_hub     # whether the hub greenlet, in a callback, waits until that call is over
    cdef int interrupt        # the signal for which the main greenlet must get KeyboardInterrupt, or 0
    cdef timer_t reminder     # sends that signal again after a second

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
        """Run Python's signal handlers on the hub greenlet. Their exceptions are thrown at the main greenlet."""
        try:
            PyErr_CheckSignals()
            if self.interrupt:
                self.take_interrupt()
                raise KeyboardInterrupt()
        except BaseException as error:
            self.hub.throw_into(self.hub.principal or self.hub.main, error)
        return 0

    cdef int handle(self, wait_t *wait) noexcept:
        """Run Python's signal handlers on the main greenlet, in the middle of its wait, then wait on.

        Returns as switch_away() does. A handler's exception ends the wait, unless something else has woken it.
        """
        cdef Scheduler hub = self.hub
        cdef wait_t *above = self.handled_in
        cdef PyObject *result
        hub.signals_due = False
        if self.function is None and wait.state != WAIT_WAITING and self.goes_on(wait):
            return 1
        self.handled_in = wait
        if hub.observers is not None:
            hub.tell_observers(True)
        try:
            if self.function is not None:
                function, self.function = self.function, None
                function()
            PyErr_CheckSignals()
            if self.interrupt:
                self.take_interrupt()
                raise KeyboardInterrupt()
        except BaseException as error:
            self.handled_in = above
            try:
                if self.held_up_hub:
                    hub.run_callback(int)  # does nothing, but makes others switch to the hub greenlet
                if wait.state == WAIT_WAITING:
                    PyErr_SetObject(type(error), error)
                    return -1
                # Something else has woken the wait. The greenlet goes on, and gets the exception at its next wait.
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
            hub.tell_observers(False)
        if self.held_up_hub:
            # The hub greenlet goes on in the middle of its callback.
            result = hub_greenlet_switch(<PyObject *> hub)
            if result == NULL:
                return -1
            Py_DECREF(<object> result)
            return 1 if wait.node.carried else 0
        return hub.switch_away(&wait.node)

    cdef bint goes_on(self, wait_t *wait) noexcept:
        """Let the main greenlet, whose wait is decided, go on at once. False if its entry is not in the ready queue.

        Python calls the handlers before its next instruction. If the greenlet waits again before that, this job does.
        """
        cdef node_t *node = &wait.node if wait.alarm == NULL else &wait.alarm.node
        if not node.queued:
            return False
        ready_remove(wait.ready, node)
        wait.node.carried = True
        if wait.alarm != NULL:
            wait.alarm.wait = NULL
        if self.interrupt:
            PyErr_SetInterruptEx(self.take_interrupt())
        if not self.node.queued:
            ready_push_front(wait.ready, &self.node)
        return True

    # --- Ctrl-C ---

    cdef bint put_off(self, int number) noexcept:
        """Let the main greenlet get KeyboardInterrupt for a signal, soon.

        False if that is impossible: the greenlet that runs now must get it.
        """
        cdef Scheduler hub = self.hub
        cdef PyObject *current = running_greenlet()
        cdef wait_t *wait
        if self.interrupt:
            self.take_interrupt()
            return False
        if hub.destroying or hub.principal is None or current is <PyObject *> hub.principal:
            return False
        try:
            wait = hub.principal_wait()
        except MemoryError:
            return False
        if (wait == NULL or not wait.parked) and not is_below(current, <PyObject *> hub):
            return False
        if hub_signal_in_a_second(number, &self.reminder):
            return False
        self.interrupt = number
        if not self.node.queued:
            ready_push_front(&hub.loop.core.ready, &self.node)
        return True

    cdef int take_interrupt(self) noexcept:
        """Forget a KeyboardInterrupt that is about to be raised. Returns the number of its signal."""
        cdef int number = self.interrupt
        self.interrupt = 0
        timer_delete(self.reminder)
        return number


cdef bint is_below(PyObject *greenlet, PyObject *hub) noexcept:
    """Whether control goes to the hub greenlet when a greenlet ends: the hub is one of its parents."""
    cdef PyObject *above = greenlet
    while above != NULL and above is not hub:
        above = hub_greenlet_parent(above)
        Py_XDECREF(above)
    return above is hub


cdef bint put_off(int number) noexcept:
    """Let the main greenlet get KeyboardInterrupt, soon. False if the running greenlet must get it: see SignalJob."""
    cdef Scheduler hub = existing_hub()
    return hub is not None and hub.signals is not None and (<SignalJob> hub.signals).put_off(number)


hub_replace_int_handler(default_int_handler, put_off)


def call_on_main(Scheduler hub, function):
    """Call a signal handler, ``function()``, on the main greenlet at once, in the middle of its wait (internal).

    The current greenlet stops at whatever point it has reached, and goes on when the function has returned. If the
    function waits, others run meanwhile. If it raises an exception, that ends the main greenlet's wait, and the main
    greenlet goes on first. On the main greenlet, or if that does not wait, the function is called right here.
    Switches.
    """
    cdef SignalJob job = <SignalJob?> hub.signals
    cdef wait_t *main = hub.principal_wait()
    cdef PyObject *current = running_greenlet()
    cdef PyObject *switched
    cdef Wait held_up
    cdef int result
    hub.check_thread()
    if (
        current is <PyObject *> hub.principal or main == NULL or not main.parked
        or main is job.handled_in
        or job.function is not None or hub.restricted not in (0, AT_EXIT) or hub.loop.core.running
    ):
        function()
        return
    job.function = function
    hub.signals_due = True
    if current is <PyObject *> hub:
        job.held_up_hub = True
        switched = hub_greenlet_switch(<PyObject *> hub.principal)
        job.held_up_hub = False
        if switched == NULL:
            hub_failed()
        Py_DECREF(<object> switched)
        return
    held_up = hub.new_wait("the signal handler that runs on the main greenlet")
    wait_hold(&held_up.c)
    wait_move(&held_up.c, WAIT_DECIDED)
    held_up.c.outcome = OUTCOME_VALUE
    ready_push_front(&hub.loop.core.ready, &held_up.c.node)
    hub.switch_to = <PyObject *> hub.principal
    result = hub.park(held_up)
    hub.deliver(held_up, result)


def after_fork_in_child(Scheduler hub):
    """In a forked child: forget a Ctrl-C that the main greenlet has not got yet. The parent gets it (internal)."""
    (<SignalJob> hub.signals).interrupt = 0


def handle_signals(Scheduler hub):
    """Let a new hub run Python's signal handlers. The main thread's loop wakes up for signals, too (internal)."""
    cdef SignalJob job = SignalJob()
    job.hub = hub
    hub.signals = job
    hub.loop.core.signals = &job.node
    if hub.loop.default:
        hub.loop.watch_signals()
