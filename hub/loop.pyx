"""The event loop: a pyuv.Loop, driven through libuv's C functions.

This is the only module that calls libuv; its extension module carries libuv and pyuv.

Rules
    1. A libuv callback here is a C function that runs without the GIL. It puts an entry on the ready queue and
       returns. It never touches a Python object, and it never switches.
    2. Timers and descriptor watches (watches.pxd) belong to pools of the loop and are never closed before the loop is.
       None of them keeps the loop alive: `core.references` counts what does, and so a watch may stay
       registered between two waits.
    3. The loop's time is CLOCK_MONOTONIC in nanoseconds. Its timers (timers.pxd) are not libuv's, which count
       milliseconds: exact_sleep.h ends libuv's sleep in time for the first of them. Those that are due fire after each
       look for I/O.

What does not belong here: greenlets, parking, Python callbacks. The hub's scheduler is built on this.

This file is longer than others because what it carries can be called from nowhere else: libuv's functions are hidden in
this extension module, so that another libuv in the process never mixes with them.
"""

import os
from _signal import set_wakeup_fd
from os import close as close_descriptor

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_INCREF, Py_DECREF
from libc.errno cimport EINTR, errno
from libc.string cimport memset
from posix.unistd cimport read, usleep, write

from hub import low_descriptors
from hub.errors import HubDestroyed, InvalidThreadUseError
from hub.handles cimport (
    begin_phase, begin_signal, begin_stat, begin_timer, close_state, has_reference, is_active, new_state, set_reference,
    stop_signal, stop_state, stop_timer, unlink_state,
)
from hub.libuv cimport *
from hub.ready cimport (
    NODE_ALARM, NODE_JOB, NODE_WAIT, NODE_YIELD, OUTCOME_READY, alarm_t, fifo_wake_first, hub_check, ready_pop,
    ready_push, ready_push_front, ready_remove, ready_t, wait_t,
)
from hub.timers cimport (
    HUB_NEVER, due_after, fire_timers, free_timers, hub_heap, hub_heap_due, leave_timers, nanoseconds_of, now_ns,
    timer_start, timer_take, timer_to_pool,
)
from hub.watches cimport (
    add_listener, close_watch, close_watch_elsewhere, end_generation, find_watch, get_watch, hub_poll_register,
    open_watch, remove_listener, renew_epoll, report_again, stop, update_watch, verify, want_events,
)

__all__ = ["LIBUV_VERSION", "Handle", "Job", "Loop"]

cdef extern from "exact_sleep.h" nogil:
    bint HUB_EXACT_SLEEP
    int hub_milliseconds(uint64_t nanoseconds)
    int hub_run(uv_loop_t *, const hub_heap *, uv_run_mode)

cdef extern from "worker_threads.h":
    pass  # libuv calls it

cdef extern from *:
    """
    /* The layout of pyuv's Loop object (pyuv 1.4.0, src/pyuv.h), as far as its pointer to the uv_loop_t. */
    typedef struct {
        PyObject_HEAD
        PyObject *weakreflist;
        PyObject *dict;
        uv_loop_t loop_struct;
        uv_loop_t *uv_loop;
    } hub_pyuv_loop;
    #define hub_uv_loop(object) (((hub_pyuv_loop *) (object))->uv_loop)

    /* The descriptors of a loop that a forked child must not share with its parent. */
    static void hub_loop_descriptors(uv_loop_t *loop, int out[4])
    {
        out[0] = loop->backend_fd;
        out[1] = loop->async_io_watcher.fd;
        out[2] = loop->signal_pipefd[0];
        out[3] = loop->signal_pipefd[1];
    }

    static long hub_active_handles(uv_loop_t *loop) { return (long) loop->active_handles; }

    """
    long hub_active_handles(uv_loop_t *loop) nogil
    uv_loop_t *hub_uv_loop(PyObject *loop)
    void hub_loop_descriptors(uv_loop_t *loop, int *out) nogil

cdef extern from *:
    "PyObject *PyInit__cpyuv(void);"
    object PyInit__cpyuv()

cdef extern from "sys/eventfd.h" nogil:
    int eventfd(unsigned int, int)
    int EFD_CLOEXEC

cdef extern from "<time.h>" nogil:
    int CLOCK_THREAD_CPUTIME_ID
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *time)

cpyuv = PyInit__cpyuv()
cdef core_t *living = NULL  # of the loops of all threads; with the GIL
look_after_others = None  # finds out what else has been closed: hub.closing says

