"""The scheduler: parks greenlets and wakes them. Each thread has one.

Theory
    A greenlet that blocks makes a Wait, hands it to its waker, and parks. Parking means: take the next entry off the
    ready queue and switch to its greenlet directly. If the queue is empty, the greenlet that parks runs the loop
    itself, on its own stack. If its own wait becomes ready first, it just returns, with no switch at all. The hub
    greenlet is the parent of every greenlet. Greenlets are started there, and Python callbacks run there and nowhere
    else.

Rules
    1. Only the hub's own thread touches its ready queue. Others go through the inbox.
    2. A wait's own timeout that loses against another wake is dropped.
    3. A loop never runs twice at once: there is no second uv_run(), not even in a callback of the first.
    4. Every way out of park() - value, exception, kill, the greenlet being collected - passes the same cleanup.

What does not belong here: links, joins, results and names of greenlets; sockets; locks. A hub's callbacks are in
hub.callbacks, its waits in hub.waits, its signals in hub.signals, its end in hub.ending.

This file is longer than others because its parts call one another at each switch: a call from one compiled module into
another goes through a pointer, and is never inlined.
"""

import sys

from cpython.exc cimport PyErr_Clear, PyErr_Fetch, PyErr_Restore, PyErr_SetObject
from cpython.list cimport PyList_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cython cimport final

from greenlet import GreenletExit

from hub.arguments cimport seconds_of
from hub.at_exit import await_descriptor_late, sleep_late
from hub.current cimport end_process, interpreter_ends, is_main_thread, other_threads, raise_no_greenlet
from hub.deadlines cimport deadline_begin, deadline_t, on_descriptor_timer
from hub.errors import InvalidSwitchError
from hub.greenlet_api cimport *
from hub.greenlets cimport HubGreenlet
from hub.loop cimport Loop
from hub.native import get_ident
from hub.printing cimport printing_of_thread, resume_printing, suspend_printing
from hub.ready cimport *
from hub.thrown cimport alarm_carry_out, has_pending, take_pending
from hub.timers cimport due_after, end_sleep_by, hub_now, timer_give, timer_start, timer_t, timer_take
from hub.turns cimport SWITCHES, turns_are_unfair, turns_begin, turns_begin_round, turns_spend
from hub.waits cimport AT_EXIT, Wait, WaitingHub
from hub.wakeup_slot cimport WakeupSlot

__all__ = ["Scheduler", "be_fair", "sleep"]

cdef enum:
    # Nanoseconds between two checks whether another thread has closed a watched descriptor without an announcement.
    CLOSED_ELSEWHERE = 1000000000

# Not among the module's globals, which are gone when finalizers run at the end of the interpreter.
cdef object late_sleep = sleep_late
cdef object late_descriptor = await_descriptor_late

import_greenlet()


cdef void on_wait_timer(timer_t *timer) noexcept nogil:
    """Wake a wait: its sleep is over, or its own timeout has passed. The timer's hold goes to the ready queue."""
    cdef wait_t *wait = <wait_t *> timer.target
    if wait_wake(wait, OUTCOME_TIMED_OUT):
        timer.target = NULL


cdef class SignalHandling(Job):
    """Lets Python's signal handlers run: see hub.signals (internal base class)."""

    cdef int handle(self, wait_t *wait) noexcept:
        """Run the handlers on the main greenlet, in the middle of its wait, then wait on.

        Returns as switch_away() does.
        """
        return 0

    cdef int handle_here(self) except -1:
        """Run the handlers on the hub greenlet. Their exceptions are thrown at the main greenlet."""
        raise NotImplementedError


# --- the scheduler ----------------------------------------------------------------------------------------------

