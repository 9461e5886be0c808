"""One hub per thread: it is made on first use, other threads can find it, and it goes on in a forked child.

Rules
    1. An object in the thread's local data destroys the thread's hub when the thread ends.
    2. In a forked child the hub of the thread that forked goes on with a new loop. It keeps only the greenlet that
       forked, with its wait and its Timeouts. All other hubs have ended there. No descriptor of the parent's hubs is
       used or kept: if there are too few descriptors for the new loop, the next wait raises OSError.
    3. When the interpreter ends, the hubs of daemon threads stand still, and the main thread's hub is kept. Neither is
       destroyed. While modules are being cleared, waiting for other greenlets raises HubDestroyed. Waiting for time or
       a descriptor makes the thread itself wait.

What does not belong here: the work of a hub while it lives, and its end (hub.ending).
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
from hub.thrown cimport alarms_restart
from hub.timers cimport timer_start, timer_t, timer_take
from hub.turns cimport SWITCHES
from hub.waits cimport AT_EXIT, Wait

__all__ = ["existing_hubs", "go_on_in_child", "hub_of", "set_hub_class"]

import_greenlet()

hub_class = None  # set by hub.hub
cdef bint exiting = False  # whether the functions of atexit are being called, or have been
hubs = weakref.WeakValueDictionary()  # id -> hub, of all threads of this process
locals_of_thread = native_local()


# --- one hub per thread -----------------------------------------------------------------------------------------

class HubGuard:
    """Belongs to a thread's local data: destroys the thread's hub when the thread ends."""

    def __init__(self, hub):
        self.hub = hub
        self.process = os.getpid()

    def __del__(self, finalizing=sys.is_finalizing, getpid=os.getpid):
        hub = self.hub
        # Nothing is destroyed for a thread that a fork has left behind, nor at the end of the interpreter.
        if hub.destroyed or finalizing() or getpid() != self.process or not is_current(hub):
            return
        try:
            hub.destroy()
        except SystemExit:
            pass  # the thread is ending anyway
        forget_dummy_thread()


def forget_dummy_thread():
    """Remove the dummy thread that `threading` may have made for the current thread, which is ending.

    `threading` has forgotten the thread already. Code of its last greenlets may have called current_thread() since,
    which makes a dummy. The dummy would count as alive for ever, and raise an error at the end of the program.
    """
    if isinstance(threading._active.get(get_ident()), threading._DummyThread):
        try:
            del threading._thread_local_info._track_dummy_thread_ref  # from CPython 3.13 on, its finalizer removes it
        except AttributeError:
            pass
        threading._active.pop(get_ident(), None)


def make_hub():
    """Make the hub of the current thread (internal)."""
    hub = hub_class()
    if get_hub_if_exists() is not None:
        close_unused(hub)  # a finalizer that ran meanwhile has needed a hub, and made one
        return
    locals_of_thread.guard = HubGuard(hub)
    set_hub_of_thread(hub)
    hubs[id(hub)] = hub
    if exiting:
        keep_until_exit(hub)
    return hub


cdef int close_unused(Scheduler hub) except -1:
    """Close a hub that nothing has used."""
    hub.destroying = hub.destroyed = True
    hub.loop.close()
    return 0


cdef int keep_until_exit(Scheduler hub) except -1:
    """Keep a hub until the process ends, for finalizers: the program ends. From now on a wait may be refused."""
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
    """Set the class of hubs that get_hub() makes (internal)."""
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
    """The hub of the thread to which a greenlet of any kind belongs, or None if that thread has none (internal)."""
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

    Like threads, the other greenlets stay behind in the parent, to which the things belong that they wait for. So does
    the main greenlet, unless it is the one that forked. If it stays behind, the child ends when nothing is left to do.
    """
    cdef PyObject *current = running_greenlet()
    cdef wait_t *wait = hub.parked
    cdef timer_t *timers
    hub.principal = None if current is <PyObject *> hub else <object> current
    while wait != NULL:
        if wait.greenlet is not current:
            # Nothing in the child wakes it, not even through shared memory. It can be killed.
            wait.left_behind = True
            wait.timer = NULL
            wait.references = False
        wait = wait.next_parked
    hub.thread_ident = get_ident()
    hub.inbox = []
    hub.to_start_later = None
    hub.turns.budget = SWITCHES
    timers = hub.loop.leave_behind(current)
    alarms_restart(timers, current, hub.loop)
    try:
        hub.loop.begin_in_child()
        # The greenlet has waits if a signal handler or a finalizer has forked in the middle of them.
        wait = hub.parked
        while wait != NULL:
            if wait.greenlet is current:
                move_wait(hub, wait)
            wait = wait.next_parked
    except OSError as error:
        # Too few descriptors are left. The next wait tries again to make the loop.
        hub.forget_wait_timers()
        for parked in hub.parked_waits():
            if (<Wait> parked).c.greenlet is current:
                (<Wait> parked).throw_with(error)


