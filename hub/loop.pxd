# The loop's C side, for the modules of the hub. See loop.pyx.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from hub.libuv cimport uv_async_t, uv_handle_t, uv_loop_t, uv_poll_t, uv_prepare_t, uv_stat_t, uv_timer_t
from hub.ready cimport fifo_t, node_t, ready_t, wait_t

cdef extern from "timer_heap.h" nogil:
    ctypedef struct hub_heap_node:
        size_t place
    ctypedef struct hub_heap_entry:
        hub_heap_node *node
    ctypedef struct hub_heap:
        hub_heap_entry *entries
        size_t length

cdef struct core_t
cdef struct timer_t
cdef struct timer_block_t
cdef struct handle_t

ctypedef void (*timer_function)(timer_t *) noexcept nogil


# A timer out of the loop's pool. It never keeps the loop alive by itself: see core_t.references.
cdef struct timer_t:
    hub_heap_node node    # first: its place among the running ones
    core_t *core
    timer_function fire   # called when it fires; runs without the GIL
    void *target          # for `fire`
    timer_t *next_free    # the pool's list


# Timers are made so many at a time.
cdef struct timer_block_t:
    timer_block_t *next
    timer_t timers[64]


# Somebody who wants to hear of every event on a descriptor (an io watcher), not of the next one only.
cdef struct listener_t:
    listener_t *next
    listener_t *previous
    node_t *node          # the job to queue
    int events            # what it listens for
    int fired             # what has happened since it was last asked
    unsigned int generation  # of the watch when it began to listen
    bint listening        # whether it is in the watch's list


# The one watch of a descriptor on a loop, with everybody who waits for it. Kept for as long as the loop lives:
# `generation` tells one owner of the number from the next: it counts the closings, also those in other threads, at the
# moment in which they are announced.
cdef struct watch_t:
    uv_poll_t uv
    core_t *core
    int fd
    unsigned int generation
    int events            # registered with the kernel now; 0 when not registered
    unsigned int registered  # the generation in which that was done: in a later one it is gone from the kernel
    bint edge             # registered for changes only: what is so is not told again
    bint lost             # found to be closed behind our back; those who wait are still to be told
    bint to_tell          # another thread has closed it, and has still to tell those who wait
    int unclaimed         # how often it fired with nobody there, since somebody waited
    fifo_t readers
    fifo_t writers
    listener_t *listeners


# The C half of a Handle: outlives the object until libuv has called the close callback.
cdef struct handle_t:
    handle_t *next        # all of a loop
    handle_t *previous
    PyObject *owner       # the Handle object, borrowed; NULL when it is gone
    node_t *node          # its entry for the ready queue; NULL when it is gone
    bint started          # whether the Handle keeps itself alive: only then may the entry be queued
    core_t *core
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
    core_t *next_core     # all of this process
    core_t *previous_core
    uv_loop_t *uv         # NULL once the loop is destroyed
    unsigned long epoch   # counts forks and the end: a pooled timer or watch from before must not be touched
    handle_t *handles     # every open Handle
    handle_t *orphans     # Handles whose object was collected; closed at the next turn, by the loop's thread
    long handles_open     # all whose memory libuv may still use
    ready_t ready         # the ready queue of the loop's hub
    long references       # parked waits and alarms that keep the loop alive
    long dropped          # how many of these are gone: other threads count here, with the GIL
    hub_heap timers       # the running ones
    timer_block_t *timer_blocks  # memory of all timers
    size_t timers_made
    timer_t *free_timers  # timers that are not in use
    uint64_t now          # the loop time: when it last looked for I/O
    watch_t **watches     # by descriptor
    int watches_length
    uv_async_t wakeup     # another thread's way to end uv_run()
    uv_prepare_t before_sleep  # keeps a turn from sleeping when somebody is ready
    uv_timer_t alarm_clock  # ends a sleep when a timer is due; only where the libuv is the system's
    node_t *inbox         # job that empties the hub's inbox
    node_t *signals       # job that runs Python's signal handlers
    uv_poll_t signal_poll  # the read end of the pipe that Python's C signal handler writes to
    int signal_read       # its descriptors, or -1
    int signal_write
    unsigned char signal_bytes[64]  # what was read, to be passed on to a wakeup descriptor of the user's
    int signal_count
    bint running          # inside uv_run()
    bint renew            # the epoll may hold what no number leads to: it is to be made anew
    int probe             # a descriptor of ours to make poll handles on


# A piece of work for the hub greenlet. Whoever queues a job keeps it alive until it has run or is taken out.
cdef class Job:
    cdef node_t node      # its entry in the ready queue

    cdef int run(self) except -1


