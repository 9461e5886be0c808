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

What does not belong here: links, joins, results and names of greenlets; sockets; locks. What else a hub does, such as
to run callbacks, handle signals and end, stands in modules of its own.

This file is longer than others because its parts call one another at each switch: a call from one compiled module into
another goes through a pointer, and is never inlined.
"""

import os
import sys
import threading
import weakref

from cpython.exc cimport PyErr_Clear, PyErr_Fetch, PyErr_Restore, PyErr_SetObject, PyErr_WriteUnraisable
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.list cimport PyList_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cython cimport final, freelist, no_gc

from greenlet import GreenletExit

from hub.deadlines cimport deadline_t, expire, on_deadline
from hub.at_exit import await_descriptor_late, sleep_late
from hub.errors import BlockingSwitchOutError, HubDestroyed, InvalidSwitchError, InvalidThreadUseError, LoopExit
from hub.greenlet_api cimport *
from hub.arguments cimport seconds_of
from hub.core cimport timer_t
from hub.loop cimport due_after, now_ns, timer_restart
from hub.native import get_ident
from hub.report import called_on_hub
from hub.ready cimport *
from hub.stacks cimport begin_small
from hub.thrown cimport (
    alarm_come, alarm_start, drop_pending, forget_exception, has_pending, make_exception, pend_alarm, pend_exception,
    take_alarm, take_pending,
)

__all__ = ["HubGreenlet", "Scheduler", "Wait", "get_hub", "get_hub_if_exists", "set_hub_maker", "sleep"]

cdef extern from *:
    """
    /* The hub of this thread; borrowed, the thread's HubGuard owns it. */
    static __thread PyObject *hub_current = NULL;

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
    #if PY_VERSION_HEX >= 0x030D0000
    #define hub_is_finalizing() Py_IsFinalizing()
    #else
    #define hub_is_finalizing() _Py_IsFinalizing()
    #endif
    """
    PyObject *hub_current
    bint hub_other_threads()
    bint hub_is_finalizing()
    long hub_idle_threads
    PyObject *PyThreadState_GetDict()

cdef enum:
    # Nanoseconds between two looks whether another thread has closed, without a word, what is waited for here.
    CLOSED_ELSEWHERE = 1000000000

cdef unsigned long hub_forks = 0
cdef unsigned long main_thread_ident = threading.main_thread().ident
# Not among the module's globals, which are gone when finalizers run at the end of the interpreter.
cdef object hub_maker = None  # makes the current thread's hub: hub.threads says
cdef object too_late = HubDestroyed
cdef object late_sleep = sleep_late
cdef object late_descriptor = await_descriptor_late

import_greenlet()


# --- greenlets --------------------------------------------------------------------------------------------------

cdef class HubGreenlet(greenlet):
    """A greenlet that the hub starts (internal base class)."""

    def __cinit__(self, *args, **kwargs):
        self.start_node.kind = NODE_START
        self.start_node.object = <PyObject *> self

    def __dealloc__(self):
        if self.slot.pending != NULL:
            drop_pending(&self.slot)

    cdef int attach(self, Scheduler scheduler) except -1:
        """Make the hub the parent: control goes there when the greenlet ends."""
        self.scheduler = scheduler
        return hub_greenlet_set_parent(<PyObject *> self, <PyObject *> scheduler)

    def switch(self, *args, **kwargs):
        """Switch to it at once, as greenlet does it. For greenlets that were suspended so; the hub starts the others.

        Raises InvalidSwitchError if it has not begun.
        """
        if self.start_node.kind == NODE_START and not hub_greenlet_has_started(<PyObject *> self):
            raise InvalidSwitchError(f"{self!r} has not begun: start() it, and the hub switches to it")
        return greenlet.switch(self, *args, **kwargs)

    cdef int schedule_start(self) except -1:
        """Queue the first run. The hub's own thread."""
        Py_INCREF(self)  # the ready queue's; begin() gives it up
        ready_push(&self.scheduler.loop.core.ready, &self.start_node)
        return 0

    cdef bint unschedule_start(self) noexcept:
        if not self.start_node.queued or self.start_node.kind != NODE_START:
            return False
        ready_remove(&self.scheduler.loop.core.ready, &self.start_node)
        Py_DECREF(self)
        return True

    cdef int begin(self) except -1:
        """The first thing a subclass's run() calls. Returns 1 if it was not in the ready queue to be started."""
        cdef int by_hand = 0
        if <PyObject *> self is not running_greenlet() or self.start_node.kind != NODE_START:
            raise InvalidSwitchError(f"run() of {self!r} is not for users to call: start it, and the hub does")
        if self.scheduler.starting is <PyObject *> self:
            self.scheduler.starting = NULL
            Py_DECREF(self)  # the ready queue's; run()'s caller has its own
        elif self.start_node.queued:
            self.unschedule_start()
        else:
            by_hand = 1
        self.start_node.kind = NODE_YIELD
        begin_small()
        return by_hand

    cdef int end_unstarted(self, object exception) except -1:
        """It is to be started, but its hub ends: let it end with a GreenletExit instance, from the main greenlet."""
        if not self.unschedule_start():
            return 0
        # With the hub as its parent, that would be started by it.
        hub_greenlet_set_parent(<PyObject *> self, <PyObject *> self.scheduler.main)
        throw_now(self, exception)
        self.finished()
        return 0

    cdef int end_unfinished(self, object exception) except -1:
        """It will never go on: whoever waits for its end need not wait any longer."""
        self.finished()
        return 0

    cdef int not_begun(self, object error) except -1:
        """It could not be started."""
        self.scheduler.report(self, error)
        self.finished()
        return 0

    cdef void finished(self) noexcept:
        """The last thing a subclass's run() calls: what was still to be thrown is dropped, `at_end` is called."""
        if self.slot.pending != NULL:
            drop_pending(&self.slot)
        while self.at_end is not None:  # what is called may give it more to call
            at_end, self.at_end = self.at_end, None
            for function in at_end.values():
                try:
                    function()
                except BaseException as error:
                    self.scheduler.report(self, error)


