# See transfer.pyx.

cdef enum:
    SCRATCH = 65536


# Receives go through it into bytes objects of the right size. Every thread with the GIL may use it, from the call that
# fills it to the copy.
cdef char *scratch_buffer() noexcept
