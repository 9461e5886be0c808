"""The loops of all threads: tells code that closes a descriptor which loops watch it, and which descriptors loops own.

Rules
    1. Every function here needs the GIL and runs no Python code, so no other thread comes in between. Another thread
       could close the same descriptor meanwhile, and then its number would be another file's.
    2. A thread changes only three things of another thread's loop: the registration with the kernel, the watch's
       generation, and the marks `must_tell` and `renew`. The loop's own thread wakes the waits.

What does not belong here: the work that a loop does on its own thread (watches.pxd).
"""

from hub.libuv cimport uv_loop_t

__all__: list = []

cdef extern from "epoll_control.h":
    int hub_poll_withdraw(uv_loop_t *, int fd)

cdef extern from "loop_fields.h":
    void hub_loop_descriptors(const uv_loop_t *loop, int *out)

cdef core_t *first = NULL  # the head of the list of all loops, linked by next_core and previous_core


cdef core_t *first_loop() noexcept:
    """The first loop of the list, or NULL. The others follow by next_core."""
    return first


cdef void add_loop(core_t *core) noexcept:
    global first
    core.next_core = first
    if first != NULL:
        first.previous_core = core
    first = core


cdef void remove_loop(core_t *core) noexcept:
    global first
    if core.previous_core != NULL:
        core.previous_core.next_core = core.next_core
    else:
        first = core.next_core
    if core.next_core != NULL:
        core.next_core.previous_core = core.previous_core


cdef bint withdraw_elsewhere(int fd, core_t *here) noexcept:
    """Take descriptor `fd`, which is about to be closed, from the epolls of all loops but `here`.

    Its watches there get their next generation. Returns whether any of them has waits, which must be woken: `must_tell`
    is set on those watches.
    """
    cdef core_t *core = first
    cdef watch_t *watch
    cdef bint others = False
    while core != NULL:
        watch = core.watches[fd] if core is not here and 0 <= fd < core.watches_length else NULL
        if watch != NULL and withdraw_watch(watch):
            watch.must_tell = others = True
        core = core.next_core
    return others


cdef bint withdraw_watch(watch_t *watch) noexcept:
    """The same for one watch of another thread's loop. Returns whether its thread must call Loop.closed_elsewhere()."""
    cdef bint refused = False
    if watch.events and watch.registered == watch.generation:
        # The loop's own thread, which needs no GIL for that, may unregister the descriptor at the same moment. Then the
        # epoll is made anew without need. It never registers one without the GIL.
        refused = hub_poll_withdraw(watch.core.uv, watch.fd) != 0
    watch.generation += 1
    if refused:
        watch.core.renew = True
    return refused or watch.readers.head != NULL or watch.writers.head != NULL or watch.listeners != NULL


cdef int next_loop_descriptor(int low) noexcept:
    """The lowest descriptor, from `low` on, that a loop owns; -1 if there is none."""
    cdef core_t *core = first
    cdef int own[7]
    cdef int found = -1
    cdef int i
    while core != NULL:
        if core.uv != NULL:
            hub_loop_descriptors(core.uv, own)
            own[4], own[5], own[6] = core.probe, core.signal_read, core.signal_write
            for i in range(7):
                if own[i] >= low and (found < 0 or own[i] < found):
                    found = own[i]
        core = core.next_core
    return found


cdef int watched_end() noexcept:
    """A number that is greater than every watched descriptor."""
    cdef core_t *core = first
    cdef int highest = 0
    while core != NULL:
        highest = max(highest, core.watches_length)
        core = core.next_core
    return highest
