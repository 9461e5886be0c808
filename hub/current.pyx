"""The current thread and its process: the thread's hub, and what a hub has to know of other threads and forks.

A thread's hub is made on first use, and kept in a variable that each thread has for itself. Code that has no hub at
hand finds it here. Code that may run in the hub's own thread only is checked against it.

What does not belong here: what a hub is, as the classes of a hub stand above this; how one is made, and when it ends
(hub.threads).
"""

import os
import sys
import threading

from cpython.exc cimport PyErr_Clear
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_get_thread_ident

from hub.errors import HubDestroyed
from hub.greenlet_api cimport hub_failed
from hub.native import get_ident

__all__ = [
    "count_idle_thread", "fork_count", "get_hub", "get_hub_if_exists", "hub_if_any", "interpreter_ends",
    "set_hub_maker",
]

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

cdef unsigned long hub_forks = 0
cdef unsigned long main_thread_ident = threading.main_thread().ident
# Not among the module's globals, which are gone when finalizers run at the end of the interpreter.
cdef object hub_maker = None  # makes the current thread's hub: hub.threads says
cdef object too_late = HubDestroyed


# --- the hub of the current thread ------------------------------------------------------------------------------
# Compiled modules that want it as a Scheduler take current_hub() and its like from hub.scheduler.

cdef PyObject *hub_of_thread() noexcept:
    """The hub of the current thread, borrowed, or NULL."""
    return hub_current


cdef PyObject *new_hub() except NULL:
    """Make the hub of the current thread; borrowed, as the thread owns it."""
    if interpreter_ends():
        raise too_late("the interpreter is shutting down: no new hub can be made")
    hub_maker()
    return hub_current


cdef void set_hub_of_thread(object hub) noexcept:
    """Set the hub of the current thread, or for None forget it."""
    global hub_current
    hub_current = NULL if hub is None else <PyObject *> hub


def set_hub_maker(function):
    """Say what makes the hub of a thread that has none yet, and sets it (internal)."""
    global hub_maker
    hub_maker = function


def get_hub():
    """The hub of the current thread (a `Hub`), made on first use. Does not switch."""
    return <object> (new_hub() if hub_current == NULL else hub_current)


def get_hub_if_exists():
    """The hub of the current thread, or None if it has none. Does not switch."""
    return None if hub_current == NULL else <object> hub_current


def hub_if_any():
    """The hub of the current thread, or None if it has none. The main thread always gets one, made if need be."""
    return get_hub() if hub_current != NULL or is_main_thread() else None


# --- threads ----------------------------------------------------------------------------------------------------

cdef bint is_main_thread() noexcept:
    return <unsigned long> PyThread_get_thread_ident() == main_thread_ident


cdef bint other_threads() noexcept:
    """Whether another thread may do something for this one: threads that only wait for our work do not count."""
    return hub_other_threads()


def count_idle_thread(int change):
    """Count one more (1) or one less (-1) thread that waits for nothing but work from this library (internal).

    A hub that nothing else could wake does not wait for such threads.
    """
    global hub_idle_threads
    hub_idle_threads += change


# --- forks ------------------------------------------------------------------------------------------------------

cpdef unsigned long fork_count() noexcept:
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
    """End a forked child that has nothing left to do, and whose main greenlet stayed behind in the parent."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # closed, or none at all
    os._exit(0)


# --- the end of the interpreter ---------------------------------------------------------------------------------

cpdef bint interpreter_ends() noexcept:
    """Whether the interpreter is being finalized: modules are cleared, and nothing can wait any more."""
    return hub_is_finalizing()


cdef int no_greenlet() except -1:
    """Raise why the current greenlet is not known: greenlet has set an error, or the interpreter is ending."""
    if interpreter_ends():
        PyErr_Clear()
        raise too_late("the interpreter is shutting down: nothing can be waited for any more")
    hub_failed()
