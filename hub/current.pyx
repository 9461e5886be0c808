"""The current thread and its process: the thread's hub, and facts about other threads and forks that hubs need.

A thread's hub is made on first use, and kept in a variable of which each thread has its own. Code that has no hub at
hand finds it here. Code that only the hub's own thread may run is checked against this variable.

What does not belong here: the classes of a hub, which are built on this; how a hub is made, and when it ends
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
    /* The hub of this thread. Borrowed: the thread's HubGuard owns it. */
    static __thread PyObject *hub_current = NULL;

    /* How many threads only wait for work from the library. They wake nobody of themselves. */
    static long hub_idle_threads = 0;

    /* Whether this process has another thread that is not one of those. */
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
cdef object hub_maker = None  # the function that makes the current thread's hub; hub.threads sets it
cdef object too_late = HubDestroyed


# --- the hub of the current thread ------------------------------------------------------------------------------
# Compiled modules get it as a Scheduler from current_hub() and its relatives in hub/scheduler.pxd.

cdef PyObject *hub_of_thread() noexcept:
    """The hub of the current thread, borrowed, or NULL."""
    return hub_current


cdef PyObject *new_hub() except NULL:
    """Make the hub of the current thread. Returns it borrowed: the thread owns it."""
    if interpreter_ends():
        raise too_late("the interpreter is shutting down: no new hub can be made")
    hub_maker()
    return hub_current


cdef void set_hub_of_thread(object hub) noexcept:
    """Set the hub of the current thread; None: it has none."""
    global hub_current
    hub_current = NULL if hub is None else <PyObject *> hub


def set_hub_maker(function):
    """Set the function that makes the hub of the current thread, and calls set_hub_of_thread() (internal)."""
    global hub_maker
    hub_maker = function


def get_hub():
    """The hub of the current thread (a `Hub`), made on first use. Does not switch.

    Raises HubDestroyed when the interpreter is shutting down and there is no hub, OSError if a new hub cannot have the
    descriptors that it needs.
    """
    return <object> (new_hub() if hub_current == NULL else hub_current)


def get_hub_if_exists():
    """The hub of the current thread, or None if it has none. Does not switch."""
    return None if hub_current == NULL else <object> hub_current


def hub_if_any():
    """The hub of the current thread, or None if it has none (internal). For the main thread it is made if need be."""
    return get_hub() if hub_current != NULL or is_main_thread() else None


# --- threads ----------------------------------------------------------------------------------------------------

cdef bint is_main_thread() noexcept:
    return <unsigned long> PyThread_get_thread_ident() == main_thread_ident


cdef bint other_threads() noexcept:
    """Whether another thread may wake this one. Threads that only wait for work from the library do not count."""
    return hub_other_threads()


def count_idle_thread(int change):
    """Count one more (`change` 1) or one less (-1) thread that only waits for work from the library (internal).

    Such a thread does not keep a hub waiting that nothing else could wake.
    """
    global hub_idle_threads
    hub_idle_threads += change


# --- forks ------------------------------------------------------------------------------------------------------

cpdef unsigned long fork_count() noexcept:
    """How many forks lie between the process that imported the library and this one (int) (internal)."""
    return hub_forks


cdef int begin_fork() except -1:
    """In a forked child: count the fork. The child's only thread is its main thread."""
    global hub_forks, hub_idle_threads, main_thread_ident
    hub_forks += 1
    hub_idle_threads = 0
    main_thread_ident = get_ident()
    return 0


cdef object end_process():
    """End a forked child in which nothing is left to do and no greenlet stands for the thread."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # it is closed, or None
    os._exit(0)


# --- the end of the interpreter ---------------------------------------------------------------------------------

cpdef bint interpreter_ends() noexcept:
    """Whether the interpreter is being finalized (bool) (internal): it clears modules, and no greenlet runs."""
    return hub_is_finalizing()


cdef int raise_no_greenlet() except -1:
    """Raise the reason why greenlet did not return the current greenlet: HubDestroyed, or the error that it has set."""
    if interpreter_ends():
        PyErr_Clear()
        raise too_late("the interpreter is shutting down: nothing can be waited for any more")
    hub_failed()
