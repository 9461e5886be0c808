"""The scheduler: parks greenlets and wakes them, one per thread.

Theory
    A greenlet that blocks makes a Wait, hands it to whatever will wake it, and parks. Parking means: take the
    next entry off the ready queue and switch to it directly. If the queue is empty, the greenlet that parks
    runs the loop itself, on its own stack; if its own wait is what becomes ready first, it just returns, with
    no switch at all. The hub greenlet is the parent of every greenlet, the place where they are first started,
    and the only place where Python callbacks run.

Rules
    1. The first wake decides a wait. Later ones are told so (False) and keep what they wanted to hand over.
    2. Only the hub's own thread touches its waits and its ready queue. Others go through the inbox.
    3. An exception that loses against another wake is thrown at the greenlet's next park. A wait's own timeout
       that loses is dropped.
    4. Never two uv_run() at once on a loop, and never one inside a callback of its own.
    5. Every way out of park() - value, exception, kill, the greenlet being collected - passes the same cleanup.

What does not belong here: links, joins, results and names of greenlets; sockets; locks.
"""

import atexit
import os
import sys
import threading
import time
import weakref

from cpython.exc cimport PyErr_CheckSignals, PyErr_Fetch, PyErr_Restore, PyErr_SetObject
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from posix.unistd cimport pause
from cython cimport final, freelist, no_gc

from greenlet import GreenletExit

from hub.errors import BlockingSwitchOutError, HubDestroyed, InvalidSwitchError, InvalidThreadUseError, LoopExit
from hub.greenlet_api cimport *
from hub.loop cimport due_ms, now_ns, timer_restart, timer_to_pool
from hub.native import get_ident, local as native_local, sleep as native_sleep
from hub.ready cimport *
from hub.stacks cimport begin_small

__all__ = ["HubGreenlet", "Scheduler", "Wait", "get_hub", "get_hub_if_exists", "set_hub_class", "sleep"]

cdef extern from *:
    """
    /* The hub of this thread; borrowed, the thread's HubGuard owns it. */
    static __thread PyObject *hub_current = NULL;
    /* For code that found an exception already set. */
    static int hub_failed(void) { return -1; }
    #if PY_VERSION_HEX >= 0x030D0000
    #define hub_is_finalizing() Py_IsFinalizing()
    #else
    #define hub_is_finalizing() _Py_IsFinalizing()
    #endif

    /* Threads that only wait for work of ours: nothing comes from them. */
    static long hub_idle_threads = 0;

    /* Whether a thread that is not one of those runs beside this one. */
    static int hub_other_threads(void)
    {
        long count = 0;
        PyThreadState *state = PyInterpreterState_ThreadHead(PyThreadState_Get()->interp);
        for (; state != NULL; state = PyThreadState_Next(state))
            count++;
        return count - 1 - hub_idle_threads > 0;
    }
    """
    PyObject *hub_current
    int hub_failed() except -1
    bint hub_is_finalizing()
    bint hub_other_threads()
    long hub_idle_threads

cdef unsigned long hub_forks = 0

import_greenlet()

# How many switches may pass before the loop looks for I/O, if fewer were ready when it last did: each of those has its
# turn first. In between, the clock has its say.
cdef enum:
    SWITCHES = 64


# --- greenlets --------------------------------------------------------------------------------------------------

cdef class HubGreenlet(greenlet):
    """A greenlet that the hub starts (internal base class)."""

    def __cinit__(self, *args, **kwargs):
        self.start_node.kind = NODE_START
        self.start_node.object = <PyObject *> self

    def __dealloc__(self):
        drop_pending(&self.slot)

    cdef int attach(self, Scheduler scheduler) except -1:
        """Make the hub the parent: control goes there when the greenlet ends."""
        self.scheduler = scheduler
        return hub_greenlet_set_parent(<PyObject *> self, <PyObject *> scheduler)

    cdef int schedule_start(self) except -1:
        """Queue the first run. The hub's own thread."""
        Py_INCREF(self)  # the ready queue's; begun() gives it up
        ready_push(&self.scheduler.loop.core.ready, &self.start_node)
        return 0

    cdef bint unschedule_start(self) noexcept:
        if not self.start_node.queued or self.start_node.kind != NODE_START:
            return False
        ready_remove(&self.scheduler.loop.core.ready, &self.start_node)
        Py_DECREF(self)
        return True

    cdef void begun(self) noexcept:
        """The first thing a subclass's run() calls."""
        self.start_node.kind = NODE_YIELD
        Py_DECREF(self)  # the ready queue's; run()'s caller has its own
        begin_small()

    cdef void finished(self) noexcept:
        """The last thing a subclass's run() calls: what was still to be thrown is dropped, `at_end` is called."""
        drop_pending(&self.slot)
        if self.at_end is not None:
            at_end, self.at_end = self.at_end, None
            for function in at_end.values():
                try:
                    function()
                except BaseException as error:
                    self.scheduler.handle_error(self, type(error), error, error.__traceback__)


cdef class Slot:
    """The slot of a greenlet that is not a HubGreenlet; kept in its __dict__."""
    cdef slot_t slot

    def __dealloc__(self):
        drop_pending(&self.slot)


# --- pending exceptions -----------------------------------------------------------------------------------------

cdef void append_pending(slot_t *slot, throw_t *entry) noexcept nogil:
    cdef throw_t **at = &slot.pending
    while at[0] != NULL:
        at = &at[0].next
    entry.next = NULL
    at[0] = entry


cdef bint remove_pending(slot_t *slot, throw_t *entry) noexcept nogil:
    cdef throw_t **at = &slot.pending
    while at[0] != NULL:
        if at[0] is entry:
            at[0] = entry.next
            return True
        at = &at[0].next
    return False


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
    """The first exception that waits for this greenlet's next park."""
    cdef throw_t *entry = slot.pending
    cdef object exception
    slot.pending = entry.next
    if entry.alarm != NULL:
        return take_alarm(entry.alarm)
    exception = <object> entry.exception
    Py_DECREF(exception)
    PyMem_RawFree(entry)
    return exception


cdef void drop_pending(slot_t *slot) noexcept:
    cdef throw_t *entry
    while slot.pending != NULL:
        entry = slot.pending
        if entry.alarm != NULL:
            alarm_cancel(entry.alarm)
        else:
            slot.pending = entry.next
            Py_DECREF(<object> entry.exception)
            PyMem_RawFree(entry)


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


# --- alarms -----------------------------------------------------------------------------------------------------

cdef void on_alarm(timer_t *timer) noexcept nogil:
    cdef alarm_t *alarm = <alarm_t *> timer.target
    cdef wait_t *wait = alarm.slot.current
    if alarm.references:
        timer.core.references -= 1
    timer_to_pool(timer)
    alarm.timer = NULL
    if wait != NULL and wait.state == WAIT_WAITING:
        wait.state = WAIT_DECIDED
        wait.outcome = OUTCOME_THROWN
        wait.alarm = alarm
        alarm.wait = wait
        ready_push(&timer.core.ready, &alarm.node)
    else:
        alarm.is_pending = True
        append_pending(alarm.slot, &alarm.pending)


