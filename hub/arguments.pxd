# See arguments.pyx.

cpdef double seconds_of(object value) except? -1
cpdef long count_of(object value, str name) except? -1
