# Functions for the hub greenlet to call, and the part of a hub that calls them. See callbacks.pyx.

from cpython.object cimport PyObject
from cython cimport final

from hub.greenlet_api cimport greenlet
from hub.loop cimport Job, Loop


@final
cdef class Callback(Job):
    cdef CallingHub hub
    cdef readonly object callback  # None when it has run or was stopped
    cdef readonly tuple args


cdef class CallingHub(greenlet):
    cdef readonly Loop loop
    cdef readonly object main            # the main greenlet of the thread
    cdef readonly object principal       # stands for the thread: the main one; in a child, the one that forked; or None
    cdef readonly unsigned long thread_ident
    cdef list inbox                      # requests of other threads: (function, arguments) to call, and waits to wake
    cdef Job inbox_job
    cdef object callback                 # the function or job that the hub greenlet calls now, or None
    cdef PyObject *starting              # the greenlet that is being started, until it has begun, or NULL; owned
    cdef set to_start_later              # greenlets that a timer will start, or None
    cdef readonly bint destroying
    cdef readonly bint destroyed

    cdef int check_thread(self) except -1
    cdef int report_error(self, object context) except -1
    cdef int throw_into(self, object target, object exception) except -1
    cdef int wake_posted(self, object wait) except -1