cdef object take_alarm(alarm_t *alarm):
    """The alarm is being delivered: what it throws."""
    cdef PyObject *exception
    cdef object result
    try:
        exception = alarm.exception(alarm.node.object)
        result = <object> exception
        Py_DECREF(result)
    except BaseException as error:
        result = error
    alarm.is_pending = False
    clear_alarm(alarm)
    return result


cdef void clear_alarm(alarm_t *alarm) noexcept:
    cdef PyObject *target = alarm.greenlet
    alarm.is_set = False
    alarm.wait = NULL
    alarm.greenlet = NULL
    alarm.slot = NULL
    Py_XDECREF(target)
    Py_DECREF(<object> alarm.loop)
    Py_DECREF(<object> alarm.node.object)


cdef void alarm_cancel(alarm_t *alarm) noexcept:
    """Cancel an alarm that was not delivered yet. One that has decided a wait already is delivered all the same."""
    cdef timer_t *timer = <timer_t *> alarm.timer
    cdef Loop loop
    if timer != NULL:
        loop = <Loop> alarm.loop
        if alarm.epoch == loop.core.epoch:
            if loop.thread == <unsigned long> PyThread_get_thread_ident():
                if alarm.references:
                    loop.core.references -= 1
                loop.timer_give(timer)
            else:
                # Another thread's is out of reach. It will find nobody to tell.
                timer.fire = timer_to_pool
        alarm.timer = NULL
        clear_alarm(alarm)
    elif alarm.is_pending:
        remove_pending(alarm.slot, &alarm.pending)
        alarm.is_pending = False
        clear_alarm(alarm)


# --- waits ------------------------------------------------------------------------------------------------------

cdef void on_wait_timer(timer_t *timer) noexcept nogil:
    """A sleep is over, or a wait's own timeout has passed. The timer's hold goes with the wake."""
    cdef wait_t *wait = <wait_t *> timer.target
    if wait_wake(wait, OUTCOME_TIMED_OUT):
        timer.target = NULL


cdef void on_descriptor_timer(timer_t *timer) noexcept nogil:
    """The timeout of a wait that stands in a descriptor's queue, whose hold goes with the wake."""
    expire(<wait_t *> timer.target)


cdef void expire(wait_t *wait) noexcept nogil:
    if wait.state == WAIT_WAITING and wait.link.fifo != NULL:
        fifo_remove(&wait.link)
        wait_wake(wait, OUTCOME_TIMED_OUT)


cdef void on_deadline(timer_t *timer) noexcept nogil:
    cdef deadline_t *deadline = <deadline_t *> timer.target
    cdef wait_t *wait = deadline.wait
    if deadline.orphaned:
        timer_to_pool(timer)
        PyMem_RawFree(deadline)
        return
    if wait != NULL and now_ns() // 1000000 < deadline.due:
        deadline.fires = deadline.due
        timer_restart(timer, deadline.due)
        return
    deadline.timer = NULL  # from now on its owner may free it
    timer_to_pool(timer)
    if wait != NULL:
        expire(wait)


cdef deadline_t *deadline_new() except NULL:
    """A deadline without a timer."""
    cdef deadline_t *deadline = <deadline_t *> PyMem_RawCalloc(1, sizeof(deadline_t))
    if deadline == NULL:
        raise MemoryError()
    return deadline


cdef void deadline_stop(deadline_t *deadline, Scheduler hub) noexcept:
    """It will not be needed again, but whoever waits with it still has it. The hub's own thread."""
    if deadline != NULL and deadline.timer != NULL:
        if deadline.epoch == hub.loop.core.epoch:
            hub.loop.timer_give(deadline.timer)
        deadline.timer = NULL


cdef void deadline_drop(deadline_t *deadline, Scheduler hub) noexcept:
    """The owner ends. A running timer of another thread's loop is out of reach: it frees the memory when it fires."""
    if deadline.timer != NULL and deadline.epoch == hub.loop.core.epoch:
        if not is_current(hub):
            deadline.orphaned = True
            return
        hub.loop.timer_give(deadline.timer)
    PyMem_RawFree(deadline)


@final
@no_gc
@freelist(256)
cdef class Wait:
    """One wait of the current greenlet: made, handed to whatever will wake it, and parked on, once.

    ``wait = Wait(what)`` binds to the current greenlet; ``wait.park(timeout)`` switches away until something
    calls ``wait.wake(value)`` or ``wait.throw(exception)``. Everything that blocks in the library is built on this.

    `what` is any object; its repr stands in the report of a LoopExit.
    Raises BlockingSwitchOutError on the hub greenlet, where nothing can wait.
    """

    def __cinit__(self, what=None):
        self.c.node.kind = NODE_WAIT
        self.c.node.object = <PyObject *> self
        self.c.link.wait = &self.c

    def __init__(self, what=None):
        cdef Scheduler hub = current_hub()
        if self.hub is not None:
            raise RuntimeError(f"{self!r} is initialised already")
        hub.bind_current(self, what)

    cdef bint wake_with(self, object value) except -1:
        """Wake with a value. False if the wait is decided already. The hub's own thread."""
        if self.c.state != WAIT_WAITING or self.c.left_behind:
            return False
        self.value = value
        wait_hold(&self.c)
        return wait_wake(&self.c, OUTCOME_VALUE)

    cdef bint throw_with(self, object exception) except -1:
        """Wake with an exception instance. False if the wait is decided already. The hub's own thread."""
        if self.c.state != WAIT_WAITING:
            return False
        self.value = exception
        wait_hold(&self.c)
        return wait_wake(&self.c, OUTCOME_THROWN)

    def wake(self, value=None):
        """Wake the greenlet: its park() returns `value`.

        Returns True, or False if the wait was decided by something else already; then nothing is handed over.
        Does not switch. Raises InvalidThreadUseError from another thread than the hub's.
        """
        self.hub.check_thread()
        return self.wake_with(value)

    def throw(self, exception, value=None, traceback=None):
        """Wake the greenlet: its park() raises `exception` (a class, an instance, or class, value, traceback).

        Returns True, or False if the wait was decided by something else already. Does not switch.
        Raises InvalidThreadUseError from another thread than the hub's.
        """
        self.hub.check_thread()
        return self.throw_with(make_exception(exception, value, traceback))

    def park(self, timeout=None, ref=True):
        """Switch away until woken; return the value, or raise the exception, it is woken with.

        `timeout` is in seconds; None waits for ever. If it passes first, TimeoutError is raised.
        `ref=False`: the timeout does not keep the loop alive. A wait can be parked on once.
        """
        cdef Scheduler hub = self.hub
        cdef int result
        hub.check_thread()
        if self.c.state == WAIT_OVER or self.c.parked:
            raise RuntimeError(f"{self!r} has been parked on already; make a new one for each wait")
        if hub.slot_of_current() is not self.c.slot:
            raise InvalidSwitchError(f"{self!r} belongs to {self.greenlet!r}; only that greenlet can park on it")
        if timeout is None:
            result = hub.park(self)
        else:
            result = hub.park_until(self, due_ms(timeout), ref)
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
        """Whether something has woken it (bool)."""
        return self.c.state != WAIT_WAITING

    @property
    def parked(self):
        """Whether its greenlet is switched out on it now (bool)."""
        return self.c.parked

    def __repr__(self):
        state = ("waiting", "decided", "over")[<int> self.c.state]
        what = "" if self.what is None else f" for {self.what!r}"
        return f"<{type(self).__name__} at {id(self):#x} {state}{what}>"


