"""Waits: greenlets are parked on them, are woken by them, and get exceptions through them.

A greenlet that blocks makes a `Wait`, hands it to its waker, and parks on it. `WaitingHub` is the part of a hub that
knows of waits: it makes them, lists those that are parked, and throws exceptions into waiting greenlets.

Rules
    1. The first wake decides a wait. Later ones return False, and hand nothing over.
    2. Only the hub's own thread touches its waits. Other threads post a wait to the inbox, after granting it something.
    3. An exception that loses against another wake is raised at the greenlet's next park.
    4. Nothing waits on the hub greenlet, in a no_switch() section, or on a hub that is being destroyed.

What does not belong here: parking itself, which switches to another greenlet (hub.scheduler); lines (hub.wait_queue).
"""

import weakref

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from cython cimport final, freelist, no_gc

from hub.arguments cimport seconds_of
from hub.callbacks cimport CallingHub
from hub.current cimport end_process, hub_of_thread, interpreter_ends, new_hub, raise_no_greenlet
from hub.errors import BlockingSwitchOutError, HubDestroyed, InvalidSwitchError, LoopExit
from hub.greenlet_api cimport *
from hub.greenlets cimport HubGreenlet
from hub.loop cimport Job
from hub.ready cimport *
from hub.report import describe_hub_call, format_waits
from hub.thrown cimport (
    alarm_start, drop_pending, forget_exception, has_pending, make_exception, pend_alarm, pend_exception, take_alarm,
    take_pending, throw_now,
)
from hub.timers cimport due_after

__all__ = ["Wait", "WaitingHub"]

# Not among the module's globals, which are gone when finalizers run at the end of the interpreter.
cdef object too_late = HubDestroyed

import_greenlet()


# --- waits ------------------------------------------------------------------------------------------------------

@final
@no_gc
@freelist(256)
cdef class Wait:
    """One wait of the current greenlet. All calls of the library that block are built on this.

    ``wait = Wait(what)`` belongs to the current greenlet. ``wait.park(timeout)`` switches away until other code calls
    ``wait.wake(value)`` or ``wait.throw(exception)``. A wait is used once.

    `what`: any object; the report of a LoopExit has its repr. Raises BlockingSwitchOutError on the hub greenlet, where
    nothing can wait. Making a wait does not switch.
    """

    def __cinit__(self, what=None):
        self.c.node.kind = NODE_WAIT
        self.c.node.object = <PyObject *> self
        self.c.link.wait = &self.c

    def __init__(self, what=None):
        cdef WaitingHub hub = <WaitingHub> (new_hub() if hub_of_thread() == NULL else hub_of_thread())
        if self.hub is not None:
            raise RuntimeError(f"{self!r} is initialised already")
        hub.bind_current(self, what)
        self.kept = <object> self.c.greenlet

    cdef bint wake_with(self, object value) except -1:
        """Wake the greenlet with a value. False if the wait is decided already. For the hub's own thread."""
        if self.c.state != WAIT_WAITING or self.c.left_behind:
            return False
        self.value = value
        return wait_hold_and_wake(&self.c, OUTCOME_VALUE)

    cdef bint throw_with(self, object exception) except -1:
        """Wake the greenlet with an exception instance. False if the wait is decided already. For the hub's thread."""
        if self.c.state != WAIT_WAITING:
            return False
        self.value = exception
        return wait_hold_and_wake(&self.c, OUTCOME_THROWN)

    def wake(self, value=None):
        """Wake the greenlet: its park() returns `value`.

        Returns True, or False if something else has decided the wait already; then nothing is handed over.
        Does not switch. Raises InvalidThreadUseError in another thread than the hub's.
        """
        self.hub.check_thread()
        return self.wake_with(value)

    def throw(self, exception, value=None, traceback=None):
        """Wake the greenlet: its park() raises `exception` (a class, an instance, or class, value, traceback).

        Returns True, or False if something else has decided the wait already. Does not switch. Raises
        InvalidThreadUseError in another thread than the hub's, TypeError if `exception` is no exception.
        """
        self.hub.check_thread()
        return self.throw_with(make_exception(exception, value, traceback))

    def park(self, timeout=None, ref=True):
        """Switch away until something wakes the greenlet. Returns the value of wake(), or raises throw()'s exception.

        `timeout` in seconds (float; None for ever). `ref=False`: the timeout does not keep the loop alive. Switches.
        Raises TimeoutError if the timeout passes first. A greenlet can park on its own wait only, and once: raises
        RuntimeError the second time, InvalidSwitchError in another greenlet, InvalidThreadUseError in another thread.
        """
        cdef WaitingHub hub = self.hub
        cdef int result
        hub.check_thread()
        if self.c.state == WAIT_OVER or self.c.parked:
            raise RuntimeError(f"{self!r} has been parked on already; make a new one for each wait")
        if hub.slot_of_current() is not self.c.slot:
            raise InvalidSwitchError(f"{self!r} belongs to {self.greenlet!r}; only that greenlet can park on it")
        if timeout is None:
            result = hub.park(self)
        else:
            result = hub.park_until(self, due_after(seconds_of(timeout)), ref)
        if result == 0 and self.c.outcome == OUTCOME_TIMED_OUT:
            raise TimeoutError(f"nothing woke {self!r} within {timeout} seconds")
        return hub.deliver(self, result)

    @property
    def greenlet(self):
        """The greenlet that waits, or None when the wait is over."""
        if self.c.state == WAIT_OVER or self.c.greenlet == NULL:
            return None
        return <object> self.c.greenlet

    @property
    def decided(self):
        """Whether the wait is decided: something has woken the greenlet (bool)."""
        return self.c.state != WAIT_WAITING

    @property
    def parked(self):
        """Whether the greenlet is parked on this wait now (bool)."""
        return self.c.parked

    def __repr__(self):
        state = ("waiting", "decided", "over")[<int> self.c.state]
        what = "" if self.what is None else f" for {self.what!r}"
        return f"<{type(self).__name__} at {id(self):#x} {state}{what}>"



