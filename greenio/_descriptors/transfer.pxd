# See transfer.pyx.

cdef enum:
    SCRATCH = 65536


# The memory that receives go through, into bytes objects of the right size. All threads share it: one uses it with the
# GIL held, from the call that fills it to the copy.
cdef char *scratch_buffer() noexcept