# --- jobs -------------------------------------------------------------------------------------------------------

@final
cdef class Callback(Job):
    """A function for the hub greenlet to call: what run_callback() returns.

    `stop()` takes it back; `pending` says whether it is still to run; true while pending.
    """
    cdef Scheduler hub
    cdef readonly object callback
    cdef readonly tuple args

    cdef int run(self) except -1:
        callback, args = self.callback, self.args
        self.callback = self.args = None
        Py_DECREF(self)  # the ready queue's
        if callback is not None:
            callback(*args)
        return 0

    def stop(self):
        """Do not run it. Does nothing if it has run."""
        self.hub.check_thread()
        self.callback = self.args = None
        if self.node.queued:
            ready_remove(&self.hub.loop.core.ready, &self.node)
            Py_DECREF(self)

    close = stop

    @property
    def pending(self):
        """Whether it is still to run (bool)."""
        return self.callback is not None

    def __bool__(self):
        return self.callback is not None

    def __repr__(self):
        state = f"{self.callback!r} args={self.args!r}" if self.callback is not None else "stopped"
        return f"<{type(self).__name__} at {id(self):#x} {state}>"


@final
cdef class InboxJob(Job):
    """Does what other threads have asked for."""
    cdef Scheduler hub

    cdef int run(self) except -1:
        cdef list requests = self.hub.inbox
        cdef Wait wait
        self.hub.inbox = []
        for request in requests:
            if type(request) is Wait:
                wait = <Wait> request
                wait_hold(&wait.c)
                if not wait_wake(&wait.c, OUTCOME_VALUE):
                    wait_release(&wait.c)
            else:
                self.hub.call(request[0], request[1])
        return 0


@final
cdef class SignalJob(Job):
    """Has Python's signal handlers run, on the main greenlet, as they would with no greenlets.

    It is woken for that in the middle of its wait. A handler may block, and what it raises is raised there. If the main
    greenlet is not parked, they run here, and what they raise is thrown at it.
    """
    cdef Scheduler hub

    cdef int run(self) except -1:
        cdef Scheduler hub = self.hub
        cdef wait_t *wait = hub.principal_wait()
        if wait != NULL and wait.parked and wait is not hub.signals_handled_in and not hub.destroying:
            hub.signals_due = True
            if hub.enter(<PyObject *> hub.principal):
                raise GreenletExit()
            return 0
        return self.run_here()

    cdef int run_here(self) except -1:
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            self.hub.throw_into(self.hub.principal or self.hub.main, error)
        return 0


@final
cdef class ThrowJob(Job):
    """Throws into a greenlet that is suspended in a switch of its own making, not parked."""
    cdef Scheduler hub
    cdef object target
    cdef object exception

    cdef int run(self) except -1:
        cdef slot_t *slot
        cdef PyObject *result
        cdef object exception = self.exception
        target, self.target = self.target, None
        Py_DECREF(self)  # the ready queue's
        if target.dead:
            return 0
        slot = self.hub.slot_of(target)
        if slot.current != NULL or slot.yielding:
            return self.hub.throw_into(target, exception)
        kind = type(exception)
        result = hub_greenlet_throw(<PyObject *> target, <PyObject *> kind, <PyObject *> exception, NULL)
        if result == NULL:
            try:
                hub_failed()
            except BaseException as error:
                # A greenlet that never ran, or did not catch it, ends with what was thrown: that is what was wanted.
                if error is not exception:
                    raise
        else:
            Py_DECREF(<object> result)
        return 0


# --- the scheduler ----------------------------------------------------------------------------------------------

