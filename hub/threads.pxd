# One hub per thread. See threads.pyx.

cpdef int closing_descriptor(int fd) except -1
