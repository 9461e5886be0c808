"""One hub per thread: made on first use, found by other threads, gone on with in a forked child, and its end.

How a hub ends: destroy(), on the main greenlet of its thread
    1. From now on nothing can be waited for here: who wants to gets what is pending for him, or HubDestroyed.
    2. What other threads have asked for is done: who was granted something has it before he learns of the end.
    3. Whoever waits is woken with HubDestroyed. What is ready is carried out: callbacks run, on the main greenlet;
       greenlets go on. Those that have not begun end with HubDestroyed and never begin. In all of them `finally`
       runs, what they hold goes to the next in line, links are called, and who joins them is told, in other threads
       too.
    4. That makes others ready: 2 and 3 are repeated until nothing is, at most LAST_TRIES times.
    5. The resolver and the thread pool are closed, and 2 to 4 done once more.
    6. The hub is destroyed: what others ask for from now on is refused with HubDestroyed. What they have asked for
       until this moment is done, once. So no request is lost.
    7. A greenlet that has caught HubDestroyed LAST_TRIES times and waited again is given up: it never goes on. It
       counts as finished, with HubDestroyed, so that nobody waits for it, and a RuntimeWarning names it. Its frames
       stay, with what they refer to: nothing but unwinding them drops it.
    8. The loop is closed, and the thread has no hub. destroy() then raises what was thrown at the main greenlet and not
       raised there yet. Timeouts that run there never expire.

Rules
    1. A thread's hub is destroyed with the thread, by what the thread's own local data holds.
    2. In a forked child the hub of the thread that forked goes on, with that greenlet only, what it waits for and its
       Timeouts, and a new loop. All other hubs have ended there. No descriptor of the parent's hubs is used or kept:
       where the new loop cannot have its own, the next wait raises OSError.
    3. When the interpreter ends, the hubs of daemon threads stand still, and the main one's is kept: nothing is
       destroyed for them. While modules are being cleared, what waits for others raises HubDestroyed; what waits for
       time or a descriptor does so natively.

What does not belong here: what a hub does while it lives.
"""

import atexit
import os
import sys
import threading
import time
import warnings
import weakref

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from posix.unistd cimport pause

from hub.arguments cimport seconds_of
from hub.at_exit import keep_modules
from hub.callbacks cimport Callback
from hub.errors import BlockingSwitchOutError, HubDestroyed
from hub.forks import in_child
from hub.greenlet_api cimport *
from hub.core cimport timer_t
from hub.loop cimport Job
from hub.native import get_ident, local as native_local, saved, sleep as native_sleep
from hub.ready cimport (
    NODE_ALARM, NODE_START, OUTCOME_TIMED_OUT, node_t, ready_pop, ready_push_front, ready_t, slot_t, wait_t,
)
from hub.scheduler cimport (
    AT_EXIT, LAST_TRIES, SWITCHES, HubGreenlet, Scheduler, ThrowJob, Wait, begin_fork, existing_hub, is_current,
    resume_of, set_current_hub,
)
from hub.scheduler import set_hub_maker
from hub.thrown cimport alarm_cancel, alarms_go_on, take_pending

__all__ = ["destroy", "existing_hubs", "go_on_in_child", "hub_of", "join", "set_hub_class"]

import_greenlet()

hub_class = None  # set by hub.hub
cdef bint exiting = False  # whether the functions of atexit are being called, or have been
hubs = weakref.WeakValueDictionary()  # all of this process, by their id
locals_of_thread = native_local()


# --- one hub per thread -----------------------------------------------------------------------------------------

class HubGuard:
    """Belongs to a thread's local data: destroys the thread's hub when the thread ends."""

    def __init__(self, hub):
        self.hub = hub
        self.process = os.getpid()

    def __del__(self, finalizing=sys.is_finalizing, getpid=os.getpid):
        hub = self.hub
        # Threads that a fork left behind, and what is left at the interpreter's end, are not cleaned up.
        if hub.destroyed or finalizing() or getpid() != self.process or not is_current(hub):
            return
        try:
            hub.destroy()
        except SystemExit:
            pass  # the thread ends as it is
        forget_dummy()


def forget_dummy():
    """The thread ends, and `threading` has forgotten it already: code that has run since may have asked who it is.

    The dummy thread that is made then would stay among the living, and complain at the end of the program.
    """
    if isinstance(threading._active.get(get_ident()), threading._DummyThread):
        try:
            del threading._thread_local_info._track_dummy_thread_ref  # it removes it, from CPython 3.13 on
        except AttributeError:
            pass
        threading._active.pop(get_ident(), None)