cdef class Scheduler(greenlet):
    """Parks greenlets and runs the loop; the hub greenlet itself. `hub.Hub` adds the rest."""

    def __cinit__(self, *args, **kwargs):
        self.inbox = []
        self.budget = SWITCHES
        self.stride = 7
        self.interval = <uint64_t> (sys.getswitchinterval() * 1e9)

    def __init__(self):
        cdef PyObject *at
        cdef PyObject *above
        cdef InboxJob inbox_job
        cdef SignalJob signal_job
        cdef bint default = is_main_thread()
        # The hub's parent is the main greenlet, whatever greenlet happened to need the hub first.
        at = hub_greenlet_current()
        while True:
            above = hub_greenlet_parent(at)
            if above == NULL:
                break
            Py_DECREF(<object> at)
            at = above
        self.main = self.principal = <object> at
        Py_DECREF(self.main)
        greenlet.__init__(self, None, self.main)
        self.thread_ident = get_ident()
        self.loop = self.make_loop(default)
        self.loop.error_handler = self.handle_error
        inbox_job = InboxJob()
        inbox_job.hub = self
        self.inbox_job = inbox_job
        self.loop.core.inbox = &inbox_job.node
        signal_job = SignalJob()
        signal_job.hub = self
        self.signal_job = signal_job
        self.loop.core.signals = &signal_job.node
        self.looked_at = now_ns()
        if default:
            self.loop.watch_signals()

    @final
    cdef int check_thread(self) except -1:
        if hub_current is not <PyObject *> self:
            if self.destroyed:
                raise HubDestroyed(f"{self!r} was destroyed; get_hub() makes a new one")
            raise InvalidThreadUseError(
                f"{self!r} belongs to thread {self.thread_ident:#x}; from another one use its run_callback_threadsafe()"
            )
        return 0

    # --- waits ---

    @final
    cdef int bind(self, Wait wait, PyObject *current, object what) except -1:
        if current is <PyObject *> self:
            raise BlockingSwitchOutError(
                f"a blocking function was called on the hub greenlet, in {self.callback!r}; "
                "spawn a greenlet and let that one block"
            )
        if self.restricted:
            self.refuse(current)
        wait.c.greenlet = current
        wait.c.ready = &self.loop.core.ready
        if isinstance(<object> current, HubGreenlet):
            wait.c.slot = &(<HubGreenlet> current).slot
        else:
            wait.c.slot = self.slot_of(<object> current)
        wait.hub = self
        wait.what = what
        return 0

    @final
    cdef int refuse(self, PyObject *current) except -1:
        """Nothing can be waited for now: in a no_switch() section, or because the hub is being destroyed."""
        if not self.destroying:
            raise BlockingSwitchOutError("a blocking function was called in a no_switch() section")
        if current is <PyObject *> self.main:
            raise HubDestroyed(f"{self!r} is being destroyed; nothing can be waited for")
        # A greenlet that got HubDestroyed and blocks again stays where it is, for good.
        hub_greenlet_switch(<PyObject *> self)
        hub_failed()

    @final
    cdef Wait new_wait(self, object what):
        """A wait of the current greenlet."""
        cdef Wait wait = Wait.__new__(Wait)
        self.bind_current(wait, what)
        return wait

    @final
    cdef int bind_current(self, Wait wait, object what) except -1:
        cdef PyObject *current = hub_greenlet_current()
        if current == NULL:
            hub_failed()
        Py_DECREF(<object> current)  # it is running: somebody else owns it
        return self.bind(wait, current, what)

    @final
    cdef slot_t *slot_of_current(self) except NULL:
        cdef PyObject *current = hub_greenlet_current()
        if current == NULL:
            hub_failed()
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
        return &slot.slot

    @final
    cdef int park(self, Wait wait) noexcept:
        """Switch away until the wait is decided.

        Returns 0, and `wait.c.outcome` says how; or -1 with an exception set. Either way the wait is over.
        The caller takes itself out of wherever it stood, and then calls deliver().
        """
        cdef wait_t *w = &wait.c
        cdef wait_t *below
        cdef int result
        if w.slot.pending != NULL and w.state == WAIT_WAITING:
            w.state = WAIT_OVER
            exception = take_pending(w.slot)
            PyErr_SetObject(type(exception), exception)
            return -1
        w.parked = True
        # A finalizer that runs while this greenlet switches away may park it a second time, on top of the first.
        below = w.slot.current
        w.slot.current = w
        w.previous_parked = NULL
        w.next_parked = self.parked
        if self.parked != NULL:
            self.parked.previous_parked = w
        self.parked = w
        self.parked_length += 1

        if self.observers is not None:
            self.tell(False)
        result = self.switch_away(&w.node)
        while self.signals_due and result == 0:
            result = self.handle_signals(w)
        if self.observers is not None:
            self.tell_of_return(result)

        self.parked_length -= 1
        if w.previous_parked != NULL:
            w.previous_parked.next_parked = w.next_parked
        else:
            self.parked = w.next_parked
        if w.next_parked != NULL:
            w.next_parked.previous_parked = w.previous_parked
        w.parked = False
        w.slot.current = below
        w.state = WAIT_OVER
        if w.node.carried and w.alarm == NULL:
            wait_release(w)  # the ready queue's hold
        if result == 1:
            return 0
        if result == 0:
            set_invalid_switch(wait)
        return -1

    @final
    cdef object deliver(self, Wait wait, int result):
        """What park() came back with: the value is returned, the exception raised."""
        # The exception's traceback will lead to the wait: it must not lead back, as no collector sees that cycle.
        value, wait.value = wait.value, None
        if result < 0:
            hub_failed()
        if wait.c.outcome == OUTCOME_THROWN:
            if wait.c.alarm != NULL:
                raise take_alarm(wait.c.alarm)
            raise value
        return value

    @final
    cdef int park_until(self, Wait wait, uint64_t due, bint ref) except -2:
        """As park(), but the outcome is OUTCOME_TIMED_OUT at loop time `due` (due_ms()) if nothing came before."""
        cdef unsigned long epoch = self.loop.core.epoch
        cdef timer_t *timer = self.loop.timer_take()
        cdef int result
        wait_hold(&wait.c)
        timer.target = &wait.c
        timer.fire = on_wait_timer
        self.loop.timer_start(timer, due, 0)
        self.loop.core.references += ref
        result = self.park(wait)
        if self.loop.core.epoch == epoch:
            self.loop.core.references -= ref
            if timer.target != NULL:
                wait_release(&wait.c)
            self.loop.timer_give(timer)
        return result

    @final
    cdef int sleep_for(self, double seconds, bint ref, object what) except -1:
        cdef Wait wait
        cdef uint64_t due
        if not seconds > 0:
            if seconds != seconds:
                due_ms(seconds)
            return self.yield_turn(what)
        due = due_ms(seconds)
        wait = self.new_wait(what)
        self.deliver(wait, self.park_until(wait, due, ref))
        return 0

    @final
    cdef int postpone(self, Wait wait) except -1:
        """The exception that decided this wait came too late: it is raised when the greenlet parks next."""
        cdef slot_t *slot = wait.c.slot
        cdef alarm_t *alarm = wait.c.alarm
        exception, wait.value = wait.value, None
        if alarm != NULL:
            wait.c.alarm = NULL
            alarm.is_pending = True
            append_pending(slot, &alarm.pending)
        else:
            pend_exception(slot, exception)
        return 0

    @final
    cdef int yield_turn(self, object what) except -1:
        """Let the others that are ready run once. A HubGreenlet needs no wait for that: it queues itself."""
        cdef PyObject *current = hub_greenlet_current()
        cdef HubGreenlet greenlet
        cdef Wait wait
        cdef int result
        if current == NULL:
            hub_failed()
        Py_DECREF(<object> current)  # it is running: somebody else owns it
        if not isinstance(<object> current, HubGreenlet) or self.restricted or (<HubGreenlet> current).slot.yielding:
            wait = self.new_wait(what)
            if wait.c.slot.pending == NULL:
                wait.wake_with(None)
            self.deliver(wait, self.park(wait))
            return 0
        greenlet = <HubGreenlet> current
        if greenlet.slot.pending != NULL:
            raise take_pending(&greenlet.slot)
        greenlet.slot.yielding = True
        Py_INCREF(greenlet)  # the ready queue's
        ready_push(&self.loop.core.ready, &greenlet.start_node)
        if self.observers is not None:
            self.tell(False)
        result = self.switch_away(&greenlet.start_node)
        if self.observers is not None:
            self.tell_of_return(result)
        greenlet.slot.yielding = False
        greenlet.start_node.carried = False
        if greenlet.start_node.queued:
            ready_remove(&self.loop.core.ready, &greenlet.start_node)
        Py_DECREF(greenlet)
        if result < 0:
            hub_failed()
        if result == 0:
            raise InvalidSwitchError(f"{greenlet!r} was switched to while it slept for a turn")
        return 0

    cdef int give_way(self) except -1:
        """See be_fair()."""
        cdef PyObject *current
        if now_ns() - self.looked_at <= self.interval or self.restricted:
            return 0
        self.check_thread()
        current = running_greenlet()
        if current is not <PyObject *> self:
            self.budget = 0
            self.yield_turn("a turn of the others")
        return 0

    @final
    cdef int tell(self, bint returned) noexcept:
        """Tell the observers that the current greenlet lets others run, or goes on."""
        for observer in self.observers:
            observer(returned)
        return 0

    @final
    cdef int tell_of_return(self, int result) noexcept:
        """Tell the observers that the current greenlet goes on; with an exception set if `result` is -1."""
        cdef PyObject *kind = NULL
        cdef PyObject *value = NULL
        cdef PyObject *traceback = NULL
        if result < 0:
            PyErr_Fetch(&kind, &value, &traceback)
        self.tell(True)
        if result < 0:
            PyErr_Restore(kind, value, traceback)
        return 0

    def observe(self, observer):
        """Call ``observer(False)`` when a greenlet lets others run, ``observer(True)`` when it goes on (internal).

        Several may observe. It must not raise.
        """
        self.observers = (self.observers or ()) + (observer,)

    def observe_no_more(self, observer):
        """Do not call the observer any more. Does nothing if it is not called (internal)."""
        cdef list left = list(self.observers or ())
        if observer in left:
            left.remove(observer)
        self.observers = tuple(left) or None

    @final
    cdef int handle_signals(self, wait_t *wait) noexcept:
        """On the main greenlet, switched to for that only: run Python's signal handlers, then wait on.

        Returns what switch_away() returns. What a handler raises ends the wait, unless something else has woken it.
        """
        cdef wait_t *above = self.signals_handled_in
        cdef PyObject *result
        self.signals_due = False
        self.signals_handled_in = wait
        if self.observers is not None:
            self.tell(True)
        try:
            if self.signal_call is not None:
                function, self.signal_call = self.signal_call, None
                function()
            PyErr_CheckSignals()
        except BaseException as error:
            self.signals_handled_in = above
            try:
                if self.held_up_hub:
                    self.run_callback(int)  # so that it is switched to
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
        self.signals_handled_in = above
        if self.observers is not None:
            self.tell(False)
        if self.held_up_hub:
            # In the middle of a callback.
            result = hub_greenlet_switch(<PyObject *> self)
            if result == NULL:
                return -1
            Py_DECREF(<object> result)
            return 1 if wait.node.carried else 0
        return self.switch_away(&wait.node)

    def call_on_main(self, function):
        """Call ``function()`` on the main greenlet at once, in the middle of its wait: a signal handler (internal).

        The current greenlet is held up, at any point of what it does, and goes on when the function has returned. If
        the function waits, others run meanwhile. What it raises ends the main greenlet's wait, and that goes on first.
        In the main greenlet, or if that does not wait, it is called right here.
        """
        cdef wait_t *main = self.principal_wait()
        cdef PyObject *current = running_greenlet()
        cdef PyObject *switched
        cdef Wait held_up
        cdef int result
        self.check_thread()
        if (
            current is <PyObject *> self.principal or main == NULL or not main.parked
            or main is self.signals_handled_in
            or self.signal_call is not None or self.restricted or self.loop.core.running
        ):
            function()
            return
        self.signal_call = function
        self.signals_due = True
        if current is <PyObject *> self:
            self.held_up_hub = True
            switched = hub_greenlet_switch(<PyObject *> self.principal)
            self.held_up_hub = False
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

    @final
    cdef int wait_descriptor(
        self, watch_t *watch, int events, uint64_t due, deadline_t *deadline, object what
    ) except -1:
        """Wait until a descriptor is readable (events 1) or writable (2), first come first served.

        `due` is a loop time in milliseconds (due_ms()), 0 for ever; `deadline` may lend a timer.
        Returns an outcome: OUTCOME_READY, OUTCOME_TIMED_OUT or OUTCOME_CLOSED.
        """
        cdef Wait wait = self.new_wait(what)
        cdef wait_t *w = &wait.c
        cdef unsigned long epoch = self.loop.core.epoch
        cdef timer_t *timer = NULL
        cdef int result
        if self.loop.watch_want(watch, events):
            return OUTCOME_READY  # a regular file: always ready
        if due:
            if deadline != NULL and deadline.wait == NULL:
                if deadline.timer != NULL and deadline.epoch != epoch:
                    deadline.timer = NULL
                if deadline.timer == NULL:
                    deadline.timer = self.loop.timer_take()
                    deadline.epoch = epoch
                    deadline.timer.target = deadline
                    deadline.timer.fire = on_deadline
                    deadline.fires = due
                    self.loop.timer_start(deadline.timer, due, 0)
                elif deadline.fires > due:
                    deadline.fires = due
                    timer_restart(deadline.timer, due)
                deadline.due = due
                deadline.wait = w
            else:
                deadline = NULL
                timer = self.loop.timer_take()
                timer.target = w
                timer.fire = on_descriptor_timer
                self.loop.timer_start(timer, due, 0)
        else:
            deadline = NULL
        w.generation = watch.generation
        wait_hold(w)
        fifo_append(&watch.readers if events == 1 else &watch.writers, &w.link)
        self.loop.core.references += 1
        result = self.park(wait)
        if deadline != NULL:
            deadline.wait = NULL
        if self.loop.core.epoch == epoch:
            self.loop.core.references -= 1
            if timer != NULL:
                self.loop.timer_give(timer)
            if w.link.fifo != NULL:
                fifo_remove(&w.link)
                wait_release(w)
        if result < 0 or w.outcome == OUTCOME_THROWN:
            self.deliver(wait, result)
        return w.outcome

    # --- switching ---

    @final
    cdef inline bint spend(self) noexcept:
        """Count a switch. True when the loop must look for I/O before the next one."""
        self.switches += 1
        self.budget -= 1
        if self.budget <= 0:
            self.stride = 7
            return True
        if self.budget & self.stride == 0 and now_ns() - self.looked_at > self.interval:
            # Long stretches between switches: from now on look at the clock at each of them.
            self.stride = 0
            self.budget = 0
            return True
        return False

    @final
    cdef int switch_away(self, node_t *mine) noexcept:
        """Let others run until somebody switches here because of `mine`.

        Returns 1 then; 0 if somebody else switched here; -1 with an exception set.
        """
        cdef ready_t *ready = &self.loop.core.ready
        cdef node_t *node
        cdef PyObject *target
        cdef PyObject *result
        cdef int answer
        while True:
            if mine.carried:
                return 1  # while a finalizer had this greenlet parked on something else
            target = self.switch_to
            self.switch_to = NULL
            if target == NULL and self.budget <= 0:
                answer = self.look_safely(False)
                if answer == -2:
                    return -1
                if answer:
                    target = <PyObject *> self
            if target == NULL:
                node = ready_pop(ready)
                if node == NULL:
                    answer = self.idle(False)
                    if answer == 0:
                        continue
                    if answer < 0:
                        return -1
                    if answer == 2:
                        result = self.throw_loop_exit()
                        if result == NULL:
                            return -1
                        Py_DECREF(<object> result)
                        return 1 if mine.carried else 0
                    target = <PyObject *> self
                elif node.kind <= NODE_ALARM:
                    node = resume_of(node, &target)
                    if node == NULL:
                        continue
                    self.spend()
                    if node is mine:
                        return 1
                else:
                    ready_push_front(ready, node)
                    target = <PyObject *> self
            result = hub_greenlet_switch(target)
            if result == NULL:
                return -1
            Py_DECREF(<object> result)
            return 1 if mine.carried else 0

    def run(self):
        """The hub greenlet's own loop. Not for users: the hub runs while something waits."""
        cdef ready_t *ready = &self.loop.core.ready
        cdef node_t *node
        cdef PyObject *target
        cdef PyObject *result
        cdef int answer
        while not self.destroying:
            if self.budget <= 0:
                self.look(True)
            node = ready_pop(ready)
            if node == NULL:
                answer = self.idle(True)
                if answer < 0:
                    self.report_error(None)
                elif answer == 2:
                    result = self.throw_loop_exit()
                    if result != NULL:
                        Py_DECREF(<object> result)
                    elif not self.hub_goes_on():
                        return
            elif node.kind <= NODE_ALARM:
                if resume_of(node, &target) != NULL:
                    self.spend()
                    if self.enter(target):
                        return
            elif node.kind == NODE_START:
                self.spend()
                if self.enter(node.object):
                    return
            else:
                self.spend()
                job = <Job> node.object
                self.callback = job
                try:
                    (<Job> job).run()
                except BaseException:
                    self.report_error(job)
                self.callback = None
                job = None

    @final
    cdef int enter(self, PyObject *target) except -1:
        """From the hub greenlet, switch to a greenlet. Returns 1 if the hub greenlet itself must end."""
        cdef PyObject *result = hub_greenlet_switch(target)
        if result != NULL:
            Py_DECREF(<object> result)
            return 0
        return not self.hub_goes_on()

    def make_loop(self, default):
        """Make the loop of a new hub (internal)."""
        return Loop(default)

    @final
    cdef bint hub_goes_on(self) except -1:
        """An exception came up in the hub greenlet: a bare greenlet's, or one to end the hub (False)."""
        try:
            hub_failed()
        except GreenletExit:
            return False
        except BaseException:
            self.report_error("a greenlet made without greenio")
        return True

    @final
    cdef PyObject *throw_loop_exit(self) noexcept:
        """The main greenlet is not parked, so it is suspended in a switch of its own making: throw into that."""
        try:
            error = self.loop_exit()
            kind = type(error)
            return hub_greenlet_throw(<PyObject *> self.principal, <PyObject *> kind, <PyObject *> error, NULL)
        except BaseException as failure:
            PyErr_SetObject(type(failure), failure)
            return NULL

    @final
    cdef int report_error(self, object context) except -1:
        """Hand the exception that is being handled to handle_error(). Nothing is ever swallowed."""
        kind, value, traceback = sys.exc_info()
        try:
            self.handle_error(context, kind, value, traceback)
        except BaseException as error:
            if isinstance(error, Exception):
                sys.excepthook(type(error), error, error.__traceback__)
            else:
                self.throw_into(self.principal or self.main, error)
        return 0

    # --- the loop ---

    @final
    cdef int look(self, bint on_hub) except -2:
        """See, without waiting, what the loop has. Returns 1 if only the hub greenlet may do that now."""
        cdef Loop loop = self.loop
        if loop.core.running:
            # Inside a callback of a pyuv handle: the turn that is under way goes on later.
            self.budget = SWITCHES
            return 0
        if loop.foreign and not on_hub:
            return 1
        loop.poll(False)
        self.budget = max(<long> SWITCHES, loop.core.ready.length)
        self.looked_at = now_ns()
        return 0

    @final
    cdef int look_safely(self, bint on_hub) noexcept:
        try:
            return self.look(on_hub)
        except BaseException as error:
            PyErr_SetObject(type(error), error)
            return -2

    @final
    cdef int idle(self, bint on_hub) noexcept:
        """Nothing is ready: sleep until something is.

        Returns 0 to look at the queue again; 1 if the hub greenlet has to do it; 2 if nothing is left to happen
        and the main greenlet is not parked; -1 with an exception set.
        """
        cdef Loop loop = self.loop
        cdef bint displaced = False
        try:
            if loop.core.running:
                # In a callback of a pyuv handle that switched away from the hub: only that turn can go on.
                if on_hub:
                    raise InvalidSwitchError("the loop was re-entered from one of its own callbacks")
                return 1
            if not loop.is_alive():
                if self.in_line == 0 or self.join_wait is not None or not hub_other_threads():
                    # A thread that has just ended may have left something.
                    if self.inbox and not self.inbox_job.node.queued:
                        ready_push(&loop.core.ready, &self.inbox_job.node)
                        return 0
                    return 0 if self.nothing_left() else 2
                # Another thread may hand over what a greenlet here stands in line for. When the last one has
                # ended, it is time for a LoopExit.
                loop.look_again(1000)
            if loop.foreign and not on_hub:
                return 1
            if loop.owns_signals:
                displaced = loop.claim_signals()
                if displaced:
                    if not on_hub:
                        loop.release_signals()
                        return 1
                    # A signal may have come after the last bytecode, and told only the user's descriptor.
                    (<SignalJob> self.signal_job).run_here()
                    if loop.core.ready.head != NULL:
                        loop.release_signals()
                        return 0
            loop.poll(True)
            if displaced:
                loop.release_signals()
            else:
                loop.core.signal_count = 0
            self.budget = max(<long> SWITCHES, loop.core.ready.length)
            self.looked_at = now_ns()
            return 0
        except BaseException as error:
            PyErr_SetObject(type(error), error)
            return -1

    @final
    cdef bint nothing_left(self) except -1:
        """Nothing is ready and nothing can happen. True if somebody was told; False if nobody could be."""
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
    cdef wait_t *principal_wait(self) except? NULL:
        """What the greenlet that stands for the thread waits on, or NULL."""
        return NULL if self.principal is None else self.slot_of(self.principal).current

    @final
    cdef object loop_exit(self):
        try:
            report = self.format_waits()
        except Exception as error:
            report = f"(the report of who waits failed: {error!r})"
        return LoopExit(hub=self, report=report)

    def parked_waits(self):
        """Every wait that a greenlet is parked on now, oldest first: a list of Wait."""
        cdef wait_t *wait = self.parked
        cdef list waits = []
        while wait != NULL:
            waits.append(<object> wait.node.object)
            wait = wait.next_parked
        waits.reverse()
        return waits

    # --- callbacks ---

    def run_callback(self, callback, *args):
        """Call ``callback(*args)`` on the hub greenlet, soon, in order. Does not switch.

        The callback must not block. What it raises goes to ``handle_error``.
        Returns an object with ``stop()`` and ``pending``. The hub's own thread only: InvalidThreadUseError.
        """
        cdef Callback job
        self.check_thread()
        if not callable(callback):
            raise TypeError(f"a callback must be callable, not {callback!r}")
        job = Callback.__new__(Callback)
        job.hub = self
        job.callback = callback
        job.args = args
        Py_INCREF(job)  # the ready queue's
        ready_push(&self.loop.core.ready, &job.node)
        return job

    def run_callback_threadsafe(self, callback, *args):
        """Call ``callback(*args)`` on this hub's greenlet, from any thread. Does not switch or wait.

        The callback must not block. What it raises goes to ``handle_error``.
        Raises HubDestroyed when the hub is gone.
        """
        if not callable(callback):
            raise TypeError(f"a callback must be callable, not {callback!r}")
        if self.destroyed:
            raise HubDestroyed(f"{self!r} was destroyed; nothing can be called on it")
        self.inbox.append((callback, args))
        self.loop.wake_up()

    @final
    cdef int post(self, Wait wait) except -1:
        """Wake a wait of this hub from another thread. What it was granted it has already."""
        if not self.destroyed:
            self.inbox.append(wait)
            self.loop.wake_up()
        return 0

    def call(self, callback, tuple args):
        """Call a function on the hub greenlet now, and report what it raises (internal)."""
        before = self.callback
        self.callback = callback
        try:
            callback(*args)
        except BaseException:
            self.report_error(callback)
        self.callback = before

    def throw_soon(self, target, exception, value=None, traceback=None):
        """Throw an exception into a greenlet of this hub, as ``kill`` does. Does not switch.

        A greenlet that waits is woken with it; one that was woken by something else already gets it when it
        blocks next; one that is suspended in a switch of its own making gets it there.
        """
        self.check_thread()
        self.throw_into(target, make_exception(exception, value, traceback))

    def take_back(self, target, exception):
        """Take back an exception instance that was thrown into a greenlet and not raised there yet.

        Returns whether it was still to be raised. For the greenlet itself: what has woken it cannot be taken back.
        """
        cdef throw_t *entry
        cdef slot_t *slot
        self.check_thread()
        slot = self.slot_of(target)
        entry = slot.pending
        while entry != NULL:
            if entry.alarm == NULL and entry.exception is <PyObject *> exception:
                remove_pending(slot, entry)
                Py_DECREF(exception)
                PyMem_RawFree(entry)
                return True
            entry = entry.next
        return False

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
        if slot.current != NULL or slot.yielding or current is <PyObject *> target:
            pend_exception(slot, exception)
            return 0
        job = ThrowJob.__new__(ThrowJob)
        job.hub = self
        job.target = target
        job.exception = exception
        Py_INCREF(job)  # the ready queue's
        ready_push(&self.loop.core.ready, &job.node)
        return 0

    # --- alarms ---

    @final
    cdef int alarm_set(self, alarm_t *alarm, object owner, double seconds, bint ref) except -1:
        """Throw into the current greenlet in `seconds`, unless cancelled before."""
        cdef PyObject *current
        cdef timer_t *timer
        cdef uint64_t due = due_ms(seconds)
        cdef slot_t *slot
        self.check_thread()
        current = hub_greenlet_current()
        if current == NULL:
            hub_failed()
        slot = self.slot_of(<object> current)
        timer = self.loop.timer_take()
        alarm.greenlet = current  # with the reference
        alarm.slot = slot
        alarm.node.kind = NODE_ALARM
        alarm.node.object = <PyObject *> owner
        Py_INCREF(owner)
        alarm.pending.alarm = alarm
        alarm.is_set = True
        alarm.is_pending = False
        alarm.references = ref
        alarm.wait = NULL
        Py_INCREF(self.loop)
        alarm.loop = <PyObject *> self.loop
        alarm.epoch = self.loop.core.epoch
        alarm.timer = timer
        timer.target = alarm
        timer.fire = on_alarm
        self.loop.core.references += ref
        self.loop.timer_start(timer, due, 0)
        return 0

    # --- the end, and forks ---

    def join(self, timeout=None):
        """Wait until nothing is left to do: no greenlet is ready, and no timer, socket or handle is waited for.

        Main greenlet only. `timeout` in seconds, None for ever. Returns True when everything is done, False
        when the timeout passed first.
        """
        cdef Wait wait
        cdef PyObject *current
        self.check_thread()
        current = running_greenlet()
        if current is not <PyObject *> self.main:
            raise BlockingSwitchOutError("hub.join() can be called from the main greenlet only")
        if timeout is not None and timeout < 0:
            timeout = 0
        wait = self.new_wait("hub.join()")
        self.join_wait = wait
        try:
            return wait.park(timeout, False)
        except TimeoutError:
            if wait.c.outcome == OUTCOME_TIMED_OUT:
                return False
            raise
        finally:
            self.join_wait = None

    def destroy(self, destroy_loop=None):
        """End every greenlet that waits here with HubDestroyed, close the loop, and forget the hub.

        The next get_hub() of the thread makes a new one. Call it from the main greenlet of the hub's thread,
        when the thread is done; it is called by itself when a thread ends. Calling it again does nothing.
        `destroy_loop` is accepted for compatibility: the loop always goes with its hub.
        """
        cdef PyObject *current
        if self.destroyed:
            return
        self.check_thread()
        current = running_greenlet()
        if current is not <PyObject *> self.main:
            raise BlockingSwitchOutError("hub.destroy() can be called from the main greenlet only")
        if self.loop.core.running:
            raise BlockingSwitchOutError("hub.destroy() cannot be called from a callback of the loop")
        self.destroying = True
        self.restricted += 1
        for parked in self.parked_waits():
            (<Wait> parked).throw_with(HubDestroyed(f"{self!r} is being destroyed"))
        self.drain()
        self.destroyed = True
        self.on_destroy()
        self.loop.close()
        if hub_current is <PyObject *> self:
            forget_hub()

    def on_destroy(self):
        """A hook: the hub is about to close its loop (internal)."""

    @final
    cdef int drain(self) except -1:
        """From the main greenlet, run what is ready, and only that. Greenlets not started yet never start."""
        cdef node_t *node
        cdef PyObject *target
        cdef PyObject *result
        cdef HubGreenlet unstarted
        while True:
            node = ready_pop(&self.loop.core.ready)
            if node == NULL:
                return 0
            if node.kind <= NODE_ALARM:
                if resume_of(node, &target) == NULL:
                    continue
                result = hub_greenlet_switch(target)
                # It comes back here when the greenlet ends or blocks again: its parent, the hub, ends at once.
                if result == NULL:
                    self.hub_goes_on()
                else:
                    Py_DECREF(<object> result)
            elif node.kind == NODE_START:
                unstarted = <HubGreenlet> node.object
                Py_DECREF(unstarted)
            elif node.object is not <PyObject *> self.signal_job and node.object is not <PyObject *> self.inbox_job:
                if isinstance(<object> node.object, (Callback, ThrowJob)):
                    Py_DECREF(<object> node.object)

    def after_fork_in_child(self):
        """In a forked child: go on with a new loop, and with the greenlet that forked only (internal).

        Like threads, the other greenlets stay behind in the parent: what they wait for belongs to it. The main one does
        so too, if it is not the one that forked. The process then ends when nothing is left to do.
        """
        cdef PyObject *current = running_greenlet()
        cdef wait_t *wait = self.parked
        self.principal = None if current is <PyObject *> self else <object> current
        while wait != NULL:
            # Nothing here wakes it, not even what it shares memory with. It can be killed.
            wait.left_behind = wait.greenlet is not current
            wait = wait.next_parked
        self.thread_ident = get_ident()
        self.inbox = []
        self.inbox_job.node.queued = False
        self.signal_job.node.queued = False
        self.loop.leave_behind()
        self.budget = SWITCHES

    def hold_loop(self, int change):
        """Count one thing more (1), or less (-1), outside of the loop that will call back into it (internal)."""
        self.loop.core.references += change

    def forbid_switching(self, int change):
        """Count a section in which nothing may wait (`change` 1), or its end (-1) (internal)."""
        self.restricted += change

    def setswitchinterval(self, double seconds):
        """How long ready greenlets may run before the loop looks for I/O, in seconds."""
        if not seconds > 0:
            raise ValueError("the switch interval must be greater than 0 seconds")
        self.interval = <uint64_t> (min(seconds, 1e6) * 1e9)

    def statistics(self):
        """Counts for debugging: a dict of name to int."""
        counts = {"switches": self.switches, "parked": self.parked_length}
        if not self.destroyed:
            counts.update(self.loop.statistics())
        return counts


