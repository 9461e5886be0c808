# The scheduler's C side, for compiled modules that block. See scheduler.pyx.

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from hub.callbacks cimport CallingHub
from hub.current cimport hub_of_thread, is_main_thread, new_hub
from hub.deadlines cimport deadline_t
from hub.core cimport watch_t
from hub.loop cimport Job
from hub.ready cimport node_t, slot_t, wait_t
from hub.turns cimport turns_t
from hub.waits cimport Wait, WaitingHub


# Lets Python's signal handlers run: see signals.pyx.
cdef class SignalHandling(Job):
    cdef int handle(self, wait_t *wait) noexcept
    cdef int handle_here(self) except -1


cdef class Scheduler(WaitingHub):
    cdef turns_t turns
    cdef SignalHandling signals
    cdef bint signals_due                # whether the main greenlet must run Python's signal handlers
    cdef tuple observers                 # functions for observe(), or None
    cdef PyObject *printing              # the thread's list for repr(): see printing.pxd; owned
    cdef PyObject *switch_to             # the greenlet to switch to at the next park, before the ready queue; borrowed
    cdef bint has_begun                  # whether its run() has been entered

    cdef int retry_loop(self, bint on_hub) except -1
    cdef int look_safely(self, bint on_hub) noexcept
    cdef bint hub_goes_on(self) except -1
    cdef PyObject *throw_loop_exit(self) noexcept
    cdef int wait_descriptor(
        self, watch_t *watch, unsigned int generation, int events, uint64_t due, deadline_t *deadline, object what
    ) except -1
    cdef int wait_descriptor_late(self, int fd, int events, uint64_t due) except -1
    cdef void carry_again(self, wait_t *below) noexcept
    cdef void yield_again(self, wait_t *above) noexcept
    cdef int set_pending(self, slot_t *slot) noexcept
    cdef int set_invalid_switch(self, Wait wait) noexcept
    cdef int tell_observers(self, bint returned) noexcept
    cdef int tell_of_return(self, int result) noexcept
    cdef int sleep_for(self, double seconds, bint ref, object what) except -1
    cdef int sleep_until(self, uint64_t due, bint ref, object what) except -1
    cdef int yield_turn(self, object what) except -1
    cdef int yield_by_wait(self, object what) except -1
    cdef int yield_nowhere(self) except -1
    cdef int yield_failed(self, object greenlet) except -1
    cdef int give_way(self) except -1
    cdef int switch_away(self, node_t *mine) noexcept
    cdef int idle(self, bint on_hub) noexcept
    cdef int look(self, bint on_hub) except -2
    cdef int start(self, PyObject *target) except -1
    cdef int enter(self, PyObject *target) except -1


cdef node_t *resume_of(node_t *node, PyObject **target) noexcept

cpdef int be_fair() except -1


# --- the hub of the current thread ------------------------------------------------------------------------------

cdef inline Scheduler current_hub():
    """The hub of the current thread, made on first use."""
    cdef PyObject *hub = hub_of_thread()
    if hub == NULL:
        hub = new_hub()
    return <Scheduler> hub


cdef inline Scheduler existing_hub():
    """The hub of the current thread, or None."""
    cdef PyObject *hub = hub_of_thread()
    if hub == NULL:
        return None
    return <Scheduler> hub


cdef inline Scheduler hub_if_any():
    """The hub of the current thread, or None if it has none. For the main thread it is made if need be."""
    cdef PyObject *hub = hub_of_thread()
    if hub != NULL:
        return <Scheduler> hub
    if is_main_thread():
        return <Scheduler> new_hub()
    return None


cdef inline bint is_current(CallingHub hub) noexcept:
    """Whether this is the hub of the current thread."""
    return hub_of_thread() is <PyObject *> hub
