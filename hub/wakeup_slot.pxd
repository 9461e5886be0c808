# The C side of wakeup_slot.pyx. libuv calls the inline functions when the signal pipe is readable, without the GIL.

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint64_t
from posix.unistd cimport read

from hub.core cimport core_t
from hub.libuv cimport uv_poll_t
from hub.ready cimport ready_push_front


cdef class WakeupSlot:
    cdef core_t *core         # of the loop, which keeps this object no longer than the core
    cdef int displaced        # the program's descriptor, while the loop's takes its place; else -2
    cdef uint64_t checked     # when the slot was last read, by CLOCK_MONOTONIC

    cdef bint claim(self) except -1
    cdef int release(self) except -1
    cdef bint leave(self) except -1
    cdef int leave_in_child(self) except -1


cdef inline bint read_signals(core_t *core) noexcept nogil:
    """Empty the pipe of signals, and add them to `signal_bytes`. Returns whether there were any."""
    cdef char beyond[64]
    cdef size_t room
    cdef ssize_t count
    cdef bint found = False
    while True:
        room = sizeof(core.signal_bytes) - <size_t> core.signal_count
        if room > 0:
            count = read(core.signal_read, core.signal_bytes + core.signal_count, room)
        else:
            room = sizeof(beyond)
            count = read(core.signal_read, beyond, room)  # dropped: a program's descriptor would hold no more, either
        if count > 0:
            found = True
            if core.signal_count < <int> sizeof(core.signal_bytes):
                core.signal_count += <int> count
        if count < <ssize_t> room and not (count < 0 and errno == EINTR):
            return found


cdef inline void handle_signals_next(core_t *core) noexcept nogil:
    # In front: Python's handlers run before any greenlet goes on. Otherwise their exceptions would be raised in the
    # greenlet that happens to run the loop.
    if core.signals != NULL and not core.signals.queued:
        ready_push_front(&core.ready, core.signals)


cdef inline void on_signal_pipe(uv_poll_t *handle, int status, int events) noexcept nogil:
    cdef core_t *core = <core_t *> handle.data
    read_signals(core)
    handle_signals_next(core)
