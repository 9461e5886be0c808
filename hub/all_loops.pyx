"""The loops of all threads. For code that closes a descriptor: which of them watch it, and which numbers are their own.

Rules
    1. All of this is done with the GIL, and without running Python code. So no other thread comes between. It may know
       that a descriptor is being closed, and close it itself; and then the number is another file's.
    2. Of another thread's loop, only the registration with the kernel and the watch's generation are changed. That
       thread wakes the waits itself.

What does not belong here: what is done on a loop's own thread. It stands in watches.pxd.
"""

from hub.libuv cimport uv_loop_t

__all__: list = []

cdef extern from "epoll_control.h":
    int hub_poll_withdraw(uv_loop_t *, int fd)

cdef extern from "loop_fields.h":
    void hub_loop_descriptors(const uv_loop_t *loop, int *out)

cdef core_t *first = NULL  # of the list of them, which is linked by next_core and previous_core


cdef core_t *first_loop() noexcept:
    """The first of them, or NULL; the others follow by next_core."""
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


cdef bint close_elsewhere(int fd, core_t *here) noexcept:
    """Descriptor `fd` is about to be closed: take it from the epolls of all loops but `here`, and count its watches up.

    Returns whether waits are to be woken on any of them: the `to_tell` of their watches is set.
    """
    cdef core_t *core = first
    cdef watch_t *watch
    cdef bint others = False
    while core != NULL:
        watch = core.watches[fd] if core is not here and 0 <= fd < core.watches_length else NULL
        if watch != NULL and close_watch_elsewhere(watch):
            watch.to_tell = others = True
        core = core.next_core
    return others


cdef bint close_watch_elsewhere(watch_t *watch) noexcept:
    """The same for one watch of another thread's loop. Returns whether that is to call Loop.closed_elsewhere()."""
    cdef bint refused = False
    if watch.events and watch.registered == watch.generation:
        # The loop's own thread may be in the middle of it, and unregister it too: then the epoll is made anew for
        # nothing. It never registers without the GIL.
        refused = hub_poll_withdraw(watch.core.uv, watch.fd) != 0
    watch.generation += 1
    if refused:
        watch.core.renew = True
    return refused or watch.readers.head != NULL or watch.writers.head != NULL or watch.listeners != NULL


cdef int next_of_a_loop(int low) noexcept:
    """The first descriptor from `low` on that a loop has for itself; -1 if there is none."""
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


cdef int highest_watched() noexcept:
    """All descriptors that are watched are below that number."""
    cdef core_t *core = first
    cdef int highest = 0
    while core != NULL:
        highest = max(highest, core.watches_length)
        core = core.next_core
    return highest