cdef class Slot:
    """The slot of a greenlet that is not a HubGreenlet; found in its __dict__, and kept for as long as that lives."""
    cdef slot_t slot

    def __dealloc__(self):
        drop_pending(&self.slot)


# --- waits ------------------------------------------------------------------------------------------------------

cdef void on_wait_timer(timer_t *timer) noexcept nogil:
    """A sleep is over, or a wait's own timeout has passed. The timer's hold goes with the wake."""
    cdef wait_t *wait = <wait_t *> timer.target
    if wait_wake(wait, OUTCOME_TIMED_OUT):
        timer.target = NULL


cdef void on_descriptor_timer(timer_t *timer) noexcept nogil:
    """The timeout of a wait that stands in a descriptor's queue, whose hold goes with the wake."""
    expire(<wait_t *> timer.target)


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
        self.kept = <object> self.c.greenlet

    cdef bint wake_with(self, object value) except -1:
        """Wake with a value. False if the wait is decided already. The hub's own thread."""
        if self.c.state != WAIT_WAITING or self.c.left_behind:
            return False
        self.value = value
        return wait_hold_and_wake(&self.c, OUTCOME_VALUE)

    cdef bint throw_with(self, object exception) except -1:
        """Wake with an exception instance. False if the wait is decided already. The hub's own thread."""
        if self.c.state != WAIT_WAITING:
            return False
        self.value = exception
        return wait_hold_and_wake(&self.c, OUTCOME_THROWN)

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


cdef int throw_now(object target, object exception) except -1:
    """Throw an exception instance into a greenlet that is suspended in a switch of its own, or has not begun."""
    cdef PyObject *result
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


cdef class SignalHandling(Job):
    """Lets Python's signal handlers run: see hub.signals (internal base class)."""

    cdef int handle(self, wait_t *wait) noexcept:
        """On the main greenlet, switched to for that only: run them, then wait on. Returns as switch_away() does."""
        return 0

    cdef int handle_here(self) except -1:
        """On the hub greenlet: run them. What they raise is thrown at the main greenlet."""
        raise NotImplementedError


# --- the scheduler ----------------------------------------------------------------------------------------------

