# One hub per thread. See threads.pyx.

cdef list other_hubs()
cdef Py_ssize_t count_hubs() except -1
