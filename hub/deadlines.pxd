# Deadlines: timeouts of sockets that cost nothing for most calls. Header only: every function here is inline.
#
# A socket waits again and again with a timeout. Each of its directions has one timer, which is left running from one
# wait to the next and compares against the current wait's deadline when it fires. So a call with a timeout does no work
# in the heap of timers. Scheduler.wait_descriptor() begins a deadline.

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.pythread cimport PyThread_get_thread_ident
from libc.stdint cimport uint64_t

from hub.loop cimport Loop
from hub.ready cimport OUTCOME_TIMED_OUT, WAIT_WAITING, fifo_remove, wait_t, wait_wake
from hub.timers cimport (
    is_of, keep_timer, kept_timer_t, now_ns, timer_give, timer_of, timer_start, timer_t, timer_take, timer_to_pool,
    timers_t,
)


cdef extern from *:
    """
    /* Atomic, because an owner may end in another thread while the timer fires without the GIL. */
    #define hub_leave(is_left) __atomic_exchange_n((is_left), 1, __ATOMIC_ACQ_REL)
    """
    bint hub_leave(bint *is_left) nogil


cdef struct deadline_t:
    kept_timer_t timer    # the timer while it runs
    uint64_t fires        # the loop time at which the timer fires
    uint64_t due          # the loop time at which the current wait ends
    wait_t *wait          # the current wait, or NULL
    bint is_left          # whether the owner or the timer has let go of this: the second to do so frees it


cdef inline void expire(wait_t *wait) noexcept nogil:
    """End a wait that stands in a fifo: its timeout has passed."""
    if wait.state == WAIT_WAITING and wait.link.fifo != NULL:
        fifo_remove(&wait.link)
        wait_wake(wait, OUTCOME_TIMED_OUT)


cdef inline void on_descriptor_timer(timer_t *timer) noexcept nogil:
    """End the one wait of a timer. It stands in a descriptor's fifo, whose hold goes to the ready queue."""
    expire(<wait_t *> timer.target)


cdef inline void on_deadline(timer_t *timer) noexcept nogil:
    cdef deadline_t *deadline = <deadline_t *> timer.target
    cdef wait_t *wait = deadline.wait
    if wait != NULL and now_ns() < deadline.due:
        deadline.fires = deadline.due
        timer_start(timer, deadline.due)
        return
    timer_to_pool(timer)
    deadline.timer.timer = NULL
    if hub_leave(&deadline.is_left):
        PyMem_RawFree(deadline)
    # From now on the owner may free `deadline`.
    if wait != NULL:
        expire(wait)


cdef inline deadline_t *deadline_new() except NULL:
    """A deadline without a timer."""
    cdef deadline_t *deadline = <deadline_t *> PyMem_RawCalloc(1, sizeof(deadline_t))
    if deadline == NULL:
        raise MemoryError()
    deadline.is_left = True
    return deadline


cdef inline int deadline_begin(deadline_t *deadline, timers_t *timers, wait_t *wait, uint64_t due) except -1:
    """Let a wait end at loop time `due`. For the loop's own thread."""
    cdef timer_t *timer = timer_of(&deadline.timer, timers)
    if timer == NULL:
        timer = timer_take(timers)
        keep_timer(&deadline.timer, timer)
        deadline.is_left = False
        timer.target = deadline
        timer.fire = on_deadline
        deadline.fires = due
        timer_start(timer, due)
    elif deadline.fires > due:
        deadline.fires = due
        timer_start(timer, due)
    deadline.due = due
    deadline.wait = wait
    return 0


cdef inline void deadline_stop(deadline_t *deadline, Loop loop) noexcept:
    """Stop the timer; the owner keeps the deadline. For the loop's own thread."""
    cdef timer_t *timer
    if deadline != NULL and deadline.timer.timer != NULL:
        timer = timer_of(&deadline.timer, &loop.core.timers)
        if timer != NULL:
            timer_give(timer)
        deadline.timer.timer = NULL
        deadline.is_left = True


cdef inline void deadline_drop(deadline_t *deadline, Loop loop) noexcept:
    """Free the deadline of an owner that ends. A running timer of another thread's loop frees it when it fires."""
    if not hub_leave(&deadline.is_left) and is_of(&deadline.timer, &loop.core.timers):
        if loop.thread != <unsigned long> PyThread_get_thread_ident():
            return
        timer_give(deadline.timer.timer)
    PyMem_RawFree(deadline)