cdef class Scheduler(greenlet):
    """Parks greenlets and runs the loop; the hub greenlet itself. `hub.Hub` adds the rest."""

    def __cinit__(self, *args, **kwargs):
        self.inbox = []
        self.budget = SWITCHES
        self.stride = 7
        self.interval = <uint64_t> (sys.getswitchinterval() * 1e9)

    def __dealloc__(self):
        drop_pending(&self.main_slot)
        Py_XDECREF(self.printing)

    def __init__(self):
        cdef PyObject *current
        if self.loop is not None:
            raise RuntimeError(f"{self!r} is initialised already")
        current = hub_greenlet_current()
        if current == NULL:
            no_greenlet()
        # The hub's parent is the main greenlet, whatever greenlet happened to need the hub first.
        self.main = self.principal = <object> main_above(current)
        Py_DECREF(self.main)
        greenlet.__init__(self, None, self.main)
        self.thread_ident = get_ident()
        self.printing = list_of_printing()
        self.loop = self.make_loop(is_main_thread())
        self.loop.error_handler = self.report
        self.looked_at = now_ns()

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
                f"a blocking function was called on the hub greenlet, {called_on_hub(self.callback)}; "
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
        """Nothing can be waited for now: in a no_switch() section, or because the hub is being destroyed."""
        cdef PyObject *result
        if self.restricted == AT_EXIT:
            if interpreter_ends():
                raise too_late("the interpreter is shutting down: nothing can be waited for any more")
            return 0
        if not self.destroying:
            raise BlockingSwitchOutError("a blocking function was called in a no_switch() section")
        if slot.holds_on:
            return 0
        if slot.pending != NULL and has_pending(slot):
            raise take_pending(slot)  # HubDestroyed itself, perhaps, if the greenlet had been granted something
        if current is not <PyObject *> self.main:
            slot.refusals += 1
            if slot.refusals == LAST_TRIES and self.unfinished is not None:
                self.unfinished.append(<object> current)
            while slot.refusals >= LAST_TRIES:
                # It catches whatever it gets. It stays where it is, for good.
                result = hub_greenlet_switch(<PyObject *> self)
                if result == NULL:
                    hub_failed()
                Py_DECREF(<object> result)
        raise HubDestroyed(f"{self!r} is being destroyed; nothing can be waited for")

    @final
    cdef bint hold_on(self, bint yes) except -1:
        """The hub is being destroyed: let the current greenlet wait all the same, or no longer. It gets HubDestroyed
        again and again meanwhile. False if that is the main greenlet, which cannot wait.
        """
        if self.destroyed or running_greenlet() is <PyObject *> self.main:
            return False
        self.slot_of_current().holds_on = yes
        return True

    @final
    cdef bint is_late(self) noexcept:
        """Whether the interpreter clears its modules: no greenlet runs, and a finalizer waits natively if at all."""
        return self.restricted == AT_EXIT and hub_is_finalizing()

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
            no_greenlet()
        Py_DECREF(<object> current)  # it is running: somebody else owns it
        return self.bind(wait, current, what)

    @final
    cdef slot_t *slot_of_current(self) except NULL:
        cdef PyObject *current = hub_greenlet_current()
        if current == NULL:
            no_greenlet()
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
            # Waits and alarms point into it, whatever becomes of the dict.
            weakref.finalize(target, no_more_needed, slot).atexit = False
        return &slot.slot

    @final
    cdef int park(self, Wait wait) noexcept:
        """Switch away until the wait is decided.

        Returns 0, and `wait.c.outcome` says how; or -1 with an exception set. Either way the wait is over.
        The caller takes itself out of wherever it stood, and then calls deliver().
        """
        cdef wait_t *w = &wait.c
        cdef wait_t *below
        cdef PyObject *printed = NULL
        cdef int result
        if wait.kept is not None:
            wait.kept = None
        if w.slot.pending != NULL and has_pending(w.slot) and w.state == WAIT_WAITING:
            wait_move(w, WAIT_OVER)
            self.set_pending(w.slot)
            return -1
        if w.state != WAIT_WAITING and not w.node.queued:
            wait_move(w, WAIT_OVER)  # woken before it parked, and its turn has passed
            return 0
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

        if PyList_GET_SIZE(<object> self.printing):
            printed = self.leave_printing()
        if self.observers is not None:
            self.tell(False)
        result = self.switch_away(&w.node)
        while self.signals_due and result == 0:
            result = self.signals.handle(w)
        if self.observers is not None:
            self.tell_of_return(result)
        if printed != NULL:
            self.go_on_printing(printed, result)

        self.parked_length -= 1
        hub_check(self.parked_length >= 0 and w.parked, b"who comes back was parked")
        if w.previous_parked != NULL:
            w.previous_parked.next_parked = w.next_parked
        else:
            self.parked = w.next_parked
        if w.next_parked != NULL:
            w.next_parked.previous_parked = w.previous_parked
        w.parked = False
        w.slot.current = below
        wait_move(w, WAIT_OVER)
        if w.alarm != NULL:
            if w.alarm.wait is w:
                w.alarm.wait = NULL  # it is still in the ready queue
        elif w.node.carried:
            wait_release(w)  # the ready queue's hold
        if result == 1:
            return 0
        if result == 0:
            self.set_invalid_switch(wait)
        return -1

    cdef int set_pending(self, slot_t *slot) noexcept:
        exception = take_pending(slot)
        PyErr_SetObject(type(exception), exception)
        return 0

    cdef int set_invalid_switch(self, Wait wait) noexcept:
        message = (
            f"{<object> wait.c.greenlet!r} was switched to while it waits: {wait!r}; "
            "wake a waiting greenlet through what it waits for"
        )
        PyErr_SetObject(InvalidSwitchError, message)
        return 0

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
        """As park(), but the outcome is OUTCOME_TIMED_OUT at loop time `due` (due_after()) if nothing came before."""
        cdef wait_t *w = &wait.c
        cdef timer_t *timer = self.loop.timer_take()
        cdef int result
        wait_hold(w)
        timer.target = w
        timer.fire = on_wait_timer
        self.loop.timer_start(timer, due)
        self.loop.core.references += ref
        w.references = ref
        w.due = due
        w.timer = timer
        result = self.park(wait)
        timer = <timer_t *> w.timer
        if timer != NULL:
            self.loop.core.references -= w.references
            if timer.target != NULL:
                wait_release(w)
            self.loop.timer_give(timer)
        return result

    @final
    cdef int wait_on(self, wait_t *wait) except -1:
        """In a forked child: what the current greenlet waits for, it waits for on the new loop."""
        cdef timer_t *timer = <timer_t *> wait.timer
        cdef watch_t *watch
        cdef bint has_come
        self.loop.core.references += wait.references
        if timer == NULL and wait.events and wait.due:
            # It was the socket's, which others in the parent wait for, too.
            timer = self.loop.timer_take()
            timer.target = wait
            timer.fire = on_descriptor_timer
            wait.timer = timer
        if timer != NULL and wait.state == WAIT_WAITING:
            self.loop.timer_start(timer, wait.due)
        if wait.events and wait.link.fifo != NULL:
            fifo_remove(&wait.link)
            try:
                watch = self.loop.watch_of(wait.fd)
                wait.generation = watch.generation
                has_come = self.loop.watch_want(watch, wait.events)
            except OSError:
                has_come = True
            if has_come:
                # Closed, or always ready: its own system call tells.
                if not wait_wake(wait, OUTCOME_READY):
                    wait_release(wait)
            else:
                fifo_append(&watch.readers if wait.events == 1 else &watch.writers, &wait.link)
        return 0

    @final
    cdef int need_loop(self, bint on_hub) except -1:
        """In a forked child that had not descriptors enough for a loop: try again. Raises OSError."""
        try:
            self.loop.check()
        except OSError as error:
            if on_hub and (self.principal is None or self.principal.dead):
                self.report(self, error)  # there is nobody to raise it in
                end_process()
            raise
        return 0

    @final
    cdef int loop_ends(self) noexcept:
        """Whoever waits still has nothing on the loop any more: it is closed, or was left to the parent."""
        cdef wait_t *wait = self.parked
        while wait != NULL:
            wait.timer = NULL
            wait.references = False
            wait = wait.next_parked
        return 0

    @final
    cdef int sleep_for(self, double seconds, bint ref, object what) except -1:
        if seconds <= 0:
            return self.yield_turn(what)
        return self.sleep_until(due_after(seconds), ref, what)  # which raises if it is no number

    @final
    cdef int sleep_until(self, uint64_t due, bint ref, object what) except -1:
        cdef Wait wait
        if self.is_late():
            late_sleep(due)
            return 0
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
            pend_alarm(alarm)
        else:
            pend_exception(slot, exception)
        return 0

    @final
    cdef int yield_turn(self, object what) except -1:
        """Let the others that are ready run once. A HubGreenlet needs no wait for that: it queues itself."""
        # greenlet copies the stack at each switch, so this uses little of it. What is seldom needed is not final: C
        # would put that in here.
        cdef PyObject *current = hub_greenlet_current()
        cdef PyObject *printed = NULL
        cdef HubGreenlet greenlet
        cdef int result
        if current == NULL:
            return self.yield_nowhere()
        Py_DECREF(<object> current)  # it is running: somebody else owns it
        if not isinstance(<object> current, HubGreenlet) or self.restricted or (<HubGreenlet> current).slot.yielding:
            return self.yield_by_wait(what)
        greenlet = <HubGreenlet> current
        if greenlet.slot.pending != NULL and has_pending(&greenlet.slot):
            raise take_pending(&greenlet.slot)
        greenlet.slot.yielding = True
        Py_INCREF(greenlet)  # the ready queue's
        ready_push(&self.loop.core.ready, &greenlet.start_node)
        if PyList_GET_SIZE(<object> self.printing):
            printed = self.leave_printing()
        if self.observers is not None:
            self.tell(False)
        result = self.switch_away(&greenlet.start_node)
        if self.observers is not None:
            self.tell_of_return(result)
        if printed != NULL:
            self.go_on_printing(printed, result)
        greenlet.slot.yielding = False
        greenlet.start_node.carried = False
        if greenlet.start_node.queued:
            ready_remove(&self.loop.core.ready, &greenlet.start_node)
        Py_DECREF(greenlet)
        if result < 0:
            hub_failed()
        if result == 0:
            self.yield_failed(greenlet)
        return 0

    cdef int yield_by_wait(self, object what) except -1:
        """As yield_turn(), for all other greenlets."""
        cdef Wait wait = self.new_wait(what)
        if wait.c.slot.pending == NULL or not has_pending(wait.c.slot):
            wait.wake_with(None)
        self.deliver(wait, self.park(wait))
        return 0

    cdef int yield_nowhere(self) except -1:
        """greenlet does not say which one runs: an error is set. At the end there are no others to let run."""
        if not self.is_late():
            no_greenlet()
        PyErr_Clear()
        return 0

    cdef int yield_failed(self, object greenlet) except -1:
        raise InvalidSwitchError(f"{greenlet!r} was switched to while it slept for a turn")

    cdef int give_way(self) except -1:
        """See be_fair()."""
        cdef PyObject *current
        cdef uint64_t now = now_ns()
        if self.fair_at != self.switches:
            self.fair_at = self.switches
            self.fair_since = now
        if now - self.fair_since <= self.interval:
            return 0
        if self.restricted and (self.restricted != AT_EXIT or interpreter_ends()):
            return 0
        current = hub_greenlet_current()
        if current == NULL:
            PyErr_Clear()  # the interpreter is ending: there are no others any more
            return 0
        Py_DECREF(<object> current)  # it is running: somebody else owns it
        if current is not <PyObject *> self:
            self.budget = 0
            self.yield_turn("a turn of the others")
        return 0

    @final
    cdef int tell(self, bint returned) noexcept:
        """Tell the observers that the current greenlet lets others run, or goes on."""
        for observer in self.observers:
            try:
                observer(returned)
            except BaseException as error:
                # A signal handler raised it.
                self.throw_into(self.principal or self.main, error)
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

    @final
    cdef PyObject *leave_printing(self) noexcept:
        """The current greenlet waits in the middle of a repr(): what is printed in others is not below that."""
        try:
            printed = list(<object> self.printing)
            (<list> self.printing).clear()
        except BaseException as error:
            self.report(self, error)
            return NULL
        Py_INCREF(printed)
        return <PyObject *> printed

    @final
    cdef int go_on_printing(self, PyObject *printed, int result) noexcept:
        """It goes on; with an exception set if `result` is -1."""
        cdef PyObject *kind = NULL
        cdef PyObject *value = NULL
        cdef PyObject *traceback = NULL
        if result < 0:
            PyErr_Fetch(&kind, &value, &traceback)
        try:
            (<list> self.printing).extend(<list> printed)
        except BaseException as error:
            self.report(self, error)
        Py_DECREF(<object> printed)
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
    cdef int wait_descriptor(
        self, watch_t *watch, unsigned int generation, int events, uint64_t due, deadline_t *deadline, object what
    ) except -1:
        """Wait until a descriptor is readable (events 1) or writable (2), first come first served.

        `generation` is the watch's when the caller opened it: in a later one, the descriptor is closed.
        `due` is a loop time (due_after()), 0 for ever; `deadline` may lend a timer.
        Returns an outcome: OUTCOME_READY, OUTCOME_TIMED_OUT or OUTCOME_CLOSED.
        """
        cdef Wait wait
        cdef wait_t *w
        cdef unsigned long epoch = self.loop.core.epoch
        cdef timer_t *timer
        cdef int result
        if self.is_late():
            return self.wait_descriptor_late(watch.fd, events, due)
        wait = self.new_wait(what)
        w = &wait.c
        if watch.generation != generation:
            return OUTCOME_CLOSED  # by another thread or a finalizer, while the wait was made
        if self.loop.watch_want(watch, events):
            return OUTCOME_READY  # a regular file: always ready
        if due:
            if deadline != NULL and deadline.wait == NULL:
                if deadline.timer != NULL and deadline.epoch != epoch:
                    deadline.timer = NULL
                if deadline.timer == NULL:
                    deadline.timer = self.loop.timer_take()
                    deadline.is_left = False
                    deadline.epoch = epoch
                    deadline.timer.target = deadline
                    deadline.timer.fire = on_deadline
                    deadline.fires = due
                    self.loop.timer_start(deadline.timer, due)
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
                self.loop.timer_start(timer, due)
                w.timer = timer
            w.due = due
        else:
            deadline = NULL
        w.fd = watch.fd
        w.events = events
        w.references = True
        w.generation = generation
        wait_hold(w)
        fifo_append(&watch.readers if events == 1 else &watch.writers, &w.link)
        self.loop.core.references += 1
        result = self.park(wait)
        if deadline != NULL:
            deadline.wait = NULL
        if w.references:
            self.loop.core.references -= 1
            if w.timer != NULL:
                self.loop.timer_give(<timer_t *> w.timer)
            if w.link.fifo != NULL:
                fifo_remove(&w.link)
                wait_release(w)
        if result < 0 or w.outcome == OUTCOME_THROWN:
            self.deliver(wait, result)
        return w.outcome

    cdef int wait_descriptor_late(self, int fd, int events, uint64_t due) except -1:
        return OUTCOME_READY if late_descriptor(fd, events, due) else OUTCOME_TIMED_OUT

    # --- switching ---

    @final
    cdef inline bint spend(self) noexcept:
        """Count a switch. True when the loop must look for I/O before the next one."""
        self.switches += 1
        self.budget -= 1
        if self.budget <= 0:
            self.stride = 7
            return True
        if (
            self.budget & self.stride == 0
            and self.budget <= self.round_over
            and now_ns() - self.looked_at > self.interval
        ):
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
                elif node.kind <= NODE_ALARM and not is_for_a_switch(node):
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
        if <PyObject *> self is not running_greenlet() or self.has_begun:
            raise InvalidSwitchError(f"run() of {self!r} is not for users to call: it runs while something waits")
        self.has_begun = True
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
            elif is_for_a_switch(node):
                self.throw_alarm(<alarm_t *> node)
            elif node.kind <= NODE_ALARM:
                if resume_of(node, &target) != NULL:
                    self.spend()
                    if self.enter(target):
                        return
            elif node.kind == NODE_START:
                self.spend()
                if self.start(node.object):
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

    def throw(self, *args):
        """Always an error: nothing is raised in the hub greenlet, and it must not end. Raises InvalidSwitchError."""
        raise InvalidSwitchError(f"nothing is to be thrown into {self!r}; kill() is for greenlets that wait")

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
    cdef int start(self, PyObject *target) except -1:
        """From the hub greenlet, start a greenlet. Returns 1 if the hub greenlet itself must end."""
        cdef HubGreenlet greenlet
        cdef PyObject *result
        cdef bint has_begun
        self.starting = target
        result = hub_greenlet_switch(target)
        has_begun = self.starting == NULL
        if has_begun:
            greenlet = None
        else:
            # Its run() is another one, or it did not come as far as its first line, for want of memory say.
            self.starting = NULL
            greenlet = <HubGreenlet> target
            Py_DECREF(greenlet)  # the ready queue's
        if result != NULL:
            Py_DECREF(<object> result)
            return 0
        if has_begun or hub_greenlet_has_started(target):
            return not self.hub_goes_on()
        try:
            hub_failed()
        except BaseException as error:
            greenlet.not_begun(error)
        return 0

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

    def report(self, context, error):
        """Tell handle_error() of an exception instance that nobody has caught. Does not raise.

        `context` is what it came out of: a greenlet, a callback, or any other object. What goes wrong in telling ends
        nobody, as with threads: it goes to sys.unraisablehook, and what the program should end with (SYSTEM_ERROR) to
        the main greenlet. An exception that only ends a greenlet (NOT_ERROR) ends the telling.
        """
        try:
            self.handle_error(context, type(error), error, error.__traceback__)
        except BaseException as failure:
            if isinstance(failure, self.SYSTEM_ERROR):
                self.throw_into(self.principal or self.main, failure)
            elif not isinstance(failure, self.NOT_ERROR):
                if failure.__context__ is None and failure is not error:
                    failure.__context__ = error
                PyErr_SetObject(type(failure), failure)
                PyErr_WriteUnraisable(context)

    @final
    cdef int report_error(self, object context) except -1:
        """report() for the exception that is being handled."""
        self.report(context, sys.exc_info()[1])
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
        self.begin_round()
        return 0

    @final
    cdef int begin_round(self) noexcept:
        """The loop has looked for I/O: everybody who is ready now has a turn before it does so again.

        A look in between would only put others behind them in the queue, and be told once more of every descriptor
        that is ready and whose greenlet has not run yet.
        """
        cdef long ready = self.loop.core.ready.length
        self.budget = max(<long> SWITCHES, ready)
        self.round_over = self.budget - ready
        self.looked_at = self.loop.core.now
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
            if loop.core.uv == NULL:
                self.need_loop(on_hub)
            if not loop.is_alive():
                if self.in_line == 0 or self.join_wait is not None or not hub_other_threads():
                    # A thread that has just ended may have left something.
                    if self.inbox and not loop.core.inbox.queued:
                        ready_push(&loop.core.ready, loop.core.inbox)
                        return 0
                    return 0 if self.nothing_left() else 2
                # Another thread may hand over what a greenlet here stands in line for. When the last one has
                # ended, it is time for a LoopExit.
                loop.look_again(1000000000)
            if loop.foreign and not on_hub:
                return 1
            if loop.owns_signals:
                displaced = loop.claim_signals()
                if displaced:
                    if not on_hub:
                        loop.release_signals()
                        return 1
                    # A signal may have come after the last bytecode, and told only the user's descriptor.
                    self.signals.handle_here()
                    if loop.core.ready.head != NULL:
                        loop.release_signals()
                        return 0
            if loop.look_after() and hub_other_threads():
                loop.look_again(CLOSED_ELSEWHERE)
            loop.poll(True)
            if displaced:
                loop.release_signals()
            self.begin_round()
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

    # --- other threads ---

    @final
    cdef int post(self, Wait wait) except -1:
        """Wake a wait of this hub from another thread. What it was granted it has already."""
        if not self.destroyed:
            self.inbox.append(wait)
            self.loop.wake_up()
        return 0

    # --- throwing ---

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
        """On the hub greenlet: an alarm has come for a greenlet that is suspended in a switch of its own making."""
        target = <object> alarm.greenlet
        exception = take_alarm(alarm)
        try:
            throw_now(target, exception)
        except BaseException:
            self.report_error(target)
        return 0

    @final
    cdef int alarm_set(self, alarm_t *alarm, object owner, double seconds, bint ref) except -1:
        """Throw into the current greenlet in `seconds`, unless cancelled before."""
        cdef uint64_t due = due_after(seconds)
        cdef PyObject *current
        self.check_thread()
        current = hub_greenlet_current()
        if current == NULL:
            no_greenlet()
        Py_DECREF(<object> current)  # it is running: somebody else owns it
        return alarm_start(alarm, owner, <object> current, self.slot_of(<object> current), self.loop, due, ref)

    # --- settings, and what may be asked ---

    def hold_loop(self, int change):
        """Count one thing more (1), or less (-1), outside of the loop that will call back into it (internal)."""
        self.loop.core.references += change

    def forbid_switching(self, int change):
        """Count a section in which nothing may wait (`change` 1), or its end (-1) (internal)."""
        self.restricted += change

    def setswitchinterval(self, seconds):
        """How long ready greenlets may run before the loop looks for I/O, in seconds."""
        seconds = seconds_of(seconds)
        if not seconds > 0:
            raise ValueError("the switch interval must be greater than 0 seconds")
        self.interval = <uint64_t> (min(seconds, 1e6) * 1e9)

    def statistics(self):
        """Counts for debugging: a dict of name to int."""
        counts = {"switches": self.switches, "parked": self.parked_length}
        if not self.destroyed:
            counts.update(self.loop.statistics())
        return counts


