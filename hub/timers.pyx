"""The functions of timers.pxd that are not inline: memory, conversion of seconds, ends of sleeps, the clock."""

from _thread import TIMEOUT_MAX

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.math cimport ceil, isnan
from libc.stdint cimport int64_t
from libc.string cimport memset

__all__ = [
    "clock_ahead", "monotonic_ns", "move_clock", "note_activity", "note_work", "quiet_since", "resume_clock",
    "stop_clock",
]  # fmt: skip

cdef extern from "timer_heap.h":
    int hub_heap_reserve(hub_heap *, size_t count)

# The longest time that is kept, in seconds (about 126 years): longer ones would not fit into 64 bits with the clock.
cdef double FOREVER = 4e9
cdef double longest = TIMEOUT_MAX


cdef uint64_t nanoseconds_of(double seconds) except? 0:
    """Convert seconds to nanoseconds, rounded up; 0 for negative ones.

    Raises ValueError for NaN, and OverflowError beyond threading.TIMEOUT_MAX, as the standard library does.
    """
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
    """Add a block of timers to the pool, and make room for all timers in the heap, so that starting one cannot fail."""
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
    """Free the memory of a loop's timers when the loop has ended. The epoch stays."""
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
    """Make sure that a sleep which begins now ends by loop time `due`. While the clock stands still, none is long."""
    cdef timer_t *timer
    if clock.stopped_at or (timers.sleep_ends and timers.sleep_ends <= due):
        return 0
    timer = timer_take(timers)
    timer.fire = on_sleep_ends
    timers.sleep_ends = due
    timer_start(timer, due)
    return 0


cdef void on_sleep_ends(timer_t *timer) noexcept nogil:
    """Give the timer back. It was only for ending the sleep."""
    timer.timers.sleep_ends = 0
    timer_to_pool(timer)


# --- the clock, for tests ---------------------------------------------------------------------------------------

def monotonic_ns():
    """The time of the hubs' clock in nanoseconds (int)."""
    return now_ns()


def clock_ahead():
    """By how many nanoseconds (int) the clock is ahead of CLOCK_MONOTONIC, or was when it was last stopped."""
    return <int64_t> clock.ahead


def stop_clock():
    """Stop the clock, until resume_clock(). The function that is set with hub.loop.set_sleep_length() moves it."""
    clock.quiet = hub_now()
    clock.worked = 0
    clock.stopped_at = now_ns()


def quiet_since():
    """Since when all loops have had nothing to do, and no thread or child was at work (int, ns of CLOCK_MONOTONIC)."""
    return clock.quiet


def note_activity():
    """Note that a loop has something to do."""
    clock.quiet = hub_now()


def note_work():
    """Note that a thread or a child is at work: the time for which the loop sleeps now passes on the clock, too."""
    clock.quiet = hub_now()
    if clock.worked == 0:
        clock.worked = clock.quiet


def move_clock(uint64_t time):
    """Move the clock, which stands still, to a later time (int, nanoseconds). Does nothing for an earlier one."""
    if clock.stopped_at and time > clock.stopped_at:
        clock.stopped_at = time


def resume_clock():
    """Let the clock run again, from the time at which it stands."""
    if clock.stopped_at:
        clock.ahead = clock.stopped_at - hub_now()
        clock.stopped_at = 0