cdef class Loop:
    cdef core_t *core
    cdef object pyuv_loop        # the pyuv.Loop that owns the uv_loop_t
    cdef unsigned long thread    # the one that runs it
    cdef readonly bint default   # whether it belongs to the main thread
    cdef bint foreign            # whether user code has seen the pyuv.Loop, and may have handles on it
    cdef bint unmade             # whether it could not be made in a forked child, and is to be when it is needed
    cdef bint owns_signals       # whether it wakes for Python's signal handlers
    cdef int user_wakeup_fd      # the user's signal.set_wakeup_fd while ours takes its place; -2: not displaced
    cdef uint64_t signals_checked  # the loop time when the slot was last looked at
    cdef bint look_again_runs    # whether a timer will end the next sleep early
    cdef uint64_t look_again_at  # and when
    cdef uint64_t verified       # the loop time when those waited for were last looked after
    cdef uint64_t verify_pause   # nanoseconds until that is done again
    cdef public object own_timer  # a timer of the hub's own, not counted by statistics(), or None (internal)
    cdef object error_handler    # called as error_handler(context, type, value, traceback)
    cdef readonly list fork_watchers  # what is to be told in a forked child

    cdef int check(self) except -1
    cdef int check_thread(self) except -1
    cdef bint is_alive(self) noexcept
    cdef int poll(self, bint block) except -1
    cdef int wake_up(self) except -1
    cdef void drop_reference(self) noexcept
    cdef int look_again(self, uint64_t nanoseconds) except -1
    cdef int watch_signals(self) except -1
    cdef bint claim_signals(self) except -1
    cdef int release_signals(self) except -1
    cdef object leave_slot(self, int ours)
    cdef object close(self)
    cdef timer_t *leave_behind(self, PyObject *current) except? NULL
    cdef int leave_to_parent(self) except -1
    cdef int begin_in_child(self) except -1
    cdef int close_descriptors(self) except -1
    cdef object make(self)
    cdef object make_here(self)

    cdef timer_t *timer_take(self) except NULL
    cdef int make_timers(self) except -1
    cdef void timer_give(self, timer_t *timer) noexcept
    cdef void timer_start(self, timer_t *timer, uint64_t due) noexcept

    cdef watch_t *watch_of(self, int fd) except NULL
    cdef watch_t *watch_open(self, int fd) except NULL
    cdef int verify(self, bint all) noexcept
    cdef bint look_after(self) except -1
    cdef int renew_epoll(self) noexcept
    cdef int watch_want(self, watch_t *watch, int events) except -1
    cdef void watch_update(self, watch_t *watch) noexcept
    cdef int watch_again(self, watch_t *watch) noexcept
    cdef watch_t *watch_if_any(self, int fd) noexcept
    cdef int watch_listen(self, watch_t *watch, listener_t *listener) except -1
    cdef void watch_unlisten(self, watch_t *watch, listener_t *listener) noexcept


cdef enum:
    LISTEN_CLOSED = 4  # among the events of a listener: the descriptor is being closed, and it listens no more


# A libuv handle with a job that is queued when it fires. The watchers with Python callbacks build on it.
cdef class Handle(Job):
    cdef Loop loop
    cdef handle_t *state         # NULL when closed
    cdef int kind                # UV_TIMER, UV_ASYNC, ...
    cdef bint keeps_itself       # whether it has a reference to itself, which it has while it is started
    cdef int signum              # the signal that is watched now, or 0

    cdef int open(self, Loop loop, int kind) except -1
    cdef int start_timer(self, double after, double repeat) except -1
    cdef int start_signal(self, int signum) except -1
    cdef void stop_signal(self) noexcept
    cdef int start_stat(self, bytes path, double interval) except -1
    cdef int start_phase(self) except -1
    cdef int require(self) except -1
    cdef int stop_handle(self) except -1
    cdef int close_handle(self) except -1
    cdef void keep(self, bint alive) noexcept
    cdef bint handle_is_active(self) noexcept
    cdef int set_handle_ref(self, bint ref) except -1
    cdef bint handle_has_ref(self) noexcept
    cdef int notify(self) except -1


cdef bint close_everywhere(int fd, Loop here) noexcept
cdef bint close_generation(Loop loop, int fd, unsigned int generation, bint here) noexcept
cdef int highest_watched() noexcept
cdef int next_of_a_loop(int low) noexcept
cdef uint64_t now_ns() noexcept nogil
cdef uint64_t due_after(double seconds) except? 0
cdef void timer_to_pool(timer_t *timer) noexcept nogil
cdef void timer_restart(timer_t *timer, uint64_t due) noexcept nogil