LIBUV_VERSION = (<bytes> uv_version_string()).decode()

cdef enum:
    # How many descriptors a loop has: an epoll, two pipes and two wake-up descriptors. One of the pipes is the first
    # loop's only.
    DESCRIPTORS = 7
    # Nanoseconds between two looks at the slot of signal.set_wakeup_fd.
    SLOT_CHECK = 50000000
    # Nanoseconds, at least, between two looks whether the descriptors that are waited for are still there.
    VERIFY_PAUSE = 250000000
    # How much longer the pause is than what a look takes: of this thread's own time, as others may have the processor.
    VERIFY_SHARE = 400


def set_look_after_others(function):
    """Say what Loop.look_after() is to call, too (internal)."""
    global look_after_others
    look_after_others = function


# --- time -------------------------------------------------------------------------------------------------------

cdef uint64_t worked_ns() noexcept nogil:
    """How long this thread has had a processor, in nanoseconds."""
    cdef timespec worked
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked)
    return <uint64_t> worked.tv_sec * 1000000000 + <uint64_t> worked.tv_nsec


# --- libuv callbacks: no GIL, no Python -------------------------------------------------------------------------

cdef bint close_everywhere(int fd, Loop here) noexcept:
    """Descriptor `fd` is about to be closed: take it from the epoll of every loop, and count its watches up.

    Waits on `here`, the loop of this thread or None, are woken. Returns whether waits on other loops are still to be
    woken: the `to_tell` of their watches is set.

    No Python code runs in here, so no other thread does. It may know that the descriptor is being closed, and close it
    itself; and then the number is another file's.
    """
    cdef core_t *core = living
    cdef watch_t *watch
    cdef bint others = False
    while core != NULL:
        watch = core.watches[fd] if 0 <= fd < core.watches_length else NULL
        if watch != NULL:
            if here is not None and core is here.core:
                close_watch(watch)
            elif close_watch_elsewhere(watch):
                watch.to_tell = others = True
        core = core.next_core
    return others


cdef bint close_generation(Loop loop, int fd, unsigned int generation, bint here) noexcept:
    """Wake the waits for `fd` on that loop as closed, if its watch is still of that generation.

    `here`: the loop is this thread's. Returns whether closed_elsewhere() is to be called. No Python code runs in here.
    """
    cdef watch_t *watch = loop.watch_if_any(fd)
    if watch == NULL or watch.generation != generation:
        return False  # the number is another file's
    if not here:
        return close_watch_elsewhere(watch)
    close_watch(watch)
    return False


cdef int next_of_a_loop(int low) noexcept:
    """The first descriptor from `low` on that a loop, of any thread, has for itself; -1 if there is none."""
    cdef core_t *core = living
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
    """All descriptors that are watched, in any thread, are below that number."""
    cdef core_t *core = living
    cdef int highest = 0
    while core != NULL:
        highest = max(highest, core.watches_length)
        core = core.next_core
    return highest


cdef void on_before_sleep(uv_prepare_t *handle) noexcept nogil:
    """What fired at the beginning of a turn may have made somebody ready: then the turn must not sleep."""
    cdef core_t *core = <core_t *> handle.data
    if core.ready.head != NULL:
        uv_stop(core.uv)
    elif not HUB_EXACT_SLEEP:
        set_alarm_clock(core)


cdef void set_alarm_clock(core_t *core) noexcept nogil:
    """Let libuv wake up when the first timer is due: at the millisecond after it, for want of better."""
    cdef uint64_t due = hub_heap_due(&core.timers.running)
    cdef uint64_t now = now_ns()
    if due == HUB_NEVER:
        uv_timer_stop(&core.alarm_clock)
    else:
        uv_update_time(core.uv)
        uv_timer_start(&core.alarm_clock, on_alarm_clock, hub_milliseconds(due - now) if due > now else 0, 0)


cdef void on_alarm_clock(uv_timer_t *handle) noexcept nogil:
    pass


cdef void on_wakeup(uv_async_t *handle) noexcept nogil:
    cdef core_t *core = <core_t *> handle.data
    if core.inbox != NULL and not core.inbox.queued:
        ready_push(&core.ready, core.inbox)


cdef void on_look_again(timer_t *timer) noexcept nogil:
    """The loop has woken up and looks around: that is all."""
    (<bint *> timer.target)[0] = False
    timer_to_pool(timer)