cdef class Scheduler(WaitingHub):
    """Parks greenlets and runs the loop; the hub greenlet itself. `hub.Hub` adds the rest."""

    def __cinit__(self, *args, **kwargs):
        turns_begin(&self.turns, sys.getswitchinterval())

    def __dealloc__(self):
        Py_XDECREF(self.printing)

    def __init__(self):
        cdef PyObject *current
        if self.loop is not None:
            raise RuntimeError(f"{self!r} is initialised already")
        current = hub_greenlet_current()
        if current == NULL:
            raise_no_greenlet()
        # The hub's parent is the main greenlet, even if another greenlet needed the hub first.
        self.main = self.principal = <object> main_above(current)
        Py_DECREF(self.main)
        greenlet.__init__(self, None, self.main)
        self.thread_ident = get_ident()
        self.printing = printing_of_thread()
        self.loop = self.make_loop(is_main_thread())
        self.loop.error_handler = self.report
        self.turns.looked_at = hub_now()

    # --- waits ---

    @final
    cdef int park(self, Wait wait) noexcept:
        """Switch away until the wait is decided.

        Returns 0, and `wait.c.outcome` says how it was decided; or -1 with an exception set. Either way the wait is
        over. The caller takes the wait out of the fifo in which it stands, if any, and then calls deliver().
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
            printed = suspend_printing(self.printing, self)
        if self.observers is not None:
            self.tell_observers(False)
        result = self.switch_away(&w.node)
        while self.signals_due and result == 0:
            result = self.signals.handle(w)
        if self.observers is not None:
            self.tell_of_return(result)
        if printed != NULL:
            resume_printing(self.printing, printed, self, result)

        self.parked_length -= 1
        hub_check(self.parked_length >= 0 and w.parked, b"a greenlet that comes back was parked")
        if w.previous_parked != NULL:
            w.previous_parked.next_parked = w.next_parked
        else:
            self.parked = w.next_parked
        if w.next_parked != NULL:
            w.next_parked.previous_parked = w.previous_parked
        w.parked = False
        w.slot.current = below
        wait_move(w, WAIT_OVER)
        if below != NULL:
            self.carry_again(below)
        elif w.slot.yielding:
            self.yield_again(w)
        if w.alarm != NULL and w.alarm.wait is w:
            w.alarm.wait = NULL  # it is still in the ready queue
        if w.node.carried and (w.alarm == NULL or w.carried_again):
            wait_release(w)  # the ready queue's hold
        if result == 1:
            return 0
        if result == 0:
            self.set_invalid_switch(wait)
        return -1

    cdef void carry_again(self, wait_t *below) noexcept:
        """Put a wait into the ready queue once more, if it was carried out while a finalizer was parked on top of it.

        The greenlet was about to switch away for `below`, and a finalizer ran on it and parked, too. Now the finalizer
        ends, and the greenlet goes on to switch away. Without the second entry nothing would switch back to it.
        """
        if not below.node.carried:
            return
        below.node.carried = False
        if below.alarm != NULL and not below.carried_again:
            wait_hold(below)  # the alarm's entry in the queue had no hold
            below.carried_again = True
        ready_push_front(&self.loop.core.ready, &below.node)

    cdef void yield_again(self, wait_t *above) noexcept:
        """As carry_again(), for a greenlet that was about to switch away for yield_turn()."""
        cdef node_t *below = &(<HubGreenlet> above.greenlet).start_node
        if below.carried:
            below.carried = False
            ready_push_front(&self.loop.core.ready, below)

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
    cdef int park_until(self, Wait wait, uint64_t due, bint ref) except -2:
        """As park(), but at loop time `due` (due_after()) the wait is decided with OUTCOME_TIMED_OUT, if not before."""
        cdef wait_t *w = &wait.c
        cdef timer_t *timer = timer_take(&self.loop.core.timers)
        cdef int result
        wait_hold(w)
        timer.target = w
        timer.fire = on_wait_timer
        timer_start(timer, due)
        self.loop.core.references += ref
        w.references = ref
        w.due = due
        w.timer = timer
        result = self.park(wait)
        timer = w.timer
        if timer != NULL:
            self.loop.core.references -= w.references
            if timer.target != NULL:
                wait_release(w)
            timer_give(timer)
        return result

    @final
    cdef int retry_loop(self, bint on_hub) except -1:
        """Try again to make the loop of a forked child that had too few descriptors for it. Raises OSError."""
        try:
            self.loop.check()
        except OSError as error:
            if on_hub and (self.principal is None or self.principal.dead):
                self.report(self, error)  # there is no greenlet in which to raise it
                end_process()
            raise
        return 0

    @final
    cdef int sleep_for(self, double seconds, bint ref, object what) except -1:
        if seconds <= 0:
            return self.yield_turn(what)
        return self.sleep_until(due_after(seconds), ref, what)  # due_after() raises an error for NaN

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
    cdef int yield_turn(self, object what) except -1:
        """Let all others that are ready run once. A HubGreenlet needs no wait for that: it queues itself."""
        # greenlet copies the stack at each switch, so this function has a small frame. The methods for rare cases are
        # not final, or the C compiler would put their code in here.
        cdef PyObject *current = hub_greenlet_current()
        cdef PyObject *printed = NULL
        cdef HubGreenlet greenlet
        cdef int result
        if current == NULL:
            return self.yield_nowhere()
        Py_DECREF(<object> current)  # it is running: somebody else owns it
        if not isinstance(<object> current, HubGreenlet) or self.restricted:
            return self.yield_by_wait(what)
        greenlet = <HubGreenlet> current
        if greenlet.slot.yielding or greenlet.slot.current != NULL:
            return self.yield_by_wait(what)  # a finalizer, while this greenlet switches away
        if greenlet.slot.pending != NULL and has_pending(&greenlet.slot):
            raise take_pending(&greenlet.slot)
        greenlet.slot.yielding = True
        Py_INCREF(greenlet)  # the ready queue's
        ready_push(&self.loop.core.ready, &greenlet.start_node)
        if PyList_GET_SIZE(<object> self.printing):
            printed = suspend_printing(self.printing, self)
        if self.observers is not None:
            self.tell_observers(False)
        result = self.switch_away(&greenlet.start_node)
        if self.observers is not None:
            self.tell_of_return(result)
        if printed != NULL:
            resume_printing(self.printing, printed, self, result)
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
        """yield_turn() for greenlets that need a wait."""
        cdef Wait wait = self.new_wait(what)
        if wait.c.slot.pending == NULL or not has_pending(wait.c.slot):
            wait.wake_with(None)
        self.deliver(wait, self.park(wait))
        return 0

    cdef int yield_nowhere(self) except -1:
        """yield_turn() after greenlet has set an error. Does nothing when the interpreter ends: no others can run."""
        if not self.is_late():
            raise_no_greenlet()
        PyErr_Clear()
        return 0

    cdef int yield_failed(self, object greenlet) except -1:
        raise InvalidSwitchError(f"{greenlet!r} was switched to while it slept for a turn")

    cdef int give_way(self) except -1:
        """Let others run for a turn if they could not for as long as the switch interval: see be_fair()."""
        cdef PyObject *current
        if not turns_are_unfair(&self.turns):
            return 0
        if self.restricted and (self.restricted != AT_EXIT or interpreter_ends()):
            return 0
        current = hub_greenlet_current()
        if current == NULL:
            PyErr_Clear()  # the interpreter is ending: there are no others any more
            return 0
        Py_DECREF(<object> current)  # it is running: somebody else owns it
        if current is not <PyObject *> self:
            self.turns.budget = 0
            self.yield_turn("a turn of the others")
        return 0

    @final
    cdef int tell_observers(self, bint returned) noexcept:
        """Tell the observers that the current greenlet lets others run, or goes on."""
        for observer in self.observers:
            try:
                observer(returned)
            except BaseException as error:
                # Observers do not raise, so it came from a signal handler.
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
        self.tell_observers(True)
        if result < 0:
            PyErr_Restore(kind, value, traceback)
        return 0

    def observe(self, observer):
        """Call ``observer(False)`` when a greenlet lets others run, ``observer(True)`` when it goes on (internal).

        There may be several observers. They must not raise.
        """
        self.observers = (self.observers or ()) + (observer,)

    def stop_observing(self, observer):
        """Do not call the observer any more. Does nothing if it does not observe (internal)."""
        cdef list left = list(self.observers or ())
        if observer in left:
            left.remove(observer)
        self.observers = tuple(left) or None

    @final
    cdef int wait_descriptor(
        self, watch_t *watch, unsigned int generation, int events, uint64_t due, deadline_t *deadline, object what
    ) except -1:
        """Wait until a descriptor is readable (events 1) or writable (2), first come first served.

        `generation`: that of the watch when the caller opened it. If the watch has a later one, the descriptor is
        closed. `due`: a loop time (due_after()), 0 for ever. `deadline`: whose timer to use, or NULL. `what`: for
        reports. Returns an outcome: OUTCOME_READY, OUTCOME_TIMED_OUT or OUTCOME_CLOSED.
        """
        cdef Wait wait
        cdef wait_t *w
        cdef timer_t *timer
        cdef int result
        if self.is_late():
            return self.wait_descriptor_late(watch.fd, events, due)
        wait = self.new_wait(what)
        w = &wait.c
        if watch.generation != generation:
            return OUTCOME_CLOSED  # another thread or a finalizer has closed it while the wait was made
        if self.loop.watch_want(watch, events):
            return OUTCOME_READY  # a regular file: always ready
        if due:
            if deadline != NULL and deadline.wait == NULL:
                deadline_begin(deadline, &self.loop.core.timers, w, due)
            else:
                deadline = NULL
                timer = timer_take(&self.loop.core.timers)
                timer.target = w
                timer.fire = on_descriptor_timer
                timer_start(timer, due)
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
                timer_give(w.timer)
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
    cdef int switch_away(self, node_t *mine) noexcept:
        """Let others run until `mine` is carried out and its greenlet, the current one, is switched to.

        Returns 1 then; 0 if other code has switched to the greenlet; -1 with an exception set.
        """
        cdef ready_t *ready = &self.loop.core.ready
        cdef node_t *node
        cdef PyObject *target
        cdef PyObject *result
        cdef int answer
        while True:
            if mine.carried:
                return 1  # it was carried out in a switch that a finalizer, or a greenlet that ended here, has made
            target = self.switch_to
            self.switch_to = NULL
            if target == NULL and self.turns.budget <= 0:
                answer = self.look_safely(False)
                if answer == -2:
                    return -1
                end_dropped_greenlets()
                if mine.carried:
                    return 1
                if answer:
                    target = <PyObject *> self
            if target == NULL:
                node = ready_pop(ready)
                if node == NULL:
                    answer = self.idle(False)
                    if answer < 0:
                        return -1
                    end_dropped_greenlets()
                    if answer == 0 or mine.carried:
                        continue
                    if answer == 2:
                        result = self.throw_loop_exit()
                        if result == NULL:
                            return -1
                        Py_DECREF(<object> result)
                        return 1 if mine.carried else 0
                    target = <PyObject *> self
                elif node.kind <= NODE_ALARM and not is_for_a_switch(node, <PyObject *> self):
                    node = resume_of(node, &target)
                    if node == NULL:
                        continue
                    turns_spend(&self.turns)
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
        """Carry out the ready queue and run the loop, on the hub greenlet. Not for users: greenlet calls it."""
        cdef ready_t *ready = &self.loop.core.ready
        cdef node_t *node
        cdef PyObject *target
        cdef PyObject *result
        cdef int answer
        if <PyObject *> self is not running_greenlet() or self.has_begun:
            raise InvalidSwitchError(f"run() of {self!r} is not for users to call: it runs while something waits")
        self.has_begun = True
        while not self.destroying:
            if self.turns.budget <= 0:
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
            elif is_for_a_switch(node, <PyObject *> self):
                self.throw_alarm(<alarm_t *> node)
            elif node.kind <= NODE_ALARM:
                if resume_of(node, &target) != NULL:
                    turns_spend(&self.turns)
                    if self.enter(target):
                        return
            elif node.kind == NODE_START:
                turns_spend(&self.turns)
                if self.start(node.object):
                    return
            else:
                turns_spend(&self.turns)
                job = <Job> node.object
                self.callback = job
                try:
                    (<Job> job).run()
                except BaseException:
                    self.report_error(job)
                self.callback = None
                job = None

    def throw(self, *args):
        """Raise InvalidSwitchError: nothing is raised in the hub greenlet, and it must not end."""
        raise InvalidSwitchError(f"nothing is to be thrown into {self!r}; kill() is for greenlets that wait")

    @final
    cdef int enter(self, PyObject *target) except -1:
        """Switch from the hub greenlet to a greenlet. Returns 1 if the hub greenlet itself must end."""
        cdef PyObject *result = hub_greenlet_switch(target)
        if result != NULL:
            Py_DECREF(<object> result)
            return 0
        return not self.hub_goes_on()

    def make_loop(self, default):
        """Make the loop of a new hub (internal)."""
        return Loop(default)

    @property
    def switches(self):
        """How often a greenlet was switched to or started, for statistics (int)."""
        return self.turns.switches

    @final
    cdef int start(self, PyObject *target) except -1:
        """Start a greenlet from the hub greenlet. Returns 1 if the hub greenlet itself must end."""
        cdef HubGreenlet greenlet
        cdef PyObject *result
        cdef bint has_begun
        self.starting = target
        result = hub_greenlet_switch(target)
        has_begun = self.starting == NULL
        if has_begun:
            greenlet = None
        else:
            # Its run() does not call begin(), or memory ran out before its first line.
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
        """Report an exception that a bare greenlet has passed to the hub greenlet, its parent.

        False for GreenletExit, which ends the hub greenlet.
        """
        try:
            hub_failed()
        except GreenletExit:
            return False
        except BaseException:
            self.report_error("a greenlet made without greenio")
        return True

    @final
    cdef PyObject *throw_loop_exit(self) noexcept:
        """Throw LoopExit into the main greenlet, which is not parked: it is suspended in a switch of its own making."""
        try:
            error = self.loop_exit()
            kind = type(error)
            return hub_greenlet_throw(<PyObject *> self.principal, <PyObject *> kind, <PyObject *> error, NULL)
        except BaseException as failure:
            PyErr_SetObject(type(failure), failure)
            return NULL

    # --- the loop ---

    @final
    cdef int look(self, bint on_hub) except -2:
        """Poll the loop without sleeping. Returns 1 if only the hub greenlet may do that now."""
        cdef Loop loop = self.loop
        if loop.core.running:
            # This is inside a callback of a pyuv handle: the loop's turn goes on after it.
            self.turns.budget = SWITCHES
            return 0
        if loop.exposed and not on_hub:
            return 1
        loop.poll(False)
        turns_begin_round(&self.turns, loop.core.ready.length, loop.core.looked)
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
        """Sleep until something is ready.

        Returns 0 to look at the queue again; 1 if only the hub greenlet may sleep; 2 if nothing can happen any more and
        the main greenlet is not parked; -1 with an exception set.
        """
        cdef Loop loop = self.loop
        cdef WakeupSlot slot  # kept here, because a fork in a signal handler gives the loop another
        cdef bint displaced = False
        try:
            if loop.core.running:
                # A callback of a pyuv handle has switched away from the hub, and only the hub can end the loop's turn.
                if on_hub:
                    raise InvalidSwitchError("the loop was re-entered from one of its own callbacks")
                return 1
            if loop.core.uv == NULL:
                self.retry_loop(on_hub)
            if not loop.is_alive():
                if self.in_line == 0 or self.join_wait is not None or not other_threads():
                    # A thread that has just ended may have left a request in the inbox.
                    if self.inbox and not loop.core.inbox.queued:
                        ready_push(&loop.core.ready, loop.core.inbox)
                        return 0
                    loop.core.slept_in_vain = False
                    return 0 if self.nothing_left() else 2
                # Another thread may grant something to a greenlet that stands in line here. The sleep ends after a
                # second, because a LoopExit is due as soon as no such thread is left.
                end_sleep_by(&loop.core.timers, loop.core.now + 1000000000)
            if loop.exposed and not on_hub:
                return 1
            slot = loop.slot
            if slot is not None:
                displaced = slot.claim()
                if displaced:
                    if not on_hub:
                        slot.release()
                        return 1
                    # A signal may have come after the last bytecode: only the program's descriptor was told of it.
                    self.signals.handle_here()
                if loop.core.ready.head != NULL:
                    if displaced:
                        slot.release()
                    return 0
            if loop.verify_watches() and other_threads():
                end_sleep_by(&loop.core.timers, loop.core.now + CLOSED_ELSEWHERE)
            loop.poll(True)
            if displaced:
                slot.release()
            turns_begin_round(&self.turns, loop.core.ready.length, loop.core.looked)
            return 0
        except BaseException as error:
            PyErr_SetObject(type(error), error)
            return -1

    # --- settings and statistics ---

    def setswitchinterval(self, seconds):
        """Set how long ready greenlets may run before the loop looks for I/O, in seconds (float). Does not switch.

        Raises ValueError unless that is greater than 0.
        """
        seconds = seconds_of(seconds)
        if not seconds > 0:
            raise ValueError("the switch interval must be greater than 0 seconds")
        self.turns.interval = <uint64_t> (min(seconds, 1e6) * 1e9)

    def statistics(self):
        """Counts for debugging: a dict of name to int. Does not switch."""
        counts = {"switches": self.turns.switches, "parked": self.parked_length}
        if not self.destroyed:
            counts.update(self.loop.statistics())
        return counts


cdef bint is_for_a_switch(node_t *node, PyObject *hub) noexcept:
    """Whether an entry is an alarm for a greenlet that is suspended in a switch of its own. The hub throws it."""
    cdef alarm_t *alarm = <alarm_t *> node
    if node.kind != NODE_ALARM or alarm.wait != NULL or alarm.is_cancelled:
        return False
    return (
        alarm.slot.current == NULL and not alarm.slot.yielding
        and alarm.greenlet is not hub and hub_greenlet_is_active(alarm.greenlet)
    )


cdef node_t *resume_of(node_t *node, PyObject **target) noexcept:
    """Prepare the switch for a NODE_WAIT, NODE_YIELD or NODE_ALARM: set `target` to the greenlet to switch to.

    Returns the entry on which that greenlet is parked, marked as carried. NULL if it is no longer parked: the entry's
    hold or reference is given up then.
    """
    cdef wait_t *wait
    hub_check(node.kind != NODE_WAIT or (<wait_t *> node).holds > 0, b"the ready queue holds the waits in it")
    if node.kind == NODE_YIELD:
        target[0] = node.object
        node.carried = True
        # A finalizer that runs on it may be parked on something else. The greenlet finds out later that it was carried.
        return node if (<HubGreenlet> node.object).slot.current == NULL else NULL
    if node.kind == NODE_WAIT:
        wait = <wait_t *> node
        if not wait.parked:
            # It was woken before it parked, and park() will find it decided; or its greenlet was switched to by force.
            wait_release(wait)
            return NULL
    else:
        wait = alarm_carry_out(<alarm_t *> node)
        if wait == NULL:
            return NULL
    target[0] = wait.greenlet
    wait.node.carried = True
    return &wait.node if wait.slot.current is wait else NULL


# --- the current thread -----------------------------------------------------------------------------------------

cpdef int be_fair() except -1:
    """Let others run for a turn if they could not for as long as the switch interval. Switches, or does nothing.

    For calls that may wait but need not, and are made again and again: a fast peer must not keep others waiting.
    """
    cdef Scheduler hub = existing_hub()  # without a hub there are no others
    if hub is not None and not hub.destroyed:
        hub.give_way()
    return 0


def sleep(seconds=0, ref=True):
    """Let others run for `seconds` (float); 0 or less lets those that are ready run once. Returns None. Switches.

    `ref=False`: this sleep alone does not keep the loop alive. Raises exceptions that are thrown into the greenlet
    meanwhile, and BlockingSwitchOutError on the hub greenlet.
    """
    # The int 0, which most programs pass to yield, is not converted: that would make a float object.
    current_hub().sleep_for(0 if seconds is 0 else seconds_of(seconds), ref, "sleep()")
