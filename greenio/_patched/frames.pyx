"""The frames of threads that are greenlets: for debuggers, error reports, and finding out why a program hangs.

`sys._current_frames()` knows native threads. For each it has the frame that runs there, whichever greenlet that belongs
to. Here each thread of the program has an entry of its own, under the identifier that `threading` has for it, with the
frame in which it runs or waits. Nothing is recorded for this; greenlet knows the frames.

Rules
    1. No other native thread may run between asking CPython and asking greenlet, so no Python code runs in between.
    2. Greenlets of other native threads are looked at too. The GIL makes that safe: they do not switch meanwhile.
    3. A greenlet that is not a thread of the program has an entry only while it runs.
"""

from greenlet import getcurrent
from hub import native
from hub.threads import existing_hubs, hub_of

from cpython.object cimport PyObject
from hub.greenlet_api cimport hub_greenlet_is_active, import_greenlet
from hub.scheduler cimport Scheduler

from greenio._patched.identity import get_ident, thread_greenlets

cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident()

import_greenlet()

__all__ = ["current_exceptions", "current_frames"]

cdef object native_frames = native.original("sys", "_current_frames")
cdef object native_exceptions = native.original("sys", "_current_exceptions")


def current_frames():
    """As sys._current_frames(): the topmost frames of all threads, by their identifiers (dict of int to frame).

    Threads that are greenlets have entries too, in whichever native thread they live. A greenlet that is not a thread
    has one if it is the current greenlet, under its get_ident(), or if it runs in another native thread, under a number
    of its own. A thread that has not begun, or has ended, has none. Does not switch.
    """
    cdef Scheduler hub
    cdef list hubs = existing_hubs()
    # Each with the identifier of its native thread.
    cdef list greenlets = [(ident, each, native_ident_of(each)) for ident, each in thread_greenlets()]
    cdef dict frames = native_frames()
    cdef dict running = {}  # identifier of a native thread -> the frame that runs there, and has no entry yet
    mine = frames.get(PyThread_get_thread_ident())
    for hub in hubs:
        runs = frames.pop(hub.thread_ident, None)
        if hub.principal is hub.main and hub.main.gr_frame is not None:
            frames[hub.thread_ident] = hub.main.gr_frame
        elif hub.principal is hub.main and runs_now(hub.main):
            frames[hub.thread_ident], runs = runs, None
        if runs is not None:
            running[hub.thread_ident] = runs
    for ident, each, native_ident in greenlets:
        frame = each.gr_frame
        if frame is None and runs_now(each):
            frame = running.pop(native_ident, None)
        if frame is not None:
            frames[ident] = frame
    running.pop(PyThread_get_thread_ident(), None)
    if mine is not None:
        frames.setdefault(get_ident(), mine)
    for frame in running.values():
        frames[number_of(frame)] = frame
    return {ident: frame for ident, frame in frames.items() if frame is not None}


cdef bint runs_now(object greenlet):
    """Whether a greenlet without a suspended frame is the one that runs in its native thread."""
    return hub_greenlet_is_active(<PyObject *> greenlet)


cdef object native_ident_of(object greenlet):
    cdef Scheduler hub = hub_of(greenlet)
    return None if hub is None else hub.thread_ident


cdef object number_of(object frame):
    """A number for the greenlet that runs a frame: the same while its function runs, and unlike any identifier."""
    while frame.f_back is not None:
        frame = frame.f_back
    return id(frame)


def current_exceptions():
    """As sys._current_exceptions(): the exception that each thread handles, by identifier. Does not switch.

    The exceptions that suspended greenlets handle are not known. Of the greenlets in one native thread, only the one
    that runs has an entry; the current greenlet has it under its get_ident().
    """
    cdef dict exceptions = native_exceptions()
    cdef unsigned long here = PyThread_get_thread_ident()
    if here in exceptions and getcurrent().parent is not None:
        exceptions[get_ident()] = exceptions.pop(here)
    return exceptions