cdef bint is_for_a_switch(node_t *node) noexcept:
    """Whether it is an alarm whose greenlet is suspended in a switch of its own making: the hub throws it there."""
    cdef alarm_t *alarm = <alarm_t *> node
    if node.kind != NODE_ALARM or alarm.wait != NULL or alarm.is_cancelled:
        return False
    return (
        alarm.slot.current == NULL and not alarm.slot.yielding
        and alarm.greenlet is not hub_current and hub_greenlet_is_active(alarm.greenlet)
    )


cdef node_t *resume_of(node_t *node, PyObject **target) noexcept:
    """The entry whose greenlet is to be switched to for a NODE_WAIT, NODE_YIELD or NODE_ALARM, marked as carried.

    NULL if that greenlet is no longer parked; what the entry held is given up then.
    """
    cdef wait_t *wait
    hub_check(node.kind != NODE_WAIT or (<wait_t *> node).holds > 0, b"the ready queue holds the waits in it")
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
        wait = alarm_come(<alarm_t *> node)
        if wait == NULL:
            return NULL
    target[0] = wait.greenlet
    wait.node.carried = True
    return &wait.node if wait.slot.current is wait else NULL


cdef PyObject *list_of_printing() except NULL:
    """What this thread's repr() is in the middle of: where Py_ReprEnter() notes it. A new reference."""
    cdef PyObject *of_thread = PyThreadState_GetDict()
    printing = [] if of_thread == NULL else (<dict> of_thread).setdefault("Py_Repr", [])
    Py_INCREF(printing)
    return <PyObject *> printing


