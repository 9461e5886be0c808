# Descriptors that are closed. See closing.pyx.

cpdef int closing_descriptor(int fd) except -1
