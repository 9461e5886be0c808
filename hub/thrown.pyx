"""Exceptions thrown into greenlets: those that wait for a greenlet's next park, and alarms, which come at a given time.

A kill() may find that something else has woken the greenlet already. Then it leaves its exception in the greenlet's
slot, and the exception is raised when that greenlet parks next. An alarm does the same. Timeout is built on alarms.

What does not belong here: parked greenlets, and how an exception wakes them. The scheduler is built on this.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint64_t

from hub.core cimport core_of
from hub.greenlet_api cimport (
    hub_failed, hub_greenlet_has_started, hub_greenlet_is_active, hub_greenlet_throw, import_greenlet,
)
from hub.loop cimport Loop
from hub.ready cimport (
    ALARM_CARRIED, ALARM_FREE, ALARM_RUNNING, NODE_ALARM, OUTCOME_THROWN, WAIT_DECIDED, WAIT_WAITING, alarm_t,
    append_pending, get_alarm_state, hub_check, ready_push, ready_remove, remove_pending, slot_t, throw_t, wait_move,
    wait_t,
)
from hub.timers cimport is_of, keep_timer, timer_give, timer_start, timer_t, timer_take, timer_to_pool

__all__: list = []

import_greenlet()

cdef extern from *:
    """
    /* An alarm may come, in its loop and without the GIL, while another thread cancels it. The loop takes the timer's
       target away; the other thread puts the address of this in its place. So each finds out whether it was first. */
    static char hub_cancelled;

    #define hub_claim_target(place) __atomic_exchange_n((place), NULL, __ATOMIC_ACQ_REL)

    static int hub_cancel_target(void **place, void *target)
    {
        return __atomic_compare_exchange_n(place, &target, &hub_cancelled, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
    """
    char hub_cancelled
    void *hub_claim_target(void **place) nogil
    bint hub_cancel_target(void **place, void *target)


cdef int pend_exception(slot_t *slot, object exception) except -1:
    """Let an exception instance be raised at the greenlet's next park."""
    cdef throw_t *entry = <throw_t *> PyMem_RawMalloc(sizeof(throw_t))
    if entry == NULL:
        raise MemoryError()
    Py_INCREF(exception)
    entry.exception = <PyObject *> exception
    entry.alarm = NULL
    append_pending(slot, entry)
    return 0


cdef object take_pending(slot_t *slot):
    """Take the first exception that waits for this greenlet's next park. has_pending() has said that there is one."""
    cdef throw_t *entry = slot.pending
    cdef object exception
    slot.pending = entry.next
    if entry.alarm != NULL:
        entry.alarm.is_pending = False
        return take_alarm(entry.alarm)
    exception = <object> entry.exception
    Py_DECREF(exception)
    PyMem_RawFree(entry)
    return exception


cdef bint has_pending(slot_t *slot) noexcept:
    """Whether an exception waits for this greenlet's next park. May run any code, where another thread has cancelled
    an alarm."""
    cdef throw_t *entry
    while slot.pending != NULL:
        entry = slot.pending
        if entry.alarm == NULL or not entry.alarm.is_cancelled:
            return True
        slot.pending = entry.next
        entry.alarm.is_pending = False
        clear_alarm(entry.alarm)
    return False


cdef void drop_pending(slot_t *slot) noexcept:
    """Forget every exception that waits for this greenlet's next park."""
    cdef throw_t *entry
    while slot.pending != NULL:
        entry = slot.pending
        if entry.alarm != NULL:
            slot.pending = entry.next
            entry.alarm.is_pending = False
            clear_alarm(entry.alarm)
        else:
            slot.pending = entry.next
            Py_DECREF(<object> entry.exception)
            PyMem_RawFree(entry)


cdef bint forget_exception(slot_t *slot, object exception) except -1:
    """Take back an exception that waits for this greenlet's next park. False if it does not wait for that."""
    cdef throw_t *entry = slot.pending
    while entry != NULL:
        if entry.alarm == NULL and entry.exception is <PyObject *> exception:
            remove_pending(slot, entry)
            Py_DECREF(exception)
            PyMem_RawFree(entry)
            return True
        entry = entry.next
    return False


cdef object make_exception(object exception, object value, object traceback):
    """An exception instance out of what kill() and throw() accept: a class, an instance, or a triple."""
    if isinstance(exception, BaseException):
        if value is not None:
            raise TypeError("an exception instance cannot have a separate value")
    elif isinstance(exception, type) and issubclass(exception, BaseException):
        if isinstance(value, exception):
            exception = value
        elif value is None:
            exception = exception()
        elif isinstance(value, tuple):
            exception = exception(*value)
        else:
            exception = exception(value)
    else:
        raise TypeError(f"exceptions must be classes or instances deriving from BaseException, not {exception!r}")
    if traceback is not None:
        exception = exception.with_traceback(traceback)
    return exception


cdef object exception_of(object thrown):
    """The same for one argument: a class, an instance, or a tuple of up to three, as throw() takes them."""
    if not isinstance(thrown, tuple):
        return make_exception(thrown, None, None)
    exception, value, traceback = (thrown + (None, None))[:3]
    return make_exception(exception, value, traceback)


cdef object without_frames(object exception):
    """An exception that is to be kept: without the frames that it has passed, and the objects in them."""
    exception.__traceback__ = exception.__context__ = None
    return exception


cdef int throw_now(object target, object exception) except -1:
    """Throw an exception instance into a greenlet that is suspended in a switch of its own, or has not begun."""
    cdef PyObject *result
    kind = type(exception)
    result = hub_greenlet_throw(<PyObject *> target, <PyObject *> kind, <PyObject *> exception, NULL)
    if result == NULL:
        try:
            hub_failed()
        except BaseException as error:
            # A greenlet that never ran, or did not catch the exception, has ended with it, as was intended.
            if error is not exception:
                raise
    else:
        Py_DECREF(<object> result)
    return 0


# --- alarms -----------------------------------------------------------------------------------------------------

cdef int alarm_start(
    alarm_t *alarm, object owner, object target, slot_t *slot, Loop loop, uint64_t due, bint ref
) except -1:
    """Throw into greenlet `target`, which has that slot, at loop time `due`, unless cancelled before.

    `owner` is the object that the alarm is part of. `ref`: whether it keeps the loop alive meanwhile.
    """
    cdef timer_t *timer
    hub_check(get_alarm_state(alarm) == ALARM_FREE, b"an alarm that is set is not set again")
    timer = timer_take(&loop.core.timers)
    Py_INCREF(target)
    alarm.greenlet = <PyObject *> target
    alarm.slot = slot
    alarm.node.kind = NODE_ALARM
    alarm.node.object = <PyObject *> owner
    Py_INCREF(owner)
    alarm.pending.alarm = alarm
    alarm.is_set = True
    alarm.is_pending = False
    alarm.is_cancelled = False
    alarm.references = ref
    alarm.wait = NULL
    Py_INCREF(loop)
    alarm.loop = <PyObject *> loop
    keep_timer(&alarm.timer, timer)
    alarm.due = due
    timer.target = alarm
    timer.fire = on_alarm
    loop.core.references += ref
    timer_start(timer, due)
    return 0


cdef int alarms_go_on(timer_t *timer, PyObject *target, Loop loop) except -1:
    """In a forked child: set the alarms of greenlet `target`, among the timers of the loop before, on the new one."""
    cdef alarm_t *alarm
    cdef timer_t *next
    while timer != NULL:
        next = timer.next_free
        alarm = <alarm_t *> timer.target
        if timer.fire is on_alarm and not is_cancelled(timer.target):
            if alarm.greenlet is target:
                keep_timer(&alarm.timer, timer)
                loop.core.references += alarm.references
                timer_start(timer, alarm.due)
        timer = next
    return 0


cdef inline bint is_cancelled(void *target) noexcept nogil:
    return target == NULL or target is &hub_cancelled


cdef void on_alarm(timer_t *timer) noexcept nogil:
    """The time of an alarm has come."""
    cdef void *target = hub_claim_target(&timer.target)
    cdef alarm_t *alarm = <alarm_t *> target
    cdef wait_t *wait
    if target is &hub_cancelled:
        timer_to_pool(timer)
        return
    hub_check(get_alarm_state(alarm) == ALARM_RUNNING, b"an alarm that fires is set, and was not delivered")
    wait = alarm.slot.current
    if alarm.references:
        core_of(timer).references -= 1
    timer_to_pool(timer)
    alarm.timer.timer = NULL
    if wait != NULL and alarm_decide(alarm, wait):
        ready_push(&core_of(timer).ready, &alarm.node)
    elif wait == NULL and not alarm.slot.yielding:
        # Suspended in a switch of its own making, or over: alarm_come() finds out, with the GIL.
        ready_push(&core_of(timer).ready, &alarm.node)
    else:
        pend_alarm(alarm)


cdef bint alarm_decide(alarm_t *alarm, wait_t *wait) noexcept nogil:
    """Let the alarm decide a wait. False if that is decided already."""
    if wait.state != WAIT_WAITING:
        return False
    wait_move(wait, WAIT_DECIDED)
    wait.outcome = OUTCOME_THROWN
    wait.alarm = alarm
    alarm.wait = wait
    return True


cdef void pend_alarm(alarm_t *alarm) noexcept nogil:
    """Let the alarm's exception be raised at the greenlet's next park."""
    hub_check(get_alarm_state(alarm) == ALARM_CARRIED, b"an alarm is pending once")
    alarm.is_pending = True
    append_pending(alarm.slot, &alarm.pending)


cdef wait_t *alarm_come(alarm_t *alarm) noexcept:
    """An alarm's turn in the ready queue: the wait that it ends, or NULL if there is none."""
    cdef wait_t *wait = alarm.wait
    if wait == NULL:
        # It had none when it fired, or the greenlet was switched out of it by force.
        wait = alarm.slot.current
        if alarm.is_cancelled or is_over(alarm.greenlet):
            clear_alarm(alarm)
            return NULL
        if wait == NULL or not alarm_decide(alarm, wait):
            pend_alarm(alarm)
            return NULL
    alarm.wait = NULL
    return wait


cdef bint is_over(PyObject *greenlet) noexcept:
    return hub_greenlet_has_started(greenlet) and not hub_greenlet_is_active(greenlet)


cdef object take_alarm(alarm_t *alarm):
    """The exception of an alarm that is being delivered. The alarm is free from then on."""
    cdef PyObject *exception
    cdef object result
    hub_check(get_alarm_state(alarm) == ALARM_CARRIED, b"an alarm is delivered once")
    try:
        exception = alarm.exception(alarm.node.object)
        result = <object> exception
        Py_DECREF(result)
    except BaseException as error:
        result = error
    clear_alarm(alarm)
    return result


cdef void clear_alarm(alarm_t *alarm) noexcept:
    """Make an alarm free."""
    cdef PyObject *target = alarm.greenlet
    cdef PyObject *loop = alarm.loop
    hub_check(get_alarm_state(alarm) == ALARM_CARRIED, b"an alarm is cleared when nothing refers to it any more")
    alarm.is_set = False
    alarm.wait = NULL
    alarm.greenlet = NULL
    alarm.slot = NULL
    alarm.loop = NULL
    # These may run any code, which may set the alarm again. The last of them may free its memory.
    Py_DECREF(<object> target)
    Py_DECREF(<object> loop)
    Py_DECREF(<object> alarm.node.object)


cdef void alarm_cancel(alarm_t *alarm) noexcept:
    """Cancel an alarm that was not delivered yet. An alarm that has decided a wait already is delivered all the same.

    In another thread than the alarm's it may be only marked: its own thread frees it when it comes to it.
    """
    cdef timer_t *timer = alarm.timer.timer  # once: where it fires, another thread takes it away
    cdef Loop loop
    if timer != NULL:
        loop = <Loop> alarm.loop
        if is_of(&alarm.timer, &loop.core.timers):
            if loop.thread == <unsigned long> PyThread_get_thread_ident():
                if alarm.references:
                    loop.core.references -= 1
                timer_give(timer)
            elif not hub_cancel_target(&timer.target, alarm):
                alarm.is_cancelled = True  # it has just fired: its own thread frees it
                return
            # else: the timer is another thread's, and out of reach. When it fires, it finds that it was cancelled.
            elif alarm.references:
                loop.drop_reference()
        alarm.timer.timer = NULL
        clear_alarm(alarm)
        return
    loop = <Loop> alarm.loop
    if is_of(&alarm.timer, &loop.core.timers) and loop.thread != <unsigned long> PyThread_get_thread_ident():
        alarm.is_cancelled = True
    elif alarm.is_pending:
        remove_pending(alarm.slot, &alarm.pending)
        alarm.is_pending = False
        clear_alarm(alarm)
    elif alarm.node.queued and alarm.wait == NULL:
        ready_remove(&loop.core.ready, &alarm.node)
        clear_alarm(alarm)