@final
cdef class Slot:
    """The slot of a greenlet that is not a HubGreenlet. The greenlet's __dict__ keeps it."""
    cdef slot_t slot

    def __dealloc__(self):
        drop_pending(&self.slot)


def drop_slot(slot):
    """Do nothing. weakref.finalize() keeps the slot, this function's argument, while the greenlet lives (internal)."""


@final
cdef class ThrowJob(Job):
    """Throws into a greenlet that is suspended in a switch of its own making, not parked."""

    cdef int run(self) except -1:
        cdef slot_t *slot
        cdef object exception = self.exception
        target, self.target = self.target, None
        Py_DECREF(self)  # the ready queue's
        if target.dead:
            return 0
        slot = self.hub.slot_of(target)
        if slot.current != NULL or slot.yielding or running_greenlet() is <PyObject *> target:
            return self.hub.throw_into(target, exception)
        return throw_now(target, exception)


# --- the hub's part ---------------------------------------------------------------------------------------------

cdef class WaitingHub(CallingHub):
    """A hub as far as it knows of waits (internal base class). The scheduler adds parking."""

    def __dealloc__(self):
        drop_pending(&self.main_slot)

    @final
    cdef Wait new_wait(self, object what):
        """Make a wait of the current greenlet. `what`: for reports."""
        cdef Wait wait = Wait.__new__(Wait)
        self.bind_current(wait, what)
        return wait

    @final
    cdef int bind_current(self, Wait wait, object what) except -1:
        cdef PyObject *current = hub_greenlet_current()
        if current == NULL:
            raise_no_greenlet()
        Py_DECREF(<object> current)  # it is running: somebody else owns it
        return self.bind(wait, current, what)

    @final
    cdef int bind(self, Wait wait, PyObject *current, object what) except -1:
        if current is <PyObject *> self:
            raise BlockingSwitchOutError(
                f"a blocking function was called on the hub greenlet, {describe_hub_call(self.callback)}; "
                "spawn a greenlet and let that one block"
            )
        wait.c.greenlet = current
        wait.c.ready = &self.loop.core.ready
        if isinstance(<object> current, HubGreenlet):
            wait.c.slot = &(<HubGreenlet> current).slot
        else:
            wait.c.slot = self.slot_of(<object> current)
        if self.restricted:
            self.refuse(current, wait.c.slot)
        wait.hub = self
        wait.what = what
        return 0

    @final
    cdef int refuse(self, PyObject *current, slot_t *slot) except -1:
        """Raise the reason why nothing may wait: a no_switch() section, or a hub that is being destroyed.

        Returns 0 if the current greenlet may wait all the same.
        """
        cdef PyObject *result
        if self.restricted == AT_EXIT:
            if interpreter_ends():
                raise too_late("the interpreter is shutting down: nothing can be waited for any more")
            return 0
        if not self.destroying:
            raise BlockingSwitchOutError("a blocking function was called in a no_switch() section")
        if slot.waits_allowed:
            return 0
        if slot.pending != NULL and has_pending(slot):
            raise take_pending(slot)  # perhaps HubDestroyed, which is pending if the greenlet had a grant
        if current is not <PyObject *> self.main:
            slot.refusals += 1
            if slot.refusals == LAST_TRIES and self.unfinished is not None:
                self.unfinished.append(<object> current)
            while slot.refusals >= LAST_TRIES:
                # The greenlet catches every exception. It stays here for good.
                result = hub_greenlet_switch(<PyObject *> self)
                if result == NULL:
                    hub_failed()
                Py_DECREF(<object> result)
        raise HubDestroyed(f"{self!r} is being destroyed; nothing can be waited for")

    @final
    cdef bint allow_waits(self, bint yes) except -1:
        """Let the current greenlet wait although the hub is being destroyed, or no longer.

        It gets HubDestroyed again and again while it waits. False for the main greenlet, which cannot wait.
        """
        if self.destroyed or running_greenlet() is <PyObject *> self.main:
            return False
        self.slot_of_current().waits_allowed = yes
        return True

    @final
    cdef bint is_late(self) noexcept:
        """Whether the interpreter is clearing its modules: no greenlet runs any more, and finalizers wait natively."""
        return self.restricted == AT_EXIT and interpreter_ends()

    def forbid_switching(self, int change):
        """Count the beginning (`change` 1) or the end (-1) of a section in which nothing may wait (internal)."""
        self.restricted += change

    # --- slots ---

    @final
    cdef slot_t *slot_of_current(self) except NULL:
        cdef PyObject *current = hub_greenlet_current()
        if current == NULL:
            raise_no_greenlet()
        Py_DECREF(<object> current)
        return self.slot_of(<object> current)

    @final
    cdef slot_t *slot_of(self, object target) except NULL:
        cdef Slot slot
        if isinstance(target, HubGreenlet):
            return &(<HubGreenlet> target).slot
        if target is self.main:
            return &self.main_slot
        slot = target.__dict__.get("_hub_slot")
        if slot is None:
            slot = Slot()
            target.__dict__["_hub_slot"] = slot
            # Waits and alarms point into the slot. So it lives as long as the greenlet, even if the dict is emptied.
            weakref.finalize(target, drop_slot, slot).atexit = False
        return &slot.slot

    # --- parking ---

    cdef int park(self, Wait wait) noexcept:
        """Switch away until the wait is decided. Defined by the scheduler."""
        return -1

    cdef int park_until(self, Wait wait, uint64_t due, bint ref) except -2:
        """As park(), until loop time `due` at the latest."""
        raise NotImplementedError

    @final
    cdef object deliver(self, Wait wait, int result):
        """Return the value, or raise the exception, with which a parked wait was decided. `result`: that of park()."""
        # The exception's traceback will refer to the wait. So the wait must not refer to the exception: no collector
        # sees that cycle.
        value, wait.value = wait.value, None
        if result < 0:
            hub_failed()
        if wait.c.outcome == OUTCOME_THROWN:
            if wait.c.alarm != NULL:
                raise take_alarm(wait.c.alarm)
            raise value
        return value

    @final
    cdef int postpone(self, Wait wait) except -1:
        """Make the exception that has decided this wait pending: a grant had come first."""
        cdef slot_t *slot = wait.c.slot
        cdef alarm_t *alarm = wait.c.alarm
        exception, wait.value = wait.value, None
        if alarm != NULL:
            wait.c.alarm = NULL
            pend_alarm(alarm)
        else:
            pend_exception(slot, exception)
        return 0

    @final
    cdef int post(self, Wait wait) except -1:
        """Wake a wait of this hub from another thread, which has granted it something before."""
        if not self.destroyed:
            self.inbox.append(wait)
            self.loop.wake_up()
        return 0

    @final
    cdef int wake_posted(self, object wait) except -1:
        wait_hold_and_wake(&(<Wait> wait).c, OUTCOME_VALUE)
        return 0

    # --- parked waits ---

    def parked_waits(self):
        """All waits on which greenlets are parked now, oldest first (list of Wait). Does not switch."""
        # Another thread may call this. Making the list may let the hub's own thread run, so `parked` is read after it.
        cdef list waits = []
        cdef wait_t *wait = self.parked
        while wait != NULL:
            waits.append(<object> wait.node.object)
            wait = wait.next_parked
        waits.reverse()
        return waits

    @final
    cdef wait_t *principal_wait(self) except? NULL:
        """The wait on which the principal is parked, or NULL."""
        return NULL if self.principal is None else self.slot_of(self.principal).current

    @final
    cdef int forget_wait_timers(self) noexcept:
        """Let parked waits forget their timers: the loop is closed, or was left to the parent."""
        cdef wait_t *wait = self.parked
        while wait != NULL:
            wait.timer = NULL
            wait.references = False
            wait = wait.next_parked
        return 0

    @final
    cdef bint nothing_left(self) except -1:
        """Wake hub.join(), or the main greenlet with a LoopExit: nothing is ready, and nothing can happen any more.

        False if the main greenlet is not parked.
        """
        cdef wait_t *wait
        if self.join_wait is not None and self.join_wait.c.state == WAIT_WAITING:
            return self.join_wait.wake_with(True)
        if self.principal is None or self.principal.dead:
            end_process()
        wait = self.principal_wait()
        if wait == NULL:
            return False
        return (<Wait> wait.node.object).throw_with(self.loop_exit())

    @final
    cdef object loop_exit(self):
        try:
            report = self.format_waits()
        except Exception as error:
            report = f"(the report of the waits failed: {error!r})"
        return LoopExit(hub=self, report=report)

    def format_waits(self):
        """The report of LoopExit: a paragraph for each parked greenlet (str). Does not switch."""
        return format_waits(self)

    # --- throwing ---

    def throw_soon(self, target, exception, value=None, traceback=None):
        """Throw an exception into a greenlet of this hub, as ``kill`` does. Does not switch.

        A greenlet that waits is woken with the exception. If something else has just woken it, the exception is raised
        when it waits next. If it is suspended in a switch of its own making, the exception is raised there.
        `exception`: a class, an instance, or class, `value`, `traceback`. Raises InvalidThreadUseError in another
        thread, TypeError if `exception` is no exception.
        """
        self.check_thread()
        self.throw_into(target, make_exception(exception, value, traceback))

    def take_back(self, target, exception):
        """Take back an exception instance that was thrown into a greenlet and is pending there. Does not switch.

        Returns whether it was pending (bool). An exception that has decided a wait cannot be taken back.
        """
        self.check_thread()
        return forget_exception(self.slot_of(target), exception)

    @final
    cdef int throw_into(self, object target, object exception) except -1:
        cdef slot_t *slot
        cdef PyObject *current
        cdef ThrowJob job
        if target.dead:
            return 0
        slot = self.slot_of(target)
        if slot.current != NULL and (<Wait> slot.current.node.object).throw_with(exception):
            return 0
        current = running_greenlet()
        if (
            slot.current != NULL or slot.yielding or current is <PyObject *> target
            or (self.destroying and target is self.main)
        ):
            pend_exception(slot, exception)
            return 0
        job = ThrowJob.__new__(ThrowJob)
        job.hub = self
        job.target = target
        job.exception = exception
        Py_INCREF(job)  # the ready queue's
        ready_push(&self.loop.core.ready, &job.node)
        return 0

    @final
    cdef int throw_alarm(self, alarm_t *alarm) except -1:
        """Throw an alarm's exception into a greenlet that is suspended in a switch of its own. On the hub greenlet."""
        target = <object> alarm.greenlet
        exception = take_alarm(alarm)
        try:
            throw_now(target, exception)
        except BaseException:
            self.report_error(target)
        return 0

    @final
    cdef int alarm_set(self, alarm_t *alarm, object owner, double seconds, bint ref) except -1:
        """Set an alarm that throws its exception into the current greenlet in `seconds`: see alarm_start()."""
        cdef uint64_t due = due_after(seconds)
        cdef PyObject *current
        self.check_thread()
        current = hub_greenlet_current()
        if current == NULL:
            raise_no_greenlet()
        Py_DECREF(<object> current)  # it is running: somebody else owns it
        return alarm_start(alarm, owner, <object> current, self.slot_of(<object> current), self.loop, due, ref)