def make_hub():
    """Make the hub of the current thread (internal)."""
    hub = hub_class()
    locals_of_thread.guard = HubGuard(hub)
    set_current_hub(hub)
    hubs[id(hub)] = hub
    if exiting:
        keep_to_the_end(hub)
    return hub


cdef int keep_to_the_end(Scheduler hub) except -1:
    """The program ends: finalizers may use its hub to the very end; those that come too late to wait are refused."""
    Py_INCREF(hub)
    hub.restricted += AT_EXIT
    return 0


cdef object forget_hub():
    set_current_hub(None)
    try:
        del locals_of_thread.guard
    except AttributeError:
        pass


def set_hub_class(value):
    """Say which class get_hub() makes (internal)."""
    global hub_class
    hub_class = value


cdef list other_hubs():
    """The hubs of the other threads."""
    return [hub for hub in existing_hubs() if not is_current(hub)]


def existing_hubs():
    """The hubs of all threads of this process (list of Hub) that are not destroyed (internal)."""
    # In one step: other threads make and drop hubs meanwhile.
    found = [reference() for reference in hubs.valuerefs()]
    return [hub for hub in found if hub is not None and not hub.destroyed]


def hub_of(greenlet):
    """The hub of the thread that a greenlet of any kind belongs to, or None if that thread has none (internal)."""
    if isinstance(greenlet, HubGreenlet):
        return (<HubGreenlet> greenlet).scheduler
    Py_INCREF(greenlet)
    main = <object> main_above(<PyObject *> greenlet)
    Py_DECREF(main)
    for hub in existing_hubs():
        if hub.main is main:
            return hub
    return None


# --- the end of a hub: methods of Hub ---------------------------------------------------------------------------

def join(Scheduler self, timeout=None):
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
    if timeout is not None and seconds_of(timeout) < 0:
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


