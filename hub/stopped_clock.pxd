# Loops while the hubs' clock stands still, for a test with a `greenio.testing.MockClock`. Header only: every function
# here is inline, and calls libuv, so hub/loop.pyx alone may cimport this.
#
# A loop that would sleep until its first timer calls a function of the MockClock, sleep_length(), which says how long
# to sleep. If no loop has anything to do, the function moves the clock to the first timer of all loops.
#
# Rules
#   1. The states of other loops are read with the GIL. Their threads change timers only with the GIL.
#   2. A loop is asleep (`core.asleep`) from the moment in which it calls sleep_length() until its epoll reports
#      something. The mark is cleared before any code learns of the report. So a loop has nothing to do if it is asleep
#      and its epoll has nothing to report.
#
# What does not belong here: moving the clock (timers.pyx), and deciding when to do so (greenio.testing).

from libc.stdint cimport uint64_t

from hub.all_loops cimport first_loop
from hub.core cimport core_t, watch_t
from hub.libuv cimport uv_async_send, uv_backend_fd
from hub.sleeping cimport hub_run_for
from hub.timers cimport HUB_NEVER, clock, fire_timers, hub_heap_due, hub_now

cdef enum:
    # Nanoseconds after which a sleep while the clock stands still ends, so that the scheduler can look for other work.
    LONGEST_SLEEP = 50000000


cdef inline void read_clock(core_t *core) noexcept:
    """Read the clock, and let the timers fire that are due: the loop has just looked for I/O."""
    core.looked = hub_now()
    core.now = clock.stopped_at if clock.stopped_at else core.looked + clock.ahead
    fire_timers(&core.timers, core.now)


cdef inline int sleep_while_stopped(core_t *core, object sleep_length) except -1:
    """Run the loop once, while the clock stands still: sleep_length() says how long to sleep, and may move the clock.

    sleep_length() is called only after a look for I/O has found nothing. So signals that have come by then are handled
    in the usual place, rather than in the Python code of sleep_length(), on the greenlet that happens to run this.
    """
    cdef uint64_t begun = hub_now()
    cdef uint64_t nanoseconds
    try:
        while core.ready.head == NULL and clock.stopped_at and hub_now() - begun < LONGEST_SLEEP:
            core.asleep = True
            nanoseconds = 0
            if core.slept_in_vain:
                nanoseconds = sleep_length()
                if core.ready.head != NULL:
                    pass_time_of_work(first_loop())
                    break  # a signal handler or a finalizer has run there
            else:
                clock.quiet = hub_now()
            core.running = True
            with nogil:
                hub_run_for(core.uv, nanoseconds, &core.asleep)
            pass_time_of_work(first_loop())
            read_clock(core)
            core.running = False
            core.slept_in_vain = True
    finally:
        core.running = core.asleep = False
        if core.ready.head != NULL:
            core.slept_in_vain = False
    return 0


cdef inline bint is_waited_for(core_t *core) noexcept:
    """Whether a greenlet or a watcher of a loop waits for a descriptor."""
    cdef watch_t *watch
    cdef int i
    for i in range(core.watches_length):
        watch = core.watches[i]
        if watch != NULL and (watch.readers.head != NULL or watch.writers.head != NULL or watch.listeners != NULL):
            return True
    return False


cdef inline list states_of_loops(core_t *core):
    """The states of the loops from `core` on, for the MockClock.

    For each loop a tuple: the native id of its thread, whether it is asleep, the descriptor of its epoll, when its
    first timer is due (or None), whether a greenlet or a watcher waits for a descriptor.
    """
    cdef list found = []
    while core != NULL:
        if core.uv != NULL:
            due = hub_heap_due(&core.timers.running)
            found.append((
                core.native_id, core.asleep != 0, uv_backend_fd(core.uv), None if due == HUB_NEVER else due,
                is_waited_for(core),
            ))
        core = core.next_core
    return found


cdef inline void pass_time_of_work(core_t *core) noexcept:
    """Move the clock by the time for which a thread or child was at work while a loop slept.

    It does not move past the first timer of any loop.
    """
    cdef uint64_t time
    if clock.worked and clock.stopped_at:
        time = clock.stopped_at + (hub_now() - clock.worked)
        while core != NULL:
            if core.uv != NULL:
                time = min(time, hub_heap_due(&core.timers.running))
            core = core.next_core
        clock.stopped_at = max(clock.stopped_at, time)
    clock.worked = 0


cdef inline void wake_loops(core_t *core, unsigned long but) noexcept:
    """End the sleeps of all loops but that of the thread with native id `but`, so that they read the clock."""
    while core != NULL:
        if core.uv != NULL and core.native_id != but:
            uv_async_send(&core.wakeup)
        core = core.next_core