def no_more_needed(slot):
    """The greenlet that the slot was for is gone (internal)."""


# --- the current thread -----------------------------------------------------------------------------------------

cdef bint is_main_thread():
    return <unsigned long> PyThread_get_thread_ident() == main_thread_ident


cpdef Scheduler hub_if_any():
    """The hub of the current thread, or None for a thread that has none and can do without: not the main one."""
    if hub_current != NULL:
        return <Scheduler> hub_current
    return new_hub() if is_main_thread() else None


cdef bint is_current(Scheduler hub) noexcept:
    """Whether this is the hub of the current thread."""
    return hub_current is <PyObject *> hub


cdef Scheduler current_hub():
    """The hub of the current thread, made on first use."""
    if hub_current == NULL:
        return new_hub()
    return <Scheduler> hub_current


cdef Scheduler new_hub():
    if interpreter_ends():
        raise too_late("the interpreter is shutting down: no new hub can be made")
    return hub_maker()


cpdef bint interpreter_ends() noexcept:
    """Whether the interpreter is being finalized: modules are cleared, and nothing can wait any more."""
    return hub_is_finalizing()


cdef int no_greenlet() except -1:
    """greenlet does not say which one runs: an error is set."""
    if interpreter_ends():
        PyErr_Clear()
        raise too_late("the interpreter is shutting down: nothing can be waited for any more")
    hub_failed()