cdef node_t *resume_of(node_t *node, PyObject **target) noexcept:
    """The entry whose greenlet is to be switched to for a NODE_WAIT, NODE_YIELD or NODE_ALARM, marked as carried.

    NULL if that greenlet is no longer parked; what the entry held is given up then.
    """
    cdef wait_t *wait
    cdef alarm_t *alarm
    if node.kind == NODE_YIELD:
        target[0] = node.object
        node.carried = True
        # Parked on something else meanwhile, in a finalizer: it will find that it was carried.
        return node if (<HubGreenlet> node.object).slot.current == NULL else NULL
    if node.kind == NODE_WAIT:
        wait = <wait_t *> node
        if not wait.parked:
            # Woken before it parked (park() will find it decided), or switched away from it by force.
            wait_release(wait)
            return NULL
    else:
        alarm = <alarm_t *> node
        wait = alarm.wait
        alarm.wait = NULL
        if wait == NULL or not wait.parked or wait.alarm is not alarm:
            # The greenlet was switched out of that wait by force: the exception is still due.
            alarm.is_pending = True
            append_pending(alarm.slot, &alarm.pending)
            return NULL
    target[0] = wait.greenlet
    wait.node.carried = True
    return &wait.node if wait.slot.current is wait else NULL


cdef void set_invalid_switch(Wait wait) noexcept:
    message = (
        f"{<object> wait.c.greenlet!r} was switched to while it waits: {wait!r}; "
        "wake a waiting greenlet through what it waits for"
    )
    PyErr_SetObject(InvalidSwitchError, message)


