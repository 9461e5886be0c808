"""Which thread is this? The answer of the standard library's `threading` when greenlets stand in for threads.

Rules
    1. The main greenlet of a native thread has the identifier of that thread. So identifiers that were noted before
       patching, above all the main thread's, stay true. The hub, which runs callbacks for all greenlets, counts as the
       main greenlet.
    2. Any other greenlet has an identifier of its own: its address, which no thread has.
"""

import errno
import os
import weakref

from cpython.object cimport PyObject
from cython cimport binding

from hub.forks import in_child

from hub.greenlet_api cimport hub_greenlet_is_main, import_greenlet, running_greenlet
from hub.greenlets cimport HubGreenlet
from hub.scheduler cimport Scheduler

cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident()

cdef extern from "Python.h":
    ctypedef struct PyInterpreterState:
        pass
    ctypedef struct PyThreadState:
        unsigned long thread_id
    PyInterpreterState *PyInterpreterState_Get()
    PyThreadState *PyInterpreterState_ThreadHead(PyInterpreterState *)
    PyThreadState *PyThreadState_Next(PyThreadState *)

import_greenlet()

__all__ = [
    "add_started_thread", "add_unstarted_thread", "at_end", "get_ident", "in_thread", "is_native", "native_ident",
    "thread_greenlets",
]  # fmt: skip

threads = weakref.WeakValueDictionary()  # the greenlets that stand for threads, by their identifiers
others = weakref.WeakValueDictionary()  # greenlets that `threading` takes for threads, but has not started
cdef dict foreign = {}  # (id of a greenlet that is not ours, key) -> a weak reference, whose callback notes the end


cdef bint stands_for_thread(PyObject *greenlet) noexcept:
    return hub_greenlet_is_main(greenlet) or isinstance(<object> greenlet, Scheduler)


@binding(False)  # as an attribute of a class it stays a function and does not become a method
def get_ident():
    """The identifier of the current greenlet (int), unique among living greenlets and threads. Does not switch."""
    cdef PyObject *current = running_greenlet()
    if stands_for_thread(current):
        return PyThread_get_thread_ident()
    return <size_t> current


def is_native():
    """Whether the current greenlet is the main one of a native thread, or its hub (bool)."""
    return stands_for_thread(running_greenlet())


def add_started_thread(HubGreenlet greenlet not None):
    """Let a greenlet stand for a thread that the program starts: in_thread() and native_ident() know it."""
    threads[<size_t> <PyObject *> greenlet] = greenlet


def add_unstarted_thread():
    """Add the current greenlet to thread_greenlets(): `threading` takes it for a thread that it has not started."""
    cdef PyObject *current = running_greenlet()
    if not stands_for_thread(current):
        others[<size_t> current] = <object> current


def thread_greenlets():
    """The greenlets that the program takes for threads, with their identifiers: a list of (int, greenlet).

    Some may not have begun, or may have ended.
    """
    found = [reference() for reference in (*threads.valuerefs(), *others.valuerefs())]
    return [(id(greenlet), greenlet) for greenlet in found if greenlet is not None]


def in_thread():
    """Whether the current greenlet stands for a thread that is not the main one (bool)."""
    current = <object> running_greenlet()
    if threads.get(<size_t> <PyObject *> current) is not current:
        return False
    return (<HubGreenlet> current).scheduler.principal is not current  # in a child that it forked, it is the main one


def native_ident(ident):
    """The identifier of the native thread in which the thread with identifier `ident` (int) runs.

    Raises ProcessLookupError if there is no such thread.
    """
    cdef HubGreenlet found = threads.get(ident)
    if found is not None and not found.dead:
        return found.scheduler.thread_ident
    if ident not in native_idents():
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return ident


cdef list native_idents():
    """The identifiers of all native threads: sys._current_frames() has none whose hub runs the loop, with no frame."""
    cdef list idents = []
    cdef PyThreadState *state = PyInterpreterState_ThreadHead(PyInterpreterState_Get())
    while state != NULL:
        idents.append(state.thread_id)
        state = PyThreadState_Next(state)
    return idents


def at_end(greenlet, key, function):
    """Call ``function()`` when a greenlet has finished. Does not switch.

    For each `key` (hashable), only the last function given is called, once. For a greenlet that this library did not
    make, that is when the greenlet is collected.
    """
    cdef HubGreenlet ours
    if isinstance(greenlet, HubGreenlet):
        ours = <HubGreenlet> greenlet
        if ours.at_end is None:
            ours.at_end = {}
        ours.at_end[key] = function
        return
    entry = (id(greenlet), key)

    def collected(_reference):
        if foreign.pop(entry, None) is not None:
            function()

    foreign[entry] = weakref.ref(greenlet, collected)


def leave_threads_behind():
    """In a forked child: forget all greenlets but the one that forked, which alone goes on."""
    cdef PyObject *current = running_greenlet()
    for each in (threads, others):
        for ident in list(each):
            if ident != <size_t> current:
                each.pop(ident, None)


in_child(leave_threads_behind)
