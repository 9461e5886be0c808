# A loop's data in C: its timers, descriptor watches and handles. Header only.
#
# It is all that libuv's callbacks use, because they run without the GIL.
#
# What does not belong here: functions that change any of this. They stand beside their rules, in timers.pxd,
# watches.pxd, handles.pxd, sleeping.pxd and loop_end.pxd.

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from hub.libuv cimport uv_async_t, uv_handle_t, uv_loop_t, uv_poll_t, uv_prepare_t, uv_stat_t, uv_timer_t
from hub.ready cimport fifo_t, node_t, ready_t
from hub.timers cimport timer_t, timers_t

cdef struct core_t
cdef struct handle_t


cdef enum:
    LISTEN_CLOSED = 4  # among the events of a listener: the descriptor is being closed, and it listens no more


# What is told of every event on a descriptor, not of the next one only: an io watcher, for instance.
cdef struct listener_t:
    listener_t *next
    listener_t *previous
    node_t *node          # the job to queue
    int events            # what it listens for
    int fired             # what has happened since it was last asked
    unsigned int generation  # of the watch when it began to listen
    bint listening        # whether it is in the watch's list


# The one watch of a descriptor on a loop, with all waits for it. Kept for as long as the loop lives:
# `generation` tells one owner of the number from the next: it counts the closings, also those in other threads, at the
# moment in which they are announced.
cdef struct watch_t:
    uv_poll_t uv
    core_t *core
    int fd
    unsigned int generation
    int events            # registered with the kernel now; 0 when not registered
    unsigned int registered  # the generation in which that was done: in a later one it is gone from the kernel
    bint edge             # registered for changes only: a state is not reported again
    bint lost             # found to be closed behind our back; its waits are still to be woken
    bint to_tell          # another thread has closed it, and has still to wake the waits
    watch_t *next_to_verify
    bint is_to_verify     # whether it is in the core's list of those
    int unclaimed         # how often it fired with nobody there, since somebody waited
    fifo_t readers
    fifo_t writers
    listener_t *listeners


# A watch that may be kept for longer than its loop has it. watch_of() says whether it is still there.
cdef struct kept_watch_t:
    watch_t *watch           # NULL when there is none
    unsigned long epoch      # of the loop when the watch was opened
    unsigned int generation  # the watch's then: in a later one, the descriptor is closed


# The C half of a Handle: outlives the object until libuv has called the close callback.
cdef struct handle_t:
    handle_t *next        # all of a loop
    handle_t *previous
    PyObject *owner       # the Handle object, borrowed; NULL when it is gone
    node_t *node          # its entry for the ready queue; NULL when it is gone
    bint started          # whether the Handle keeps itself alive: only then may the entry be queued
    core_t *core
    int kind              # UV_TIMER, UV_ASYNC, ...
    int signum            # the signal that is watched now, or 0
    uv_handle_t *uv       # memory of the size that the kind needs; NULL for a timer
    timer_t *timer        # only for a timer
    uint64_t due          # when it fires
    uint64_t repeat       # and after how many nanoseconds again, or 0
    bint references       # whether it keeps the loop alive while it runs
    bint fired            # whether it has fired since the job last ran
    int status            # what the callback was told: a signal number, an error
    uv_stat_t stat_now    # for fs_poll
    uv_stat_t stat_before


# What the C callbacks need to know of a loop. It lives as long as the Loop object.
cdef struct core_t:
    timers_t timers       # first: core_of() relies on it
    core_t *next_core     # all of this process
    core_t *previous_core
    uv_loop_t *uv         # NULL once the loop is destroyed
    handle_t *handles     # every open Handle
    handle_t *orphans     # Handles whose object was collected; closed at the next turn, by the loop's thread
    long handles_open     # all whose memory libuv may still use
    ready_t ready         # the ready queue of the loop's hub
    long references       # parked waits and alarms that keep the loop alive
    long dropped          # how many of these are gone: other threads count here, with the GIL
    uint64_t now          # the loop time: when it last looked for I/O
    watch_t **watches     # by descriptor
    int watches_length
    watch_t *to_verify    # those that are registered or lost, and some that were: for verify()
    uint64_t verified     # when verify_is_due() last said so, by CLOCK_MONOTONIC
    uint64_t verify_pause  # nanoseconds until that is done again
    uv_async_t wakeup     # another thread's way to end uv_run
    uv_prepare_t before_sleep  # keeps a turn from sleeping when somebody is ready
    uv_timer_t alarm_clock  # ends a sleep when a timer is due; only where the libuv is the system's
    node_t *inbox         # job that empties the hub's inbox
    node_t *signals       # job that runs Python's signal handlers
    uv_poll_t signal_poll  # the read end of the pipe that Python's C signal handler writes to
    int signal_read       # its descriptors, or -1
    int signal_write
    unsigned char signal_bytes[64]  # what was read, to be passed on to a wakeup descriptor of the user's
    int signal_count
    bint running          # inside uv_run
    bint renew            # the epoll may hold what no number leads to: it is to be made anew
    int probe             # a descriptor of ours to make poll handles on
    uint64_t looked       # when it last looked for I/O, by CLOCK_MONOTONIC
    unsigned long native_id  # of its thread
    int asleep            # whether it sleeps by a clock that stands still: see standing.pxd
    bint in_vain          # whether it has done so, nothing came, and no greenlet has run since


cdef inline core_t *core_of(timer_t *timer) noexcept nogil:
    return <core_t *> timer.timers


cdef inline void keep_watch(kept_watch_t *kept, watch_t *watch) noexcept nogil:
    kept.watch = watch
    kept.epoch = watch.core.timers.epoch
    kept.generation = watch.generation


cdef inline watch_t *watch_of(kept_watch_t *kept, core_t *core) noexcept nogil:
    """The watch, or NULL if there is none, or none any more: after a fork, for instance."""
    return kept.watch if kept.epoch == core.timers.epoch else NULL