def destroy(Scheduler self, destroy_loop=None):
    """End every greenlet of this hub with HubDestroyed, close the loop, and forget the hub.

    Those that have not begun never will. One that catches HubDestroyed again and again is given up, with a
    RuntimeWarning. The next get_hub() of the thread makes a new hub. Call it from the main greenlet of the hub's
    thread, when the thread is done; it is called by itself when a thread ends. Calling it again does nothing.
    `destroy_loop` is accepted for compatibility: the loop always goes with its hub.
    Raises BlockingSwitchOutError anywhere else, and what was thrown at the main greenlet and not raised there yet.
    Switches to the greenlets that it ends.
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
    if self.destroying:
        return  # in a callback of the end itself
    self.destroying = True
    self.restricted += 1
    self.unfinished = []
    unfinished = []
    end_all(self, unfinished)
    try:
        self.on_destroy()
    except BaseException as error:
        self.report(self, error)
    end_all(self, unfinished)
    self.destroyed = True
    self.unfinished = None
    self.inbox_job.run()
    carry_out(self)
    self.loop_ends()
    self.loop.close()
    if is_current(self):
        forget_hub()
    try:
        raise_pending(self)
    finally:
        if unfinished:
            warn_of(unfinished)


cdef object the_end(Scheduler self):
    return HubDestroyed(f"{self!r} is being destroyed")


cdef int end_all(Scheduler self, list unfinished) except -1:
    """Let everything that is left come to its end. Who does not end is added to `unfinished`."""
    cdef int _
    for _ in range(LAST_TRIES):
        if self.inbox:
            self.inbox_job.run()
        for greenlet in list(self.to_start_later or ()):
            (<HubGreenlet> greenlet).end_unstarted(the_end(self))
        for parked in self.parked_waits():
            (<Wait> parked).throw_with(the_end(self))
        carry_out(self)
        while self.unfinished:
            greenlet = self.unfinished.pop()
            unfinished.append(greenlet)
            if isinstance(greenlet, HubGreenlet):
                (<HubGreenlet> greenlet).end_unfinished(the_end(self))
        if self.loop.core.ready.head == NULL and not self.inbox and self.parked == NULL:
            break
    return 0


cdef int carry_out(Scheduler self) except -1:
    """From the main greenlet, carry out what is ready at this moment."""
    cdef ready_t *ready = &self.loop.core.ready
    cdef long left = ready.length
    cdef node_t *node
    cdef PyObject *target
    cdef PyObject *result
    while left > 0:
        left -= 1
        node = ready_pop(ready)
        if node == NULL:
            break
        if node.kind <= NODE_ALARM:
            if resume_of(node, &target) == NULL:
                continue
            result = hub_greenlet_switch(target)
            # It comes back here when the greenlet ends or is given up: its parent, the hub, ends at once.
            if result == NULL:
                self.hub_goes_on()
            else:
                Py_DECREF(<object> result)
        elif node.kind == NODE_START:
            greenlet = <object> node.object
            ready_push_front(ready, node)
            (<HubGreenlet> greenlet).end_unstarted(the_end(self))
        else:
            job = <object> node.object
            if isinstance(job, (Callback, ThrowJob)) or job is self.inbox_job:  # not a watcher's
                try:
                    (<Job> job).run()
                except BaseException as error:
                    self.report(job, error)
    return 0


cdef int raise_pending(Scheduler self) except -1:
    """Raise what was to be raised in the main greenlet when it waited next: the last, in the context of the others."""
    cdef slot_t *slot = &self.main_slot
    while slot.pending != NULL and slot.pending.alarm != NULL:
        alarm_cancel(slot.pending.alarm)
    if slot.pending != NULL:
        try:
            raise take_pending(slot)
        finally:
            raise_pending(self)
    return 0


cdef int warn_of(list unfinished) except -1:
    names = ", ".join([repr(greenlet) for greenlet in unfinished[:10]])
    if len(unfinished) > 10:
        names += f" and {len(unfinished) - 10} more"
    warnings.warn(
        f"caught HubDestroyed {LAST_TRIES} times and waited again; they never go on: {names}", RuntimeWarning, 2
    )
    return 0


def go_on_in_child(Scheduler self):
    """In a forked child: go on with a new loop, and with the greenlet that forked only (internal).

    Like threads, the other greenlets stay behind in the parent: what they wait for belongs to it. The main one does
    so too, if it is not the one that forked. The process then ends when nothing is left to do.
    """
    cdef PyObject *current = running_greenlet()
    cdef wait_t *wait = self.parked
    cdef timer_t *timers
    self.principal = None if current is <PyObject *> self else <object> current
    while wait != NULL:
        if wait.greenlet is not current:
            # Nothing here wakes it, not even what it shares memory with. It can be killed.
            wait.left_behind = True
            wait.timer = NULL
            wait.references = False
        wait = wait.next_parked
    self.thread_ident = get_ident()
    self.inbox = []
    self.to_start_later = None
    self.budget = SWITCHES
    timers = self.loop.leave_behind(current)
    alarms_go_on(timers, current, self.loop)
    try:
        self.loop.begin_in_child()
        # Forked in the middle of a wait, by a signal handler or finalizer, or in a block with a Timeout.
        wait = self.parked
        while wait != NULL:
            if wait.greenlet is current:
                self.wait_on(wait)
            wait = wait.next_parked
    except OSError as error:
        # No descriptors are left. The next wait tries again, and raises that; those of the parent are not used.
        self.loop_ends()
        for parked in self.parked_waits():
            if (<Wait> parked).c.greenlet is current:
                (<Wait> parked).throw_with(error)


# --- forks, and the end of the process --------------------------------------------------------------------------

cdef int leave_to_parent(Scheduler hub) except -1:
    """In a forked child: the hub of another thread has ended here, with all of its greenlets."""
    hub.loop_ends()
    hub.destroying = hub.destroyed = True
    hub.loop.leave_to_parent()
    return 0


def after_fork_in_child():
    """For os.register_at_fork."""
    begin_fork()
    hub = existing_hub()
    for other in [reference() for reference in hubs.valuerefs()]:
        if other is not None and other is not hub:
            leave_to_parent(other)
    hubs.clear()
    if hub is not None:
        hubs[id(hub)] = hub
        guard = getattr(locals_of_thread, "guard", None)
        if guard is not None:  # else the thread is ending, and a greenlet forks in its last steps
            guard.process = os.getpid()
        hub.after_fork_in_child()


def stand_still(list still):
    """Never run Python again in this thread (internal)."""
    still.append(get_ident())
    with nogil:
        while True:
            pause()


def end_program():
    """For atexit: let the hubs of daemon threads stand still.

    When the interpreter ends, CPython (before 3.14) ends a thread that asks for the GIL by unwinding its stack, and on
    the stack of a greenlet that crashes. A thread that is busy in Python code then has a tenth of a second to wait.
    """
    global exiting
    still = []
    others = other_hubs()
    exiting = True
    keep_modules()
    if existing_hub() is None and saved:
        try:
            make_hub()  # a finalizer of a patched program that waits could not make it
        except OSError:
            pass  # no descriptors: it gets HubDestroyed
    elif existing_hub() is not None:
        keep_to_the_end(existing_hub())
    for hub in others:
        hub.run_callback_threadsafe(stand_still, still)
    end = time.monotonic() + 0.1
    while len(still) < len(others) and time.monotonic() < end:
        native_sleep(0.001)


set_hub_maker(make_hub)
in_child(after_fork_in_child)
atexit.register(end_program)