# --- one hub per thread -----------------------------------------------------------------------------------------

hub_class = None  # set by hub.hub
hubs = weakref.WeakValueDictionary()  # all of this process, by their id
locals_of_thread = native_local()


cdef unsigned long main_thread_ident = threading.main_thread().ident


cdef bint is_main_thread():
    return get_ident() == main_thread_ident


class HubGuard:
    """Belongs to a thread's local data: destroys the thread's hub when the thread ends."""

    def __init__(self, hub):
        self.hub = hub
        self.process = os.getpid()

    def __del__(self, finalizing=sys.is_finalizing, this_thread=get_ident, getpid=os.getpid):
        hub = self.hub
        # Threads that a fork left behind, and what is left at the interpreter's end, are not cleaned up.
        if hub.destroyed or finalizing() or getpid() != self.process or this_thread() != hub.thread_ident:
            return
        hub.destroy()


cdef unsigned long fork_count() noexcept:
    """How many forks lie between this process and the one that imported the library."""
    return hub_forks


cpdef Scheduler hub_if_any():
    """The hub of the current thread, or None for a thread that has none and can do without: not the main one."""
    if hub_current != NULL:
        return <Scheduler> hub_current
    return make_hub() if is_main_thread() else None


cdef bint is_current(Scheduler hub) noexcept:
    """Whether this is the hub of the current thread."""
    return hub_current is <PyObject *> hub


