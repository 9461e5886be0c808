"""Exceptions thrown into greenlets: pending exceptions, and alarms, which throw at a given time.

A kill() may find that something else has woken the greenlet already. Then it leaves its exception in the greenlet's
slot. There the exception is *pending*: it is raised when the greenlet parks next. An alarm does the same. Timeout is
built on alarms.

What does not belong here: parked greenlets, and how an exception wakes them (hub.waits).
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
    /* An alarm may fire, in its loop and without the GIL, while another thread cancels it. The loop takes the timer's
       target away. The other thread puts the address of this variable in its place. So each learns whether it was
       first. */
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
    """Take the first pending exception, and return it. Only after has_pending() has returned True."""
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
    """Whether an exception is pending. Frees alarms that other threads have cancelled, which may run any code."""
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
    """Forget every pending exception."""
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
    """Forget a pending exception. False if it is not pending."""
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
    """Make an exception instance of the arguments of kill() and throw(): a class, an instance, or a triple.

    Raises TypeError if they are not that.
    """
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
    """make_exception() for one argument: a class, an instance, or a tuple of up to three arguments of throw()."""
    if not isinstance(thrown, tuple):
        return make_exception(thrown, None, None)
    exception, value, traceback = (thrown + (None, None))[:3]
    return make_exception(exception, value, traceback)


cdef object without_frames(object exception):
    """Return the exception without its traceback and context, for keeping it: frames would keep their objects alive."""
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
            # If the greenlet never ran, or has not caught the exception, it has ended with it, as was intended.
            if error is not exception:
                raise
    else:
        Py_DECREF(<object> result)
    return 0


# --- alarms -----------------------------------------------------------------------------------------------------

cdef int alarm_start(
    alarm_t *alarm, object owner, object target, slot_t *slot, Loop loop, uint64_t due, bint ref
) except -1:
    """Set an alarm: at loop time `due` it throws its exception into greenlet `target`, which has that slot.

    `owner`: the object that the alarm is part of. `ref`: whether the alarm keeps the loop alive until then.
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


cdef int alarms_restart(timer_t *timer, PyObject *target, Loop loop) except -1:
    """In a forked child: set the alarms of greenlet `target` again, on the new loop.

    `timer`: the first of the timers that ran on the parent's loop, linked by `next_free`.
    """
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
    """Fire: decide the wait of the alarm's greenlet, or leave the exception for later."""
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
        # The greenlet is suspended in a switch of its own, or has ended. alarm_carry_out() finds out, with the GIL.
        ready_push(&core_of(timer).ready, &alarm.node)
    else:
        pend_alarm(alarm)


cdef bint alarm_decide(alarm_t *alarm, wait_t *wait) noexcept nogil:
    """Let the alarm decide a wait. False if the wait is decided already."""
    if wait.state != WAIT_WAITING:
        return False
    wait_move(wait, WAIT_DECIDED)
    wait.outcome = OUTCOME_THROWN
    wait.alarm = alarm
    alarm.wait = wait
    return True


cdef void pend_alarm(alarm_t *alarm) noexcept nogil:
    """Make the alarm's exception pending."""
    hub_check(get_alarm_state(alarm) == ALARM_CARRIED, b"an alarm is pending once")
    alarm.is_pending = True
    append_pending(alarm.slot, &alarm.pending)


cdef wait_t *alarm_carry_out(alarm_t *alarm) noexcept:
    """Carry out an alarm from the ready queue. Returns the wait that it ends, or NULL if it ends none."""
    cdef wait_t *wait = alarm.wait
    if wait == NULL:
        # The greenlet did not wait when the alarm fired, or other code has switched it out of its wait.
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
    """Return the exception of an alarm that is being delivered. The alarm is free from then on."""
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
    # Each of these may run any code, which may set the alarm again. The last may free the alarm's memory.
    Py_DECREF(<object> target)
    Py_DECREF(<object> loop)
    Py_DECREF(<object> alarm.node.object)


cdef void alarm_cancel(alarm_t *alarm) noexcept:
    """Cancel an alarm that is set. If it has decided a wait already, it is delivered all the same.

    In another thread than the alarm's, the alarm may be marked only. Its own thread frees it later.
    """
    cdef timer_t *timer = alarm.timer.timer  # read once: its own thread sets it to NULL when it fires
    cdef Loop loop
    if timer != NULL:
        loop = <Loop> alarm.loop
        if is_of(&alarm.timer, &loop.core.timers):
            if loop.thread == <unsigned long> PyThread_get_thread_ident():
                if alarm.references:
                    loop.core.references -= 1
                timer_give(timer)
            elif not hub_cancel_target(&timer.target, alarm):
                alarm.is_cancelled = True  # it has just fired, so its own thread frees it
                return
            # The timer is another thread's, and stays there. When it fires, on_alarm() finds that it was cancelled.
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
