# One hub per thread. See threads.pyx.

cdef list other_hubs()
cdef object forget_hub()
