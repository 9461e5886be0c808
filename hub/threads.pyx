"""One hub per thread: made on first use, found by other threads, and gone on with in a forked child.

Rules
    1. A thread's hub is destroyed with the thread, by an object in the thread's own local data.
    2. In a forked child the hub of the thread that forked goes on, with only the greenlet that forked, its wait and its
       Timeouts, and a new loop. All other hubs have ended there. No descriptor of the parent's hubs is used or kept: if
       the new loop cannot have its own, the next wait raises OSError.
    3. When the interpreter ends, the hubs of daemon threads stand still, and the main one's is kept: nothing is
       destroyed for them. While modules are being cleared, waiting for other greenlets raises HubDestroyed; waiting for
       time or a descriptor happens natively.

What does not belong here: what a hub does while it lives, and how it ends (hub.ending).
"""

import atexit
import os
import sys
import threading
import time
import weakref

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from posix.unistd cimport pause

from hub.at_exit import keep_modules
from hub.current cimport begin_fork, set_hub_of_thread
from hub.current import get_hub_if_exists, set_hub_maker
from hub.deadlines cimport on_descriptor_timer
from hub.errors import HubDestroyed
from hub.forks import in_child
from hub.greenlet_api cimport *
from hub.core cimport watch_t
from hub.greenlets cimport HubGreenlet
from hub.native import get_ident, local as native_local, saved, sleep as native_sleep
from hub.ready cimport (
    OUTCOME_READY, WAIT_WAITING, fifo_append, fifo_remove, wait_release, wait_t, wait_wake,
)
from hub.scheduler cimport Scheduler, is_current
from hub.thrown cimport alarms_go_on
from hub.timers cimport timer_start, timer_t, timer_take
from hub.turns cimport SWITCHES
from hub.waits cimport AT_EXIT, Wait

__all__ = ["existing_hubs", "go_on_in_child", "hub_of", "set_hub_class"]

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
    """The thread ends, and `threading` has forgotten it; code that has run since may have asked for the current thread.

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
    if get_hub_if_exists() is not None:
        end_unused(hub)  # a finalizer that ran meanwhile needed a hub, and has made the thread's
        return
    locals_of_thread.guard = HubGuard(hub)
    set_hub_of_thread(hub)
    hubs[id(hub)] = hub
    if exiting:
        keep_to_the_end(hub)
    return hub


cdef int end_unused(Scheduler hub) except -1:
    """Nobody has seen this hub, and nobody will use it."""
    hub.destroying = hub.destroyed = True
    hub.loop.close()
    return 0


cdef int keep_to_the_end(Scheduler hub) except -1:
    """The program ends: finalizers may use its hub to the very end; those that come too late to wait are refused."""
    Py_INCREF(hub)
    hub.restricted += AT_EXIT
    return 0


cdef object forget_hub():
    set_hub_of_thread(None)
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


# --- forks ------------------------------------------------------------------------------------------------------

def go_on_in_child(Scheduler hub):
    """In a forked child: go on with a new loop, and with the greenlet that forked only (internal).

    Like threads, the other greenlets stay behind in the parent: what they wait for belongs to it. The main one does
    so too, if it is not the one that forked. The process then ends when nothing is left to do.
    """
    cdef PyObject *current = running_greenlet()
    cdef wait_t *wait = hub.parked
    cdef timer_t *timers
    hub.principal = None if current is <PyObject *> hub else <object> current
    while wait != NULL:
        if wait.greenlet is not current:
            # Nothing here wakes it, not even what it shares memory with. It can be killed.
            wait.left_behind = True
            wait.timer = NULL
            wait.references = False
        wait = wait.next_parked
    hub.thread_ident = get_ident()
    hub.inbox = []
    hub.to_start_later = None
    hub.turns.budget = SWITCHES
    timers = hub.loop.leave_behind(current)
    alarms_go_on(timers, current, hub.loop)
    try:
        hub.loop.begin_in_child()
        # Forked in the middle of a wait, by a signal handler or finalizer, or in a block with a Timeout.
        wait = hub.parked
        while wait != NULL:
            if wait.greenlet is current:
                wait_on(hub, wait)
            wait = wait.next_parked
    except OSError as error:
        # No descriptors are left. The next wait tries again, and raises that; those of the parent are not used.
        hub.loop_ends()
        for parked in hub.parked_waits():
            if (<Wait> parked).c.greenlet is current:
                (<Wait> parked).throw_with(error)


cdef int wait_on(Scheduler hub, wait_t *wait) except -1:
    """In a forked child: what the current greenlet waits for, it waits for on the new loop."""
    cdef timer_t *timer = wait.timer
    cdef watch_t *watch
    cdef bint has_come
    hub.loop.core.references += wait.references
    if timer == NULL and wait.events and wait.due:
        # It was the socket's, which others in the parent wait for, too.
        timer = timer_take(&hub.loop.core.timers)
        timer.target = wait
        timer.fire = on_descriptor_timer
        wait.timer = timer
    if timer != NULL and wait.state == WAIT_WAITING:
        timer_start(timer, wait.due)
    if wait.events and wait.link.fifo != NULL:
        fifo_remove(&wait.link)
        try:
            watch = hub.loop.watch_of(wait.fd)
            wait.generation = watch.generation
            has_come = hub.loop.watch_want(watch, wait.events)
        except OSError:
            has_come = True
        if has_come:
            # Closed, or always ready: its own system call tells.
            if not wait_wake(wait, OUTCOME_READY):
                wait_release(wait)
        else:
            fifo_append(&watch.readers if wait.events == 1 else &watch.writers, &wait.link)
    return 0


cdef int leave_to_parent(Scheduler hub) except -1:
    """In a forked child: the hub of another thread has ended here, with all of its greenlets."""
    hub.loop_ends()
    hub.destroying = hub.destroyed = True
    hub.loop.leave_to_parent()
    return 0


def after_fork_in_child():
    """For os.register_at_fork."""
    begin_fork()
    hub = get_hub_if_exists()
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


# --- the end of the process -------------------------------------------------------------------------------------

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
    expected = 0
    others = other_hubs()
    exiting = True
    keep_modules()
    if get_hub_if_exists() is None and saved:
        try:
            make_hub()  # a finalizer of a patched program that waits could not make it
        except OSError:
            pass  # no descriptors: it gets HubDestroyed
    elif get_hub_if_exists() is not None:
        keep_to_the_end(get_hub_if_exists())
    for hub in others:
        try:
            hub.run_callback_threadsafe(stand_still, still)
        except HubDestroyed:
            continue  # its thread ends just now
        expected += 1
    end = time.perf_counter() + 0.1
    while len(still) < expected and time.perf_counter() < end:
        native_sleep(0.001)


set_hub_maker(make_hub)
in_child(after_fork_in_child)
atexit.register(end_program)