cdef bint read_signals(core_t *core) noexcept nogil:
    """Empty the pipe of signals, after those that were read before. Returns whether there were any."""
    cdef char beyond[64]
    cdef size_t room
    cdef ssize_t count
    cdef bint found = False
    while True:
        room = sizeof(core.signal_bytes) - <size_t> core.signal_count
        if room > 0:
            count = read(core.signal_read, core.signal_bytes + core.signal_count, room)
        else:
            room = sizeof(beyond)
            count = read(core.signal_read, beyond, room)  # more than anybody's descriptor would have held
        if count > 0:
            found = True
            if core.signal_count < <int> sizeof(core.signal_bytes):
                core.signal_count += <int> count
        if count < <ssize_t> room and not (count < 0 and errno == EINTR):
            return found


cdef void on_signal_pipe(uv_poll_t *handle, int status, int events) noexcept nogil:
    cdef core_t *core = <core_t *> handle.data
    read_signals(core)
    handle_signals_next(core)


cdef inline void handle_signals_next(core_t *core) noexcept nogil:
    # In front: Python's handlers run before any greenlet goes on, so that what they raise does not come up
    # in whichever greenlet happened to be polling.
    if core.signals != NULL and not core.signals.queued:
        ready_push_front(&core.ready, core.signals)


cdef class Job:
    """A piece of work for the hub greenlet (internal base class)."""

    def __cinit__(self):
        self.node.kind = NODE_JOB
        self.node.object = <PyObject *> self

    cdef int run(self) except -1:
        raise NotImplementedError("a Job must say what it does")


cdef object restore_wakeup_fd(int fd):
    try:
        set_wakeup_fd(fd)
    except (OSError, ValueError):
        # Its owner has closed it: the slot stays empty.
        set_wakeup_fd(-1)


cdef void link_core(core_t *core) noexcept:
    global living
    core.next_core = living
    if living != NULL:
        living.previous_core = core
    living = core


cdef void unlink_core(core_t *core) noexcept:
    global living
    if core.previous_core != NULL:
        core.previous_core.next_core = core.next_core
    else:
        living = core.next_core
    if core.next_core != NULL:
        core.next_core.previous_core = core.previous_core


# --- the loop ---------------------------------------------------------------------------------------------------

