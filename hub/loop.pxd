# The loop's C side, for the modules of the hub. See loop.pyx.

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from hub.core cimport core_t, handle_t, listener_t, watch_t
from hub.ready cimport node_t
from hub.timers cimport timer_t
from hub.wakeup_slot cimport WakeupSlot


# A piece of work for the hub greenlet. Code that queues a job keeps it alive until it has run or is taken out.
cdef class Job:
    cdef node_t node      # its entry in the ready queue

    cdef int run(self) except -1


cdef class Loop:
    cdef core_t *core
    cdef object pyuv_loop        # the pyuv.Loop that owns the uv_loop_t
    cdef unsigned long thread    # the thread that runs it
    cdef readonly bint default   # whether it belongs to the main thread
    cdef bint exposed            # whether the program has got the pyuv.Loop, and may have handles on it
    cdef bint unmade             # in a forked child: whether the new libuv loop is still to be made, on its first use
    cdef WakeupSlot slot         # wakes the loop for Python's signal handlers; None for loops of other threads
    cdef public object own_timer  # a timer of the hub's own, not counted by statistics(), or None (internal)
    cdef object error_handler    # called as error_handler(context, exception) when a pyuv callback has failed
    cdef readonly list fork_watchers  # the started watchers that fire in a forked child

    cdef int check(self) except -1
    cdef int check_thread(self) except -1
    cdef bint is_alive(self) noexcept
    cdef int poll(self, bint block) except -1
    cdef int wake_up(self) except -1
    cdef void drop_reference(self) noexcept
    cdef int watch_signals(self) except -1
    cdef object close(self)
    cdef timer_t *leave_behind(self, PyObject *current) except? NULL
    cdef int leave_to_parent(self) except -1
    cdef int begin_in_child(self) except -1
    cdef int close_descriptors(self) except -1
    cdef object make(self)
    cdef object make_here(self)

    cdef watch_t *watch_of(self, int fd) except NULL
    cdef watch_t *watch_open(self, int fd) except NULL
    cdef bint verify_watches(self) except -1
    cdef int watch_want(self, watch_t *watch, int events) except -1
    cdef void watch_update(self, watch_t *watch) noexcept
    cdef int watch_report_again(self, watch_t *watch) noexcept
    cdef watch_t *watch_if_any(self, int fd) noexcept
    cdef void watch_close(self, int fd) noexcept
    cdef int watch_listen(self, watch_t *watch, listener_t *listener) except -1
    cdef void watch_unlisten(self, watch_t *watch, listener_t *listener) noexcept


# A libuv handle, or a timer of ours, whose job is queued when it fires. The watchers build on it.
cdef class Handle(Job):
    cdef Loop loop
    cdef handle_t *state         # NULL when closed
    cdef bint keeps_itself       # whether it has a reference to itself: while it is started

    cdef int open(self, Loop loop, int kind) except -1
    cdef int start_timer(self, double after, double repeat) except -1
    cdef int start_signal(self, int signum) except -1
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
