# Waits, and the part of a hub that knows of them. See waits.pyx; ready.pxd has the C half of a wait.

from cpython.object cimport PyObject
from cython cimport final
from libc.stdint cimport uint64_t

from hub.callbacks cimport CallingHub
from hub.loop cimport Job
from hub.ready cimport alarm_t, slot_t, wait_t


# One greenlet's wait for one thing.
cdef class Wait:
    cdef wait_t c
    cdef readonly WaitingHub hub  # the hub of its greenlet; None in a thread without a hub
    cdef object value            # the value, or the exception instance, with which it was woken
    cdef readonly object what    # the thing that it waits for, for reports
    cdef object given            # the thing that it was granted in a line, or that it offers there (see wait_queue)
    cdef object kept             # its greenlet, until it parks, if the program has made the wait; or None
    cdef object thread_lock      # in a thread without a hub: the lock on which the thread waits

    cdef bint wake_with(self, object value) except -1
    cdef bint throw_with(self, object exception) except -1


# Throws into a greenlet that is suspended in a switch of its own making, not parked.
@final
cdef class ThrowJob(Job):
    cdef WaitingHub hub
    cdef object target
    cdef object exception


# Added to a hub's `restricted` when the program ends. From then on each wait is checked: it may be too late for it.
cdef enum:
    AT_EXIT = 1 << 30


# How often a greenlet gets HubDestroyed before it is given up, and how often a hub that ends repeats its steps.
cdef enum:
    LAST_TRIES = 100


cdef class WaitingHub(CallingHub):
    cdef slot_t main_slot     # the main greenlet's slot
    cdef wait_t *parked       # every parked wait, newest first
    cdef long parked_length
    cdef long in_line         # how many waits stand in line, where another thread could wake them
    cdef long restricted      # counts reasons why nothing may wait: the hub ends, no_switch() sections; AT_EXIT
    cdef Wait join_wait       # the wait of hub.join(), or None
    cdef list unfinished      # greenlets that did not end when the hub was destroyed, or None

    cdef Wait new_wait(self, object what)
    cdef int bind_current(self, Wait wait, object what) except -1
    cdef int bind(self, Wait wait, PyObject *current, object what) except -1
    cdef int refuse(self, PyObject *current, slot_t *slot) except -1
    cdef bint allow_waits(self, bint yes) except -1
    cdef bint is_late(self) noexcept
    cdef slot_t *slot_of_current(self) except NULL
    cdef slot_t *slot_of(self, object target) except NULL
    cdef int park(self, Wait wait) noexcept
    cdef int park_until(self, Wait wait, uint64_t due, bint ref) except -2
    cdef object deliver(self, Wait wait, int result)
    cdef int postpone(self, Wait wait) except -1
    cdef int post(self, Wait wait) except -1
    cdef wait_t *principal_wait(self) except? NULL
    cdef int forget_wait_timers(self) noexcept
    cdef bint nothing_left(self) except -1
    cdef object loop_exit(self)
    cdef int throw_alarm(self, alarm_t *alarm) except -1
    cdef int alarm_set(self, alarm_t *alarm, object owner, double seconds, bint ref) except -1
