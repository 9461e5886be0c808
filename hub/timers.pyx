"""The memory of timers, times in seconds as nanoseconds, the timer that ends a sleep, and the clock. See timers.pxd."""

from _thread import TIMEOUT_MAX

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.math cimport ceil, isnan
from libc.stdint cimport int64_t
from libc.string cimport memset

__all__ = [
    "clock_ahead", "go_on", "monotonic_ns", "move_to", "quiet_since", "somebody_works", "something_happens",
    "stand_still",
]  # fmt: skip

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
    """See to it that a sleep which begins now has ended at a loop time. While the clock stands still, none is long."""
    cdef timer_t *timer
    if clock.standing or (timers.sleep_ends and timers.sleep_ends <= due):
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


# --- the clock, for tests ---------------------------------------------------------------------------------------

def monotonic_ns():
    """The time of the hubs' clock in nanoseconds (int)."""
    return now_ns()


def clock_ahead():
    """By how many nanoseconds (int) the clock was ahead of CLOCK_MONOTONIC when it went last."""
    return <int64_t> clock.ahead


def stand_still():
    """Let the clock stand still, until go_on(). Whoever does so moves it, and sees to it that loops sleep by it."""
    clock.quiet = hub_now()
    clock.worked = 0
    clock.standing = now_ns()


def quiet_since():
    """Since when no loop has had anything to do, and nobody was at work: nanoseconds (int) of CLOCK_MONOTONIC."""
    return clock.quiet


def something_happens():
    """A loop has something to do."""
    clock.quiet = hub_now()


def somebody_works():
    """A thread or a child is at work: the time for which the loop sleeps now is to pass on the clock, too."""
    clock.quiet = hub_now()
    if clock.worked == 0:
        clock.worked = clock.quiet


def move_to(uint64_t time):
    """Move the clock, which stands still, to a later time in nanoseconds."""
    if clock.standing and time > clock.standing:
        clock.standing = time


def go_on():
    """Let the clock go on from where it stands."""
    if clock.standing:
        clock.ahead = clock.standing - hub_now()
        clock.standing = 0
