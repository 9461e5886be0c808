# The timers of a loop: a pool of them, and a heap of those that run, by the time at which they fire.
# Short functions are inline here; the others are in timers.pyx, where they take no room on stacks that are switched.
#
# Rules
#   1. Only the loop's own thread touches its timers.
#   2. Timers are taken from the pool and given back. Starting one cannot fail: the heap has room for all.
#   3. A timer never keeps the loop alive by itself: core_t.references counts the things that do.
#   4. The pool ends with the loop, and in a forked child. A pointer to a timer that may be kept for longer stands in a
#      kept_timer_t. timer_of() says whether the timer is still there.
#   5. Times are nanoseconds of the hubs' clock: now_ns(). It runs with CLOCK_MONOTONIC, and is ahead of it once a test
#      has moved it (`greenio.testing`). It stands still while a test moves it.
#
# What does not belong here: what a timer is for, and how the loop's sleep ends in time (exact_sleep.h).

from libc.stdint cimport uint64_t

cdef extern from "timer_heap.h" nogil:
    ctypedef struct hub_heap_node:
        size_t place
    ctypedef struct hub_heap_entry:
        hub_heap_node *node
    ctypedef struct hub_heap:
        hub_heap_entry *entries
        size_t length
    uint64_t HUB_NEVER
    uint64_t hub_now()
    uint64_t hub_worked()
    void hub_heap_set(hub_heap *, hub_heap_node *, uint64_t due)
    void hub_heap_remove(hub_heap *, hub_heap_node *)
    hub_heap_node *hub_heap_pop(hub_heap *, uint64_t now)
    void hub_heap_count(hub_heap *, uint64_t fired, uint64_t now)
    uint64_t hub_heap_due(const hub_heap *)

cdef struct timers_t
cdef struct timer_t

ctypedef void (*timer_function)(timer_t *) noexcept nogil


cdef struct timer_t:
    hub_heap_node node    # first: its place in the heap
    timers_t *timers      # the timers of its loop
    timer_function fire   # called when it fires; runs without the GIL
    void *target          # for `fire`
    timer_t *next_free    # the next in the pool's list


# Timers are made a block at a time.
cdef struct timer_block_t:
    timer_block_t *next
    timer_t timers[64]


cdef struct timers_t:
    hub_heap running
    timer_block_t *blocks  # memory of all timers
    size_t made
    timer_t *free          # timers that are not in use
    uint64_t sleep_ends    # when the timer of end_sleep_by() fires, or 0
    unsigned long epoch    # counts forks, and the end of the loop: timers and watches from before must not be touched


# A pointer to a timer that may be kept for longer than the timer lives: rule 4.
cdef struct kept_timer_t:
    timer_t *timer        # NULL when there is none
    unsigned long epoch   # of the loop when the timer was taken


# The clock of all hubs. Code that has the GIL changes it.
cdef struct clock_t:
    uint64_t stopped_at     # the time while it stands still; else 0
    uint64_t ahead        # by how much it is ahead of CLOCK_MONOTONIC while it runs, modulo 2**64
    # While it stands still, by CLOCK_MONOTONIC:
    uint64_t quiet        # since when no loop has had anything to do
    uint64_t worked       # since when a thread or a child has been at work while a loop sleeps; 0 if none has


cdef clock_t clock

cdef uint64_t nanoseconds_of(double seconds) except? 0
cdef int make_timers(timers_t *timers) except -1
cdef void free_timers(timers_t *timers) noexcept
cdef int end_sleep_by(timers_t *timers, uint64_t due) except -1


# --- the clock --------------------------------------------------------------------------------------------------

cdef inline uint64_t now_ns() noexcept nogil:
    """The time of the hubs' clock, in nanoseconds."""
    return clock.stopped_at if clock.stopped_at else hub_now() + clock.ahead


cdef inline uint64_t due_after(double seconds) except? 0:
    """The loop time at which `seconds` from now have passed. Raises as nanoseconds_of()."""
    return now_ns() + nanoseconds_of(seconds)


# --- a timer ----------------------------------------------------------------------------------------------------

cdef inline timer_t *timer_take(timers_t *timers) except NULL:
    """Take a timer, which does not run, from the pool."""
    cdef timer_t *timer = timers.free
    if timer == NULL:
        make_timers(timers)
        timer = timers.free
    timers.free = timer.next_free
    timer.next_free = NULL
    return timer


cdef inline void timer_start(timer_t *timer, uint64_t due) noexcept nogil:
    """Let a timer fire at loop time `due` (due_after()). If it runs already, it fires at that time instead."""
    hub_heap_set(&timer.timers.running, &timer.node, due)


cdef inline void timer_stop(timer_t *timer) noexcept nogil:
    hub_heap_remove(&timer.timers.running, &timer.node)


cdef inline bint timer_runs(timer_t *timer) noexcept nogil:
    return timer.node.place != 0


cdef inline void timer_to_pool(timer_t *timer) noexcept nogil:
    """Give back a timer that does not run. (It does not run any more while it fires.)"""
    timer.target = NULL
    timer.next_free = timer.timers.free
    timer.timers.free = timer


cdef inline void timer_give(timer_t *timer) noexcept nogil:
    """Stop a timer and give it back."""
    timer_stop(timer)
    timer_to_pool(timer)


# --- a timer that is kept ---------------------------------------------------------------------------------------

cdef inline void keep_timer(kept_timer_t *kept, timer_t *timer) noexcept nogil:
    kept.timer = timer
    kept.epoch = timer.timers.epoch


cdef inline bint is_of(kept_timer_t *kept, timers_t *timers) noexcept nogil:
    """Whether the timer was taken from this pool, and not before a fork. It may have fired since."""
    return kept.epoch == timers.epoch


cdef inline timer_t *timer_of(kept_timer_t *kept, timers_t *timers) noexcept nogil:
    """The timer, or NULL if none was kept, or if it is gone."""
    return kept.timer if is_of(kept, timers) else NULL


# --- all of a loop ----------------------------------------------------------------------------------------------

cdef inline void fire_timers(timers_t *timers, uint64_t now) noexcept nogil:
    """Let the timers fire that are due at loop time `now`."""
    cdef timer_t *timer
    cdef uint64_t fired = 0
    while True:
        timer = <timer_t *> hub_heap_pop(&timers.running, now)
        if timer == NULL:
            break
        timer.fire(timer)
        fired += 1
    hub_heap_count(&timers.running, fired, now)


cdef inline timer_t *leave_timers(timers_t *timers) noexcept nogil:
    """In a forked child: stop all timers. Returns those that ran, linked by `next_free`. They can be started again."""
    cdef timer_t *left = NULL
    cdef timer_t *timer
    cdef size_t i
    for i in range(timers.running.length):
        timer = <timer_t *> timers.running.entries[i].node
        timer.node.place = 0
        timer.next_free = left
        left = timer
    timers.running.length = 0
    timers.sleep_ends = 0
    return left
