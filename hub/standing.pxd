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

from hub.core cimport core_t, watch_t
from hub.libuv cimport uv_async_send, uv_backend_fd
from hub.timers cimport HUB_NEVER, clock, hub_heap_due, hub_now


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
