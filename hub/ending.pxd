# The end of a hub. See ending.pyx.

from hub.signals cimport SignalledHub


cdef class EndingHub(SignalledHub):
    cdef object the_end(self)
    cdef int end_all(self, list given_up) except -1
    cdef int carry_out(self) except -1
    cdef int raise_pending(self) except -1
