# The part of a hub that runs signal handlers. See signals.pyx.

from hub.scheduler cimport Scheduler


cdef class SignalledHub(Scheduler):
    pass