cdef Scheduler current_hub():
    """The hub of the current thread, made on first use."""
    if hub_current == NULL:
        return make_hub()
    return <Scheduler> hub_current


cpdef int be_fair() except -1:
    """Let others run for a turn if they could not for as long as the switch interval. Switches, or does nothing.

    For calls that may wait but need not, and might be made again and again: a fast peer must not keep others waiting.
    """
    cdef Scheduler hub = hub_if_any()
    if hub is not None and not hub.destroyed:
        hub.give_way()
    return 0


cdef Scheduler make_hub():
    global hub_current
    if hub_is_finalizing():
        raise HubDestroyed("the interpreter is shutting down: no new hub can be made")
    hub = hub_class()
    locals_of_thread.guard = HubGuard(hub)
    hub_current = <PyObject *> hub
    hubs[id(hub)] = hub
    return hub


cdef object forget_hub():
    global hub_current
    hub_current = NULL
    try:
        del locals_of_thread.guard
    except AttributeError:
        pass


def get_hub():
    """The hub of the current thread (a `Hub`), made on first use. Does not switch."""
    return current_hub()


def get_hub_if_exists():
    """The hub of the current thread, or None if it has none. Does not switch."""
    return None if hub_current == NULL else <object> hub_current


def set_hub_class(value):
    """Say which class get_hub() makes (internal)."""
    global hub_class
    hub_class = value