cdef class Loop:
    """The event loop of one hub.

    `default` says whether it belongs to the main thread, whose loop also wakes up for Python's signal handlers.
    Made by the hub; user code reaches it as ``get_hub().loop``.
    """

    def __cinit__(self, default=True):
        self.default = default
        self.fork_watchers = []
        self.user_wakeup_fd = -2
        self.core = <core_t *> PyMem_RawCalloc(1, sizeof(core_t))
        if self.core == NULL:
            raise MemoryError()
        link_core(self.core)
        self.make()

    def __dealloc__(self):
        if self.core == NULL:
            return
        unlink_core(self.core)
        if self.core.uv == NULL:
            PyMem_RawFree(self.core)
        # else: not destroyed. Handles are open on it, so its memory is left to the operating system.

    cdef object make(self):
        """Give the core a new libuv loop. Raises OSError if there are not descriptors enough for it."""
        if not self.default:
            return self.make_here()
        with low_descriptors.kept_free():
            self.make_here()
            self.core.signal_read, self.core.signal_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    cdef object make_here(self):
        cdef core_t *core = self.core
        cdef int error
        low_descriptors.ensure(DESCRIPTORS + 2 * self.default)
        loop = cpyuv.Loop()
        core.signal_read = core.signal_write = -1
        core.probe = eventfd(0, EFD_CLOEXEC)
        if core.probe < 0:
            raise_errno(-errno, "the event loop could not be made")
        core.uv = hub_uv_loop(<PyObject *> loop)
        error = uv_async_init(core.uv, &core.wakeup, on_wakeup)
        if error:
            core.uv = NULL
            close_descriptor(core.probe)
            raise_errno(error, "the event loop could not be made")
        core.wakeup.data = core
        uv_prepare_init(core.uv, &core.before_sleep)
        core.before_sleep.data = core
        uv_prepare_start(&core.before_sleep, on_before_sleep)
        uv_unref(<uv_handle_t *> &core.before_sleep)
        if not HUB_EXACT_SLEEP:
            uv_timer_init(core.uv, &core.alarm_clock)
            uv_unref(<uv_handle_t *> &core.alarm_clock)
        core.now = now_ns()
        self.thread = <unsigned long> PyThread_get_thread_ident()
        self.pyuv_loop = loop
        loop.excepthook = self.pyuv_excepthook
        self.foreign = False

    def pyuv_excepthook(self, type, value, traceback):
        """What a callback of a pyuv handle raised goes to the hub's `handle_error`."""
        self.error_handler(self.pyuv_loop, type() if value is None else value)

    cdef int check(self) except -1:
        if self.core.uv == NULL:
            if not self.unmade:
                raise HubDestroyed(f"{self!r}: get_hub() makes a new hub with a new loop")
            self.begin_in_child()
        return 0

    cdef int check_thread(self) except -1:
        self.check()
        if self.thread != <unsigned long> PyThread_get_thread_ident():
            raise InvalidThreadUseError(f"{self!r} belongs to another thread")
        return 0

    # --- running ---

    cdef bint is_alive(self) noexcept:
        """Whether anything could still happen: a referenced handle, request or wait."""
        cdef bint alive
        self.core.references -= self.core.dropped
        self.core.dropped = 0
        hub_check(self.core.references >= 0, b"what keeps the loop alive is counted")
        if self.core.references > 0:
            return True
        if self.core.uv == NULL:
            return False
        uv_unref(<uv_handle_t *> &self.core.wakeup)
        alive = uv_loop_alive(self.core.uv)
        uv_ref(<uv_handle_t *> &self.core.wakeup)
        return alive

    cdef int poll(self, bint block) except -1:
        """Run the loop once: for as long as nothing happens, without the GIL, or just to look, with it.

        Timers are as exact as the system's. With a libuv of the system they are late by up to a millisecond.
        """
        cdef core_t *core = self.core
        if core.uv == NULL:
            return 0  # there is nothing to look at
        while core.orphans != NULL:
            close_state(core.orphans)
        if core.renew:
            renew_epoll(core)
        core.running = True
        if block:
            with nogil:
                hub_run(core.uv, &core.timers.running, UV_RUN_ONCE)
        else:
            # With the GIL: giving it up with a CPU-bound thread beside would cost a switch interval each time.
            uv_run(core.uv, UV_RUN_NOWAIT)
        core.now = now_ns()
        fire_timers(&core.timers, core.now)
        core.running = False
        return 0

    cdef int wake_up(self) except -1:
        """End a poll that another thread's hub is in. Any thread; needs the GIL."""
        if self.core.uv != NULL:
            uv_async_send(&self.core.wakeup)
        return 0

    cdef void drop_reference(self) noexcept:
        """What another thread has cancelled keeps the loop alive no longer. Any thread; needs the GIL."""
        if self.core.uv != NULL:
            self.core.dropped += 1
            uv_async_send(&self.core.wakeup)

    cdef int look_again(self, uint64_t nanoseconds) except -1:
        """See to it that a sleep which begins now ends after so long, or earlier."""
        cdef timer_t *timer
        cdef uint64_t due = self.core.now + nanoseconds
        if self.look_again_runs and self.look_again_at <= due:
            return 0
        timer = timer_take(&self.core.timers)
        timer.target = &self.look_again_runs
        timer.fire = on_look_again
        self.look_again_runs = True
        self.look_again_at = due
        timer_start(timer, due)
        return 0

    # --- Python's signal handlers ---

    cdef int watch_signals(self) except -1:
        """Wake up when Python's C signal handler has noted a signal. Main thread of the main interpreter only."""
        cdef int error
        error = uv_poll_init(self.core.uv, &self.core.signal_poll, self.core.probe)
        if error == 0:
            self.core.signal_poll.data = self.core
            uv_unref(<uv_handle_t *> &self.core.signal_poll)
            error = hub_poll_register(
                self.core.uv, &self.core.signal_poll, self.core.signal_read, UV_READABLE, on_signal_pipe
            )
        if error:
            raise_errno(error, "the loop cannot watch for signals")
        self.owns_signals = True
        self.signals_checked = 0
        self.claim_signals()
        self.release_signals()
        return 0

    cdef bint claim_signals(self) except -1:
        """Make sure that a signal will end the poll to come. True if that displaced a descriptor of the user's.

        Anybody may take the one slot of signal.set_wakeup_fd at any time (asyncio and gunicorn do), so it is
        looked at again before a sleep. Looking costs two system calls, so it is done at most every SLOT_CHECK
        nanoseconds; a timer sees to it that a sleep which begins before that is soon interrupted for it.
        A user's descriptor is put back by release_signals(), and gets the signals that came meanwhile, and no others.
        """
        cdef uint64_t now
        cdef bint first = self.signals_checked == 0
        self.core.signal_count = 0
        if self.user_wakeup_fd == -2:
            now = self.core.now
            if now - self.signals_checked < SLOT_CHECK:
                self.look_again(SLOT_CHECK)
                return False
            self.signals_checked = now
        previous = set_wakeup_fd(self.core.signal_write, warn_on_full_buffer=False)
        if previous == self.core.signal_write or previous == -1:
            if previous == -1 and not first:
                # Nobody was told of signals that came while the slot was empty (asyncio empties it in forked children).
                handle_signals_next(self.core)
            self.user_wakeup_fd = -2
            return False
        self.user_wakeup_fd = previous
        return True

    cdef int release_signals(self) except -1:
        """Give the slot back to the program, with the signals that came while it was displaced."""
        cdef int fd = self.user_wakeup_fd
        if fd != -2:
            restore_wakeup_fd(fd)
            if read_signals(self.core):  # since the poll
                handle_signals_next(self.core)
            if self.core.signal_count:
                write(fd, self.core.signal_bytes, self.core.signal_count)
        return 0

    # --- descriptors ---

    cdef watch_t *watch_of(self, int fd) except NULL:
        """The watch of a descriptor, made if need be."""
        if self.core.uv == NULL:
            self.check()
        return get_watch(self.core, fd)

    cdef watch_t *watch_open(self, int fd) except NULL:
        """The watch of a descriptor for a new owner of the number."""
        if self.core.uv == NULL:
            self.check()
        return open_watch(self.core, fd)

    cdef watch_t *watch_if_any(self, int fd) noexcept:
        return find_watch(self.core, fd)

    cdef int watch_want(self, watch_t *watch, int events) except -1:
        return want_events(watch, events)

    cdef void watch_update(self, watch_t *watch) noexcept:
        update_watch(watch)

    cdef int watch_again(self, watch_t *watch) noexcept:
        return report_again(watch)

    cdef int watch_listen(self, watch_t *watch, listener_t *listener) except -1:
        return add_listener(watch, listener)

    cdef void watch_unlisten(self, watch_t *watch, listener_t *listener) noexcept:
        remove_listener(watch, listener)

    cdef bint look_after(self) except -1:
        """Before a sleep: nobody is to wait for a descriptor that was closed without a word, and keep the loop alive.

        Returns whether all were looked at now.

        The kernel says nothing of that. So it is asked, once after Python code has run, and no more than every
        VERIFY_PAUSE nanoseconds or a VERIFY_SHARE-th of the time.
        """
        cdef uint64_t now = self.core.now
        cdef uint64_t begin
        if self.core.watches_length == 0:
            return False
        if now - self.verified < self.verify_pause:
            if not self.look_again_runs or self.look_again_at > self.verified + self.verify_pause:
                self.look_again(self.verify_pause - (now - self.verified))
            return False
        self.verified = now
        begin = worked_ns()
        verify(self.core, False)
        if look_after_others is not None:
            look_after_others()
        self.verify_pause = max(<uint64_t> VERIFY_PAUSE, (worked_ns() - begin) * VERIFY_SHARE)
        return True

    def closed_elsewhere(self, int fd, unsigned int generation):
        """Another thread has closed descriptor `fd`: wake the waits from before that, with EBADF (internal).

        That thread counted the watch's generation up when it closed, not when this one hears of it. So waits from
        before are told from waits for the next file with the same number.
        """
        cdef watch_t *watch = self.watch_if_any(fd)
        if watch == NULL:
            return  # the loop was made anew after a fork
        if watch.events and watch.registered != watch.generation:
            stop(watch)
        end_generation(watch, generation)

    def wake_readers(self, int fd):
        """Wake the waits until descriptor `fd` is readable, as if it were: they look themselves (internal)."""
        cdef watch_t *watch = self.watch_if_any(fd)
        if watch != NULL:
            while fifo_wake_first(&watch.readers, OUTCOME_READY) != NULL:
                pass

    def closing_fd(self, int fd):
        """Say that descriptor `fd` is about to be closed; greenlets that wait for it are woken with EBADF.

        Returns whether anybody waited. This loop only, in its own thread, or InvalidThreadUseError is raised;
        ``hub.closing.closing_descriptor`` tells those of all threads.
        """
        cdef watch_t *watch
        self.check_thread()
        watch = self.watch_if_any(fd)
        if watch == NULL:
            return False
        waited = watch.readers.head != NULL or watch.writers.head != NULL
        close_watch(watch)
        return waited

    # --- what user code may ask ---

    @property
    def uv(self):
        """The `pyuv.Loop` this loop is; make pyuv handles on it, and they fire while greenlets run.

        Its handles call Python from inside libuv. Once this attribute has been read, the loop is therefore run
        on the hub greenlet only, which costs a switch each time the process has nothing else to do.
        A callback of such a handle must not block; what it raises goes to ``hub.handle_error``.
        """
        self.check()
        self.foreign = True
        return self.pyuv_loop

    def now(self):
        """The loop's cached time in seconds (float), on the monotonic clock."""
        self.check()
        return self.core.now / 1e9

    def update_now(self):
        """Read the clock into the loop's cached time. The loop's own thread only: InvalidThreadUseError."""
        self.check_thread()
        self.core.now = now_ns()

    update = update_now

    def fileno(self):
        """The descriptor of the kernel's event queue (epoll); readable when the loop has something to do."""
        self.check()
        return uv_backend_fd(self.core.uv)

    @property
    def signal_descriptor(self):
        """What the main thread's loop gives to signal.set_wakeup_fd() while it sleeps (int); -1 for other loops."""
        self.check()
        return self.core.signal_write

    @property
    def alive(self):
        """Whether a referenced handle, request, timer or wait could still make something happen (bool)."""
        return self.core.uv != NULL and self.is_alive()

    @property
    def destroyed(self):
        """Whether the loop was destroyed (bool)."""
        return self.core.uv == NULL

    @property
    def activecnt(self):
        """How many waits, alarms and handles keep the loop alive (int)."""
        self.check()
        return self.core.references - self.core.dropped + hub_active_handles(self.core.uv) - 1

    @property
    def pendingcnt(self):
        """How many greenlets and callbacks are ready to run (int)."""
        self.check()
        return self.core.ready.length

    def __repr__(self):
        if self.core.uv == NULL:
            return f"<{type(self).__name__} at {id(self):#x} destroyed>"
        kind = " default" if self.default else ""
        return (
            f"<{type(self).__name__} at {id(self):#x}{kind} libuv {LIBUV_VERSION} "
            f"fileno={self.fileno()} references={self.core.references - self.core.dropped} "
            f"ready={self.core.ready.length}>"
        )

    def statistics(self):
        """Counts for debugging: a dict of name to int."""
        self.check()
        cdef handle_t *state = self.core.handles
        handles = watches = registered = 0
        while state != NULL:
            handles += state.owner is not <PyObject *> self.own_timer
            state = state.next
        for i in range(self.core.watches_length):
            if self.core.watches[i] != NULL:
                watches += 1
                registered += self.core.watches[i].events != 0
        return {
            "ready": self.core.ready.length,
            "references": self.core.references - self.core.dropped,
            "watches": watches,
            "watches_registered": registered,
            "handles": handles,
        }

    # --- the end, and forks ---

    cdef object close(self):
        """Close every handle and give the memory back. The loop must not be running."""
        cdef core_t *core = self.core
        cdef uv_loop_t *uv = core.uv
        if uv == NULL:
            return
        core.timers.epoch += 1
        # Not to be found by other threads any more: their memory goes below.
        PyMem_RawFree(core.watches)
        core.watches = core.to_verify = NULL
        core.watches_length = 0
        if self.owns_signals:
            self.leave_slot(core.signal_write)
        while core.orphans != NULL:
            close_state(core.orphans)
        while core.handles != NULL:
            forget_owner(core.handles)
        for handle in self.pyuv_loop.handles:
            if not handle.closed:
                handle.close()
        uv_walk(uv, close_pooled, core)
        uv_close(<uv_handle_t *> &core.wakeup, NULL)
        uv_close(<uv_handle_t *> &core.before_sleep, NULL)
        if not HUB_EXACT_SLEEP:
            uv_close(<uv_handle_t *> &core.alarm_clock, NULL)
        for turn in range(1000 + 8):
            if uv_run(uv, UV_RUN_NOWAIT) == 0:
                break
            if turn >= 8:
                # Handles are closed by now, but a thread of libuv's pool still works for one, or for a pyuv request.
                with nogil:
                    usleep(1000)
        else:
            Py_INCREF(self.pyuv_loop)  # for ever: that thread will use it
            core.handles_open = 0
        hub_check(core.handles_open == 0, b"every handle of a loop is closed with it")
        core.uv = NULL
        for fd in (core.probe, core.signal_read, core.signal_write):
            if fd >= 0:
                close_descriptor(fd)
        free_timers(&core.timers)
        while ready_pop(&core.ready) != NULL:
            pass
        del self.pyuv_loop.excepthook
        self.pyuv_loop = None

    cdef object leave_slot(self, int ours):
        """Take our descriptor out of the slot of signal.set_wakeup_fd, and nobody else's. Whether it was there."""
        previous = set_wakeup_fd(-1)
        if previous not in (ours, -1):
            restore_wakeup_fd(previous)
        return previous == ours

    cdef timer_t *leave_behind(self, PyObject *current) except? NULL:
        """In a forked child, the hub of the thread that forked: leave the libuv loop to the parent.

        With what waits on it, but for greenlet `current`, which stays in the ready queue if it is there. Its memory is
        kept, because waits that will never be woken still point into it; its descriptors, shared with the parent, are
        closed. Returns the timers that were running, linked by `next_free`. begin_in_child() makes a new loop.
        """
        cdef core_t *core = self.core
        cdef timer_t *timers
        cdef ready_t left
        cdef int i
        cdef node_t *node
        for i in range(core.watches_length):
            if core.watches[i] != NULL:
                core.watches[i].events = 0
                core.watches[i].generation += 1
        while core.handles != NULL:
            forget_owner(core.handles)
        timers = leave_timers(&core.timers)
        left = core.ready
        memset(&core.ready, 0, sizeof(core.ready))
        while True:
            node = ready_pop(&left)
            if node == NULL:
                break
            if greenlet_of(node) is current:
                ready_push(&core.ready, node)
        core.handles = core.orphans = NULL
        core.handles_open = 0
        if core.uv != NULL:
            self.close_descriptors()
        core.references = core.dropped = 0
        core.signal_count = 0
        core.running = core.renew = False
        self.look_again_runs = False
        self.default = True  # the child's only thread is the main one
        self.unmade = True
        return timers

    cdef int leave_to_parent(self) except -1:
        """In a forked child, the hub of another thread: nothing of it is used here.

        Its thread may have been in the middle of anything when the process was forked.
        """
        cdef handle_t *state = self.core.handles
        if self.core.uv == NULL:
            return 0
        while state != NULL:
            if state.owner != NULL:
                stop_signal(state)  # which libuv would tell the parent of
                (<Handle> state.owner).state = NULL
            state = state.next
        self.close_descriptors()
        return 0

    cdef int close_descriptors(self) except -1:
        """In a forked child: close what is shared with the parent's loop. Nothing points to that any more."""
        cdef core_t *core = self.core
        cdef int fds[4]
        Py_INCREF(self.pyuv_loop)  # for ever: its deallocator would use descriptors that are closed here
        if self.owns_signals and self.leave_slot(core.signal_write) and self.user_wakeup_fd >= 0:
            restore_wakeup_fd(self.user_wakeup_fd)
        self.user_wakeup_fd = -2
        self.owns_signals = False
        hub_loop_descriptors(core.uv, fds)
        for fd in (fds[0], fds[1], fds[2], fds[3], core.probe, core.signal_read, core.signal_write):
            if fd >= 0:
                try:
                    close_descriptor(fd)
                except OSError:
                    pass
        core.probe = core.signal_read = core.signal_write = -1
        core.timers.epoch += 1
        core.uv = NULL
        core.watches = core.to_verify = NULL
        core.watches_length = 0
        return 0

    cdef int begin_in_child(self) except -1:
        """After leave_behind(): go on with a new libuv loop. Raises OSError if there cannot be one: try again."""
        self.make()
        self.unmade = False
        self.watch_signals()
        return 0


