# A loop's data in C: its timers, descriptor watches and handles. Header only.
#
# libuv's callbacks run without the GIL, and use nothing but these data.
#
# What does not belong here: functions that change the data. They stand beside their rules, in timers.pxd, watches.pxd,
# handles.pxd, sleeping.pxd and loop_end.pxd.

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from hub.libuv cimport uv_async_t, uv_handle_t, uv_loop_t, uv_poll_t, uv_prepare_t, uv_stat_t, uv_timer_t
from hub.ready cimport fifo_t, node_t, ready_t
from hub.timers cimport timer_t, timers_t

cdef struct core_t
cdef struct handle_t


cdef enum:
    LISTEN_CLOSED = 4  # among a listener's events: the descriptor is being closed, and the listener listens no more


# A listener is told of every event on a descriptor. (A wait is told of the next event only.) An io watcher has one.
cdef struct listener_t:
    listener_t *next
    listener_t *previous
    node_t *node          # the job to queue
    int events            # the events that it listens for
    int fired             # the events that have happened since its job last ran
    unsigned int generation  # of the watch when it began to listen
    bint listening        # whether it is in the watch's list


# The one watch of a descriptor on a loop, with all waits for it. It is kept for as long as the loop lives. `generation`
# tells one owner of the number from the next: it counts how often the descriptor was closed, in any thread, from the
# moment in which the closing is announced.
cdef struct watch_t:
    uv_poll_t uv
    core_t *core
    int fd
    unsigned int generation
    int events            # registered with the kernel now; 0 when not registered
    unsigned int registered  # the generation of this registration: in a later one, the kernel has it no more
    bint edge             # whether it is registered for changes only: a state is not reported again
    bint lost             # whether the descriptor was closed without an announcement; its waits are still to be woken
    bint must_tell        # whether a thread that closes the descriptor must still tell this loop's thread
    watch_t *next_to_verify
    bint is_to_verify     # whether it is in the core's list `to_verify`
    int unclaimed         # how often it has fired with nobody there since somebody last waited
    fifo_t readers
    fifo_t writers
    listener_t *listeners


# A pointer to a watch that may be kept for longer than the watch lives. watch_of() says whether it is still there.
cdef struct kept_watch_t:
    watch_t *watch           # NULL when there is none
    unsigned long epoch      # of the loop when the watch was opened
    unsigned int generation  # the watch's generation at that time: in a later one, the descriptor is closed


# The C half of a Handle. It outlives the object until libuv has called the close callback.
cdef struct handle_t:
    handle_t *next        # in the list of the loop's handles, or of its orphans
    handle_t *previous
    PyObject *owner       # the Handle object, borrowed; NULL when it is gone
    node_t *node          # the Handle's entry for the ready queue; NULL when the Handle is gone
    bint started          # whether the Handle keeps itself alive: only then may the entry be queued
    core_t *core
    int kind              # UV_TIMER, UV_ASYNC, ...
    int signum            # the signal that is watched now, or 0
    uv_handle_t *uv       # memory of the size that the kind needs; NULL for a timer
    timer_t *timer        # only for a timer
    uint64_t due          # only for a timer: when it fires
    uint64_t repeat       # only for a timer: after how many nanoseconds it fires again, or 0
    bint references       # only for a timer: whether it keeps the loop alive while it runs
    bint fired            # whether it has fired since the job last ran
    int status            # libuv's argument to the callback: a signal number, or an error
    uv_stat_t stat_now    # only for fs_poll
    uv_stat_t stat_before


# A loop's data for libuv's callbacks. It lives as long as the Loop object.
cdef struct core_t:
    timers_t timers       # first: core_of() relies on it
    core_t *next_core     # in the list of this process' loops: all_loops.pyx
    core_t *previous_core
    uv_loop_t *uv         # NULL once the loop is destroyed
    handle_t *handles     # every open Handle
    handle_t *orphans     # Handles whose object was collected; the loop's thread closes them at the next turn
    long handles_open     # how many handles have memory that libuv may still use
    ready_t ready         # the ready queue of the loop's hub
    long references       # how many parked waits, alarms, watchers and other things keep the loop alive
    long dropped          # how many of these are gone: other threads count here, with the GIL
    uint64_t now          # the loop time: when it last looked for I/O, by the hubs' clock
    watch_t **watches     # by descriptor
    int watches_length
    watch_t *to_verify    # the watches for verify(): all that are registered or lost, and some that were
    uint64_t verified     # when verify_is_due() was last true, by CLOCK_MONOTONIC
    uint64_t verify_pause  # the least time between two calls of verify(), in nanoseconds
    uv_async_t wakeup     # lets another thread end the sleep
    uv_prepare_t before_sleep  # keeps a turn from sleeping when a greenlet is ready
    uv_timer_t alarm_clock  # ends a sleep when a timer is due; only with the system's libuv
    node_t *inbox         # the job that empties the hub's inbox
    node_t *signals       # the job that runs Python's signal handlers
    uv_poll_t signal_poll  # watches the read end of the pipe that Python's C signal handler writes to
    int signal_read       # the pipe's descriptors, or -1
    int signal_write
    unsigned char signal_bytes[64]  # signals that were read, for a wake-up descriptor of the program's
    int signal_count
    bint running          # whether libuv runs the loop now
    bint renew            # whether to make the epoll anew: it may have registrations that no number leads to
    int probe             # a descriptor of ours on which poll handles are made: see descriptor_watch.h
    uint64_t looked       # when it last looked for I/O, by CLOCK_MONOTONIC
    unsigned long native_id  # the native id of its thread
    int asleep            # whether it sleeps while the clock stands still: see stopped_clock.pxd
    bint slept_in_vain    # whether such a sleep has ended with nothing ready, and no greenlet has run since


cdef inline core_t *core_of(timer_t *timer) noexcept nogil:
    return <core_t *> timer.timers


cdef inline void keep_watch(kept_watch_t *kept, watch_t *watch) noexcept nogil:
    kept.watch = watch
    kept.epoch = watch.core.timers.epoch
    kept.generation = watch.generation


cdef inline watch_t *watch_of(kept_watch_t *kept, core_t *core) noexcept nogil:
    """The watch, or NULL if none was kept, or if it is gone: after a fork, for instance."""
    return kept.watch if kept.epoch == core.timers.epoch else NULL
