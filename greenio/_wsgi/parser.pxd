# See parser.pyx.


cdef class HeadParser:
    cdef object parser  # an httptools.HttpRequestParser, or None
    cdef public object environ
    cdef public bint complete
    cdef public bint upgrade
