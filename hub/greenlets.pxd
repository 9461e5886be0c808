# Greenlets that the hub starts. See greenlets.pyx.

from hub.callbacks cimport CallingHub
from hub.greenlet_api cimport greenlet
from hub.ready cimport node_t, slot_t


# A greenlet whose slot and entry are part of the object. All greenlets that the library makes are of this kind.
cdef class HubGreenlet(greenlet):
    cdef slot_t slot           # the wait that it is parked on, and its pending exceptions
    cdef node_t start_node     # its entry in the ready queue
    cdef CallingHub scheduler  # its hub
    cdef dict at_end           # functions to call when it has finished, by any key; or None

    cdef int attach(self, CallingHub scheduler) except -1
    cdef int schedule_start(self) except -1
    cdef bint unschedule_start(self) noexcept
    cdef int begin(self) except -1
    cdef int not_begun(self, object error) except -1
    cdef void finished(self) noexcept
    cdef int end_unstarted(self, object exception) except -1
    cdef int end_unfinished(self, object exception) except -1
