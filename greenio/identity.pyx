"""Which thread is this? The answer of the standard library's `threading` when greenlets stand in for threads.

Rules
    1. The main greenlet of a native thread has the identifier of that thread, so that what was noted before patching,
       the identifier of the main thread above all, stays true. The hub, which calls back for all, counts as it.
    2. Any other greenlet has one of its own: its address, which no thread has.
"""

import weakref

from cpython.object cimport PyObject
from cython cimport binding

from hub.greenlet_api cimport hub_greenlet_is_main, import_greenlet, running_greenlet
from hub.scheduler cimport HubGreenlet, Scheduler

cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident()

import_greenlet()

__all__ = ["at_end", "get_ident", "is_native"]

cdef dict foreign = {}  # (id of a greenlet that is not ours, key) -> the weak reference that tells of its end


cdef bint stands_for_thread(PyObject *greenlet) noexcept:
    return hub_greenlet_is_main(greenlet) or isinstance(<object> greenlet, Scheduler)


@binding(False)  # as an attribute of a class it is what it was: a function, and no method
def get_ident():
    """The identifier of the current greenlet (int), unique among greenlets and threads that are alive."""
    cdef PyObject *current = running_greenlet()
    if stands_for_thread(current):
        return PyThread_get_thread_ident()
    return <size_t> current


def is_native():
    """Whether the caller is a native thread itself, its main greenlet or its hub, and not a greenlet in one (bool)."""
    return stands_for_thread(running_greenlet())


def at_end(greenlet, key, function):
    """Call ``function()`` when a greenlet has finished; once for each `key`, the last one given. Does not switch.

    Of a greenlet that this library did not make, it is called when that is collected.
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