cdef PyObject *greenlet_of(node_t *node) noexcept nogil:
    """The greenlet that an entry of the ready queue resumes, or NULL."""
    if node.kind == NODE_WAIT:
        return (<wait_t *> node).greenlet
    if node.kind == NODE_ALARM:
        return (<alarm_t *> node).greenlet
    return node.object if node.kind == NODE_YIELD else NULL


cdef void free_pooled(uv_handle_t *handle) noexcept nogil:
    PyMem_RawFree(handle.data)


cdef void close_pooled(uv_handle_t *handle, void *core) noexcept nogil:
    """Close what belongs to the loop's pools: the handles whose data is the struct that begins with them."""
    if handle is <uv_handle_t *> &(<core_t *> core).signal_poll:
        uv_close(handle, NULL)
    elif handle.data is <void *> handle and not uv_is_closing(handle):
        uv_close(handle, free_pooled)


# --- handles ------------------------------------------------------------------------------------------------------

cdef void forget_owner(handle_t *state) noexcept:
    """The loop ends, or was left behind in a fork: make the object a closed one."""
    cdef Handle owner
    if state.owner != NULL:
        owner = <Handle> state.owner
        stop_signal(state)
        owner.state = NULL
        if owner.node.queued:
            ready_remove(&state.core.ready, &owner.node)
        owner.keep(False)
    close_state(state)


