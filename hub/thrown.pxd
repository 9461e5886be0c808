# Exceptions that are thrown into greenlets. See thrown.pyx.

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from hub.loop cimport Loop
from hub.ready cimport alarm_t, slot_t, wait_t
from hub.timers cimport timer_t


cdef int pend_exception(slot_t *slot, object exception) except -1
cdef object take_pending(slot_t *slot)
cdef bint has_pending(slot_t *slot) noexcept
cdef void drop_pending(slot_t *slot) noexcept
cdef bint forget_exception(slot_t *slot, object exception) except -1
cdef object make_exception(object exception, object value, object traceback)
cdef object exception_of(object thrown)
cdef object without_frames(object exception)
cdef int throw_now(object target, object exception) except -1

cdef int alarm_start(
    alarm_t *alarm, object owner, object target, slot_t *slot, Loop loop, uint64_t due, bint ref
) except -1
cdef wait_t *alarm_carry_out(alarm_t *alarm) noexcept
cdef int alarms_restart(timer_t *timer, PyObject *target, Loop loop) except -1
cdef object take_alarm(alarm_t *alarm)
cdef void pend_alarm(alarm_t *alarm) noexcept nogil
cdef void alarm_cancel(alarm_t *alarm) noexcept