cdef int move_wait(Scheduler hub, wait_t *wait) except -1:
    """In a forked child: let a wait of the current greenlet go on, on the new loop."""
    cdef timer_t *timer = wait.timer
    cdef watch_t *watch
    cdef bint has_come
    hub.loop.core.references += wait.references
    if timer == NULL and wait.events and wait.due:
        # The wait has used the timer of the socket's deadline, with which greenlets of the parent wait, too.
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
            # The descriptor is closed, or always ready. The greenlet's own system call tells which.
            if not wait_wake(wait, OUTCOME_READY):
                wait_release(wait)
        else:
            fifo_append(&watch.readers if wait.events == 1 else &watch.writers, &wait.link)
    return 0


cdef int leave_to_parent(Scheduler hub) except -1:
    """In a forked child: end the hub of another thread, whose greenlets are all the parent's."""
    hub.forget_wait_timers()
    hub.destroying = hub.destroyed = True
    hub.loop.leave_to_parent()
    return 0


def after_fork_in_child():
    """Put the hubs in order in a forked child: see hub.forks."""
    begin_fork()
    hub = get_hub_if_exists()
    for other in [reference() for reference in hubs.valuerefs()]:
        if other is not None and other is not hub:
            leave_to_parent(other)
    hubs.clear()
    if hub is not None:
        hubs[id(hub)] = hub
        guard = getattr(locals_of_thread, "guard", None)
        if guard is not None:  # it is None if the thread is ending, and one of its last greenlets forks
            guard.process = os.getpid()
        hub.after_fork_in_child()


# --- the end of the process -------------------------------------------------------------------------------------

def stand_still(list still):
    """Stop this thread for good, without the GIL, and add its identity to a list (internal)."""
    still.append(get_ident())
    with nogil:
        while True:
            pause()


def end_program():
    """For atexit: prepare hubs for the end of the interpreter, and let the daemon threads that have hubs stand still.

    CPython before 3.14 ends a thread that asks for the GIL too late by unwinding its stack. On the stack of a greenlet
    that is a crash. A thread that is busy in Python code gets a tenth of a second to come to its hub.
    """
    global exiting
    still = []
    expected = 0
    others = other_hubs()
    exiting = True
    keep_modules()
    if get_hub_if_exists() is None and saved:
        try:
            make_hub()  # later it would be too late, and finalizers of a patched program may need one to wait
        except OSError:
            pass  # too few descriptors: such a finalizer gets HubDestroyed
    elif get_hub_if_exists() is not None:
        keep_until_exit(get_hub_if_exists())
    for hub in others:
        try:
            hub.run_callback_threadsafe(stand_still, still)
        except HubDestroyed:
            continue  # its thread has just ended
        expected += 1
    end = time.perf_counter() + 0.1
    while len(still) < expected and time.perf_counter() < end:
        native_sleep(0.001)


set_hub_maker(make_hub)
in_child(after_fork_in_child)
atexit.register(end_program)