cdef class Handle(Job):
    """A libuv handle that queues its job when it fires (internal base class of the watchers)."""

    def __dealloc__(self):
        cdef handle_t *state = self.state
        if state != NULL:
            # Perhaps another thread's garbage collection: leave the closing to the loop's own thread.
            unlink_state(state)
            state.owner = NULL
            state.node = NULL
            state.next = state.core.orphans
            if state.next != NULL:
                state.next.previous = state
            state.core.orphans = state

    cdef int open(self, Loop loop, int kind) except -1:
        loop.check()
        self.state = new_state(loop.core, kind, type(self).__name__)
        self.state.owner = <PyObject *> self
        self.state.node = &self.node
        self.loop = loop
        return 0

    cdef int require(self) except -1:
        if self.state == NULL:
            raise ValueError(f"{self!r} is closed; make a new watcher")
        return 0

    cdef void keep(self, bint alive) noexcept:
        """A started handle must not be collected, nor a job in the ready queue: it keeps a reference to itself.

        One that is not started never comes into the queue.
        """
        if alive and not self.keeps_itself:
            self.keeps_itself = True
            if self.state != NULL:
                self.state.started = True
            Py_INCREF(self)
        elif not alive and self.keeps_itself:
            self.keeps_itself = False
            if self.state != NULL:
                self.state.started = False
            Py_DECREF(self)

    cdef int start_timer(self, double after, double repeat) except -1:
        cdef uint64_t due = due_after(after)
        cdef uint64_t again = nanoseconds_of(repeat)
        self.require()
        stop_timer(self.state)
        self.state.fired = False
        if self.node.queued:
            ready_remove(&self.loop.core.ready, &self.node)  # it has fired, of which nobody was told yet
        begin_timer(self.state, due, again)
        self.keep(True)
        return 0

    cdef int start_signal(self, int signum) except -1:
        self.require()
        begin_signal(self.state, signum)
        self.keep(True)
        return 0

    cdef int start_stat(self, bytes path, double interval) except -1:
        self.require()
        begin_stat(self.state, path, max(1, <unsigned int> (min(interval, 4e6) * 1000 + 0.5)))
        self.keep(True)
        return 0

    cdef int start_phase(self) except -1:
        """Start one that takes no arguments: prepare, check, idle, async."""
        self.require()
        begin_phase(self.state)
        self.keep(True)
        return 0

    cdef int stop_handle(self) except -1:
        if self.state == NULL:
            return 0
        stop_state(self.state)
        if self.node.queued:
            ready_remove(&self.loop.core.ready, &self.node)
        self.keep(False)
        return 0

    cdef int close_handle(self) except -1:
        cdef handle_t *state
        self.stop_handle()
        state = self.state
        if state != NULL:
            self.state = NULL
            state.owner = NULL
            state.node = NULL
            close_state(state)
        return 0

    cdef bint handle_is_active(self) noexcept:
        return self.state != NULL and is_active(self.state)

    cdef int set_handle_ref(self, bint ref) except -1:
        self.require()
        set_reference(self.state, ref)
        return 0

    cdef bint handle_has_ref(self) noexcept:
        return self.state != NULL and has_reference(self.state)

    cdef int notify(self) except -1:
        self.require()
        uv_async_send(<uv_async_t *> self.state.uv)
        return 0
