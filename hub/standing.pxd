# Loops while a clock of tests stands still. Header only, for hub.loop alone, as its functions call libuv.
#
# A loop that would sleep until its first timer asks the clock what to do: `sleep_by`, of a `greenio.testing.MockClock`.
# That may move the time on to the first timer of all loops, if none of them has anything to do. What it has to know of
# them is found out here, with the GIL: other threads change their timers with it only.
#
# A loop is asleep (`core.asleep`) from the moment in which its thread asks until its epoll has reported something. It
# is cleared before anybody learns of that. So a loop that is asleep, and whose epoll has nothing to report, has nothing
# to do.

from libc.stdint cimport uint64_t

from hub.all_loops cimport first_loop
from hub.core cimport core_t, watch_t
from hub.libuv cimport uv_async_send, uv_backend_fd
from hub.sleeping cimport hub_run_for
from hub.timers cimport HUB_NEVER, clock, fire_timers, hub_heap_due, hub_now

cdef enum:
    # Nanoseconds after which a sleep by a clock that stands still ends, so that the scheduler looks around.
    LONGEST_SLEEP = 50000000


cdef inline void look_at_clock(core_t *core) noexcept:
    """The loop has looked for I/O: let the timers fire that are due."""
    core.looked = hub_now()
    core.now = clock.standing if clock.standing else core.looked + clock.ahead
    fire_timers(&core.timers, core.now)


cdef inline int sleep_by_clock(core_t *core, object sleep_by) except -1:
    """Run the loop once, by a clock that stands still: sleep_by() says how long to sleep, and may move the clock.

    It is asked when a look has found nothing. So a signal that has come by then is handled where it always is, and
    not in the middle of the clock's Python code, on whatever greenlet this runs.
    """
    cdef uint64_t begun = hub_now()
    cdef uint64_t nanoseconds
    try:
        while core.ready.head == NULL and clock.standing and hub_now() - begun < LONGEST_SLEEP:
            core.asleep = True
            nanoseconds = 0
            if core.in_vain:
                nanoseconds = sleep_by()
                if core.ready.head != NULL:
                    pass_time_of_work(first_loop())
                    break  # a signal handler or a finalizer has run there
            else:
                clock.quiet = hub_now()
            core.running = True
            with nogil:
                hub_run_for(core.uv, nanoseconds, &core.asleep)
            pass_time_of_work(first_loop())
            look_at_clock(core)
            core.running = False
            core.in_vain = True
    finally:
        core.running = core.asleep = False
        if core.ready.head != NULL:
            core.in_vain = False
    return 0


cdef inline bint is_waited_for(core_t *core) noexcept:
    """Whether a greenlet or a watcher waits for a descriptor there."""
    cdef watch_t *watch
    cdef int i
    for i in range(core.watches_length):
        watch = core.watches[i]
        if watch != NULL and (watch.readers.head != NULL or watch.writers.head != NULL or watch.listeners != NULL):
            return True
    return False


cdef inline list states_of_loops(core_t *core):
    """For each loop: (native id of its thread, whether it is asleep, its epoll, when its first timer is due or None,
    whether somebody waits for a descriptor)."""
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
    """A loop has slept. If somebody was at work meanwhile, that time has passed. No timer of any loop is skipped."""
    cdef uint64_t time
    if clock.worked and clock.standing:
        time = clock.standing + (hub_now() - clock.worked)
        while core != NULL:
            if core.uv != NULL:
                time = min(time, hub_heap_due(&core.timers.running))
            core = core.next_core
        clock.standing = max(clock.standing, time)
    clock.worked = 0


cdef inline void wake_loops(core_t *core, unsigned long but) noexcept:
    """End the sleeps of all loops but those of one thread: they look what time it is."""
    while core != NULL:
        if core.uv != NULL and core.native_id != but:
            uv_async_send(&core.wakeup)
        core = core.next_core
