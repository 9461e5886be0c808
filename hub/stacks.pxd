# Memory for the Python frames of greenlets (see stacks.pyx).

cdef void begin_small() noexcept
