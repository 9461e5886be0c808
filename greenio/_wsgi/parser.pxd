# See parser.pyx.


cdef class HeadParser:
    cdef object parser  # httptools', or None
    cdef public object environ
    cdef public bint complete
    cdef public bint upgrade
