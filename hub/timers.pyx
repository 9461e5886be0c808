"""The memory of timers, times in seconds as nanoseconds, and the timer that ends a sleep. See timers.pxd."""

from _thread import TIMEOUT_MAX

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.math cimport ceil, isnan
from libc.string cimport memset

__all__: list = []

cdef extern from "timer_heap.h":
    int hub_heap_reserve(hub_heap *, size_t count)

# Seconds beyond which a timer is as good as never (about 126 years); keeps the arithmetic in 64 bits.
cdef double FOREVER = 4e9
cdef double longest = TIMEOUT_MAX


cdef uint64_t nanoseconds_of(double seconds) except? 0:
    """Nanoseconds, rounded up. OverflowError beyond threading.TIMEOUT_MAX, as in the standard library."""
    if isnan(seconds):
        raise ValueError("a time in seconds must be a number, not NaN")
    if seconds < 0:
        seconds = 0
    elif seconds > FOREVER:
        if seconds > longest:
            raise OverflowError("timeout value is too large")
        seconds = FOREVER
    return <uint64_t> ceil(seconds * 1e9)


cdef int make_timers(timers_t *timers) except -1:
    """Fill the pool, and make room for all timers in the heap, so that starting one cannot fail."""
    cdef timer_block_t *block
    cdef int i
    block = <timer_block_t *> PyMem_RawCalloc(1, sizeof(timer_block_t))
    if block == NULL or hub_heap_reserve(&timers.running, timers.made + 64):
        PyMem_RawFree(block)
        raise MemoryError()
    timers.made += 64
    block.next = timers.blocks
    timers.blocks = block
    for i in reversed(range(64)):
        block.timers[i].timers = timers
        timer_to_pool(&block.timers[i])
    return 0


cdef void free_timers(timers_t *timers) noexcept:
    """Give the memory back when the loop has ended. Its epoch stays."""
    cdef timer_block_t *block
    while timers.blocks != NULL:
        block = timers.blocks
        timers.blocks = block.next
        PyMem_RawFree(block)
    PyMem_RawFree(timers.running.entries)
    memset(&timers.running, 0, sizeof(timers.running))
    timers.made = 0
    timers.free = NULL


cdef int end_sleep_by(timers_t *timers, uint64_t due) except -1:
    """See to it that a sleep which begins now has ended at a loop time."""
    cdef timer_t *timer
    if timers.sleep_ends and timers.sleep_ends <= due:
        return 0
    timer = timer_take(timers)
    timer.fire = on_sleep_ends
    timers.sleep_ends = due
    timer_start(timer, due)
    return 0


cdef void on_sleep_ends(timer_t *timer) noexcept nogil:
    """The loop has woken up and looks around: that is all."""
    timer.timers.sleep_ends = 0
    timer_to_pool(timer)