cdef list other_hubs():
    """The hubs of the other threads."""
    # In one step: other threads make and drop hubs meanwhile.
    found = [reference() for reference in hubs.valuerefs()]
    return [hub for hub in found if hub is not None and not hub.destroyed and hub.thread_ident != get_ident()]


cpdef int closing_descriptor(int fd) except -1:
    """Descriptor `fd` is about to be closed: wake those who wait for it, in any thread, with OSError(EBADF).

    Does not switch. To be called before it is closed, by whoever closes it.
    """
    cdef watch_t *watch
    cdef Scheduler hub
    if hub_current != NULL:
        hub = <Scheduler> hub_current
        watch = hub.loop.watch_if_any(fd)
        if watch != NULL:
            hub.loop.watch_close(watch)
    if len(hubs) > (hub_current != NULL):
        for hub in other_hubs():
            watch = hub.loop.watch_if_any(fd)
            if watch != NULL:
                watch.generation += 1
                if watch.readers.head != NULL or watch.writers.head != NULL or watch.listeners != NULL:
                    hub.run_callback_threadsafe(hub.loop.closed_elsewhere, fd, watch.generation)
    return 0


def count_idle_thread(int change):
    """One thread more (1) or less (-1) waits for nothing but work from this library (internal).

    Such threads do not keep a hub waiting that nothing else could wake.
    """
    global hub_idle_threads
    hub_idle_threads += change


def after_fork_in_child():
    """For os.register_at_fork."""
    global hub_forks, hub_idle_threads, main_thread_ident
    hub_forks += 1
    main_thread_ident = get_ident()
    hub_idle_threads = 0
    hubs.clear()
    if hub_current != NULL:
        hub = <object> hub_current
        hubs[id(hub)] = hub
        locals_of_thread.guard.process = os.getpid()
        hub.after_fork_in_child()


cdef object end_process():
    """A forked child whose main greenlet stayed behind has nothing left to do: end it, as its last thread would."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # closed, or none at all
    os._exit(0)


def stand_still(list still):
    """Never run Python again in this thread (internal)."""
    still.append(get_ident())
    with nogil:
        while True:
            pause()


def stop_daemon_threads():
    """For atexit: let the hubs of daemon threads stand still.

    When the interpreter ends, CPython (before 3.14) ends a thread that asks for the GIL by unwinding its stack, and on
    the stack of a greenlet that crashes. A thread that is busy in Python code then has a tenth of a second to wait.
    """
    still = []
    others = other_hubs()
    for hub in others:
        hub.run_callback_threadsafe(stand_still, still)
    end = time.monotonic() + 0.1
    while len(still) < len(others) and time.monotonic() < end:
        native_sleep(0.001)


def sleep(seconds=0, ref=True):
    """Let others run for `seconds` (float); 0 or less lets them run once, and comes back as soon as it is our turn.

    `ref=False`: this sleep alone does not keep the loop alive. Returns None. Switches greenlets.
    Raises whatever is thrown into the greenlet meanwhile, and BlockingSwitchOutError on the hub greenlet.
    """
    # An int 0, the usual yield, is not worth the float object that a conversion goes through.
    current_hub().sleep_for(0 if seconds is 0 else seconds, ref, "sleep()")


os.register_at_fork(after_in_child=after_fork_in_child)
atexit.register(stop_daemon_threads)