cpdef int be_fair() except -1:
    """Let others run for a turn if they could not for as long as the switch interval. Switches, or does nothing.

    For calls that may wait but need not, and might be made again and again: a fast peer must not keep others waiting.
    """
    cdef Scheduler hub = existing_hub()  # where there is none there are no others
    if hub is not None and not hub.destroyed:
        hub.give_way()
    return 0


cdef Scheduler existing_hub():
    """The hub of the current thread, or None."""
    return None if hub_current == NULL else <Scheduler> hub_current


cdef void set_current_hub(Scheduler hub) noexcept:
    """From now on that is the hub of the current thread, or, for None, there is none."""
    global hub_current
    hub_current = NULL if hub is None else <PyObject *> hub


def set_hub_maker(function):
    """Say what makes the hub of a thread that has none yet (internal)."""
    global hub_maker
    hub_maker = function


def get_hub():
    """The hub of the current thread (a `Hub`), made on first use. Does not switch."""
    return current_hub()


def get_hub_if_exists():
    """The hub of the current thread, or None if it has none. Does not switch."""
    return existing_hub()


def count_idle_thread(int change):
    """One thread more (1) or less (-1) waits for nothing but work from this library (internal).

    Such threads do not keep a hub waiting that nothing else could wake.
    """
    global hub_idle_threads
    hub_idle_threads += change


cdef unsigned long fork_count() noexcept:
    """How many forks lie between this process and the one that imported the library."""
    return hub_forks


cdef int begin_fork() except -1:
    """In a forked child: its only thread is the main one."""
    global hub_forks, hub_idle_threads, main_thread_ident
    hub_forks += 1
    hub_idle_threads = 0
    main_thread_ident = get_ident()
    return 0


cdef object end_process():
    """A forked child whose main greenlet stayed behind has nothing left to do: end it, as its last thread would."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # closed, or none at all
    os._exit(0)


def sleep(seconds=0, ref=True):
    """Let others run for `seconds` (float); 0 or less lets them run once, and comes back as soon as it is our turn.

    `ref=False`: this sleep alone does not keep the loop alive. Returns None. Switches greenlets.
    Raises whatever is thrown into the greenlet meanwhile, and BlockingSwitchOutError on the hub greenlet.
    """
    # An int 0, the usual yield, is not worth the float object that a conversion goes through.
    current_hub().sleep_for(0 if seconds is 0 else seconds_of(seconds), ref, "sleep()")
