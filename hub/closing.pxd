# Descriptors that are closed. See closing.pyx.

from hub.scheduler cimport Scheduler

cpdef int closing_descriptor(int fd) except -1
cdef int leaving_descriptor(Scheduler hub, int fd, unsigned int generation) except -1
