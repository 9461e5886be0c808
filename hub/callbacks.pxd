# Functions for the hub greenlet to call. See callbacks.pyx.

from cython cimport final

from hub.loop cimport Job
from hub.scheduler cimport Scheduler


@final
cdef class Callback(Job):
    cdef Scheduler hub
    cdef readonly object callback  # None when it has run or was stopped
    cdef readonly tuple args
