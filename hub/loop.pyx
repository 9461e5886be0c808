"""The event loop: a pyuv.Loop, driven through libuv's C functions.

This is the only module that calls libuv; its extension module carries libuv and pyuv. libuv's functions are hidden in
it, so that another libuv in the process never mixes with them. Parts with a subject of their own are headers that only
this module cimports: watches.pxd, handles.pxd, sleeping.pxd, stopped_clock.pxd, loop_end.pxd.

Rules
    1. A libuv callback is a C function that runs without the GIL. It puts an entry on the ready queue and returns. It
       never touches a Python object, and it never switches.
    2. Timers and descriptor watches belong to pools of the loop and are never closed before the loop is. None keeps the
       loop alive: `core.references` counts the things that do. So a watch may stay registered between two waits.
    3. The loop's time is that of the hubs' clock (timers.pxd), in nanoseconds. Its timers are not libuv's, which count
       milliseconds. Timers that are due fire after each look for I/O.

What does not belong here: greenlets, parking, Python callbacks. The hub's scheduler is built on this.
"""

import os
from os import close as close_descriptor

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_INCREF, Py_DECREF
from libc.errno cimport errno

from hub import low_descriptors
from hub.all_loops cimport add_loop, first_loop, remove_loop
from hub.errors import HubDestroyed, InvalidThreadUseError
from hub.handles cimport (
    begin_phase, begin_signal, begin_stat, begin_timer, close_orphans, close_state, count_handles, has_reference,
    is_active, new_state, orphan_state, set_reference, stop_signal, stop_state, stop_timer,
)
from hub.libuv cimport *
from hub.loop_end cimport close_shared, close_uv, forget_uv, leave_core
from hub.ready cimport NODE_JOB, OUTCOME_READY, fifo_wake_first, hub_check, ready_pop, ready_remove
from hub.sleeping cimport hub_run, open_sleep, watch_signal_pipe
from hub.stopped_clock cimport read_clock, sleep_while_stopped, states_of_loops, wake_loops
from hub.timers cimport clock, due_after, free_timers, hub_now, nanoseconds_of, now_ns
from hub.watches cimport (
    add_listener, close_watch, closed_in_another_thread, count_watches, find_watch, forget_watches, get_watch,
    open_probe, open_watch, remove_listener, renew_epoll, report_again, update_watch, verify_if_due, want_events,
)

__all__ = ["LIBUV_VERSION", "Handle", "Job", "Loop"]

cdef extern from "loop_fields.h" nogil:
    long hub_active_handles(const uv_loop_t *loop)
    uv_loop_t *hub_uv_loop(PyObject *loop)

cdef extern from "worker_threads.h":
    pass  # libuv calls it

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_native_id() nogil

cdef extern from *:
    "PyObject *PyInit__cpyuv(void);"
    object PyInit__cpyuv()

cpyuv = PyInit__cpyuv()
sleep_length = None  # the function that says how long to sleep while the clock stands still: set_sleep_length()
verify_others = None  # verifies descriptors besides those of watches: hub.closing sets it

LIBUV_VERSION = (<bytes> uv_version_string()).decode()

cdef enum:
    # How many descriptors a loop has: an epoll, two pipes and two wake-up descriptors. One of the pipes is the first
    # loop's only.
    DESCRIPTORS = 7


def set_sleep_length(function):
    """Set the function that loops ask how long to sleep while the clock stands still (internal): see stopped_clock.pxd.

    ``function()`` returns nanoseconds of CLOCK_MONOTONIC. None: there is no such function any more.
    """
    global sleep_length
    sleep_length = function


def loops():
    """The states of all loops while the clock stands still (internal): see states_of_loops() in stopped_clock.pxd."""
    return states_of_loops(first_loop())


def wake_other_loops():
    """Wake the loops of other threads, so that they read the clock (internal)."""
    wake_loops(first_loop(), PyThread_get_thread_native_id())


def set_verify_others(function):
    """Set a function, ``function()``, that Loop.verify_watches() calls, too (internal)."""
    global verify_others
    verify_others = function


cdef class Job:
    """A piece of work for the hub greenlet (internal base class)."""

    def __cinit__(self):
        self.node.kind = NODE_JOB
        self.node.object = <PyObject *> self

    cdef int run(self) except -1:
        raise NotImplementedError("a subclass of Job must define run()")


# --- the loop ---------------------------------------------------------------------------------------------------

cdef class Loop:
    """The event loop of one hub. The hub makes it; programs reach it as ``get_hub().loop``. No method switches.

    `default`: whether it belongs to the main thread, whose loop also wakes up for Python's signal handlers (bool).
    """

    def __cinit__(self, default=True):
        self.default = default
        self.fork_watchers = []
        self.core = <core_t *> PyMem_RawCalloc(1, sizeof(core_t))
        if self.core == NULL:
            raise MemoryError()
        add_loop(self.core)
        self.make()

    def __dealloc__(self):
        if self.core == NULL:
            return
        remove_loop(self.core)
        if self.core.uv == NULL:
            PyMem_RawFree(self.core)
        # else: the loop was not destroyed. Handles are open on it, so its memory is left to the operating system.

    cdef object make(self):
        """Give the core a new libuv loop. Raises OSError if there are too few descriptors for it."""
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
        core.probe = open_probe()
        if core.probe < 0:
            raise_errno(-errno, "the event loop could not be made")
        core.uv = hub_uv_loop(<PyObject *> loop)
        error = open_sleep(core)
        if error:
            core.uv = NULL
            close_descriptor(core.probe)
            raise_errno(error, "the event loop could not be made")
        core.looked = hub_now()
        core.now = now_ns()
        core.native_id = PyThread_get_thread_native_id()
        self.thread = <unsigned long> PyThread_get_thread_ident()
        self.pyuv_loop = loop
        loop.excepthook = self.pyuv_excepthook
        self.exposed = False

    def pyuv_excepthook(self, type, value, traceback):
        """Pass the exception of a pyuv handle's callback to the hub's `handle_error` (internal)."""
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
        """Whether a handle, request, timer or wait could still make something happen. Only referenced ones count."""
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
        """Run the loop once. `block`: whether to sleep, without the GIL, until something happens, or only look for I/O.

        Timers are as exact as the system's. With the system's libuv they are late by up to a millisecond.
        """
        cdef core_t *core = self.core
        if core.uv == NULL:
            return 0
        close_orphans(core)
        if core.renew:
            renew_epoll(core)
        if block and clock.stopped_at:
            return sleep_while_stopped(core, sleep_length)
        core.running = True
        if block:
            with nogil:
                hub_run(core.uv, &core.timers.running, clock.ahead)
        else:
            # With the GIL: giving it up with a CPU-bound thread beside would cost a switch interval each time.
            uv_run(core.uv, UV_RUN_NOWAIT)
        read_clock(core)
        core.running = False
        return 0

    cdef int wake_up(self) except -1:
        """End this loop's sleep. For any thread; needs the GIL."""
        if self.core.uv != NULL:
            uv_async_send(&self.core.wakeup)
        return 0

    cdef void drop_reference(self) noexcept:
        """Note that something which another thread has cancelled no longer keeps this loop alive. Needs the GIL."""
        if self.core.uv != NULL:
            self.core.dropped += 1
            uv_async_send(&self.core.wakeup)

    cdef int watch_signals(self) except -1:
        """Let the loop wake up when Python's C signal handler has noted a signal. For the main thread's loop."""
        cdef int error = watch_signal_pipe(self.core)
        if error:
            raise_errno(error, "the loop cannot watch for signals")
        self.slot = WakeupSlot()
        self.slot.core = self.core
        self.slot.claim()
        self.slot.release()
        return 0

    # --- descriptors ---

    cdef watch_t *watch_of(self, int fd) except NULL:
        """The watch of a descriptor, made if need be."""
        if self.core.uv == NULL:
            self.check()
        return get_watch(self.core, fd)

    cdef watch_t *watch_open(self, int fd) except NULL:
        """The watch of a descriptor for a new owner of its number."""
        if self.core.uv == NULL:
            self.check()
        return open_watch(self.core, fd)

    cdef watch_t *watch_if_any(self, int fd) noexcept:
        return find_watch(self.core, fd)

    cdef void watch_close(self, int fd) noexcept:
        """Wake the waits for a descriptor that is about to be closed. For the loop's own thread."""
        cdef watch_t *watch = find_watch(self.core, fd)
        if watch != NULL:
            close_watch(watch)

    cdef int watch_want(self, watch_t *watch, int events) except -1:
        return want_events(watch, events)

    cdef void watch_update(self, watch_t *watch) noexcept:
        update_watch(watch)

    cdef int watch_report_again(self, watch_t *watch) noexcept:
        return report_again(watch)

    cdef int watch_listen(self, watch_t *watch, listener_t *listener) except -1:
        return add_listener(watch, listener)

    cdef void watch_unlisten(self, watch_t *watch, listener_t *listener) noexcept:
        remove_listener(watch, listener)

    cdef bint verify_watches(self) except -1:
        """Wake waits for descriptors that were closed without an announcement, if it is due. Returns whether it is."""
        return verify_if_due(self.core, verify_others)

    def closed_elsewhere(self, int fd, unsigned int generation):
        """Wake the waits for a descriptor that another thread has closed, with EBADF (internal).

        `generation`: the watch's after that. Waits of this generation and later ones go on.
        """
        cdef watch_t *watch = self.watch_if_any(fd)
        if watch != NULL:  # after a fork, the new loop may have none
            closed_in_another_thread(watch, generation)

    def wake_readers(self, int fd):
        """Wake all greenlets that wait to read from descriptor `fd`. Each tries again by itself (internal)."""
        cdef watch_t *watch = self.watch_if_any(fd)
        if watch != NULL:
            while fifo_wake_first(&watch.readers, OUTCOME_READY) != NULL:
                pass

    def closing_fd(self, int fd):
        """Wake the greenlets of this loop that wait for descriptor `fd`, which is about to be closed, with EBADF.

        Returns whether any waited (bool). Raises InvalidThreadUseError in another thread than the loop's.
        ``hub.closing.closing_descriptor`` wakes the greenlets of all threads.
        """
        cdef watch_t *watch
        self.check_thread()
        watch = self.watch_if_any(fd)
        waited = watch != NULL and (watch.readers.head != NULL or watch.writers.head != NULL)
        self.watch_close(fd)
        return waited

    # --- for programs ---

    @property
    def uv(self):
        """This loop as a `pyuv.Loop`, on which programs make handles of pyuv. They fire while greenlets run.

        Such handles call Python functions from inside libuv. Once this attribute has been read, the loop therefore runs
        on the hub greenlet only, which costs a switch each time the process has nothing else to do. A callback of such
        a handle must not block. Its exceptions go to ``hub.handle_error``.
        """
        self.check()
        self.exposed = True
        return self.pyuv_loop

    def now(self):
        """The time at which the loop last looked for I/O, in seconds of the monotonic clock (float)."""
        self.check()
        return (self.core.now - clock.ahead) / 1e9

    def update_now(self):
        """Set the time that now() returns to the present. Raises InvalidThreadUseError in another thread."""
        self.check_thread()
        self.core.looked = hub_now()
        self.core.now = now_ns()

    update = update_now

    def fileno(self):
        """The descriptor of the loop's epoll (int). It is readable when the loop has something to do."""
        self.check()
        return uv_backend_fd(self.core.uv)

    @property
    def signal_descriptor(self):
        """The descriptor that the main thread's loop sets with signal.set_wakeup_fd() for its sleep (int); else -1."""
        self.check()
        return self.core.signal_write

    @property
    def alive(self):
        """Whether a handle, request, timer or wait that counts (`ref`) could still make something happen (bool)."""
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
        return {
            "ready": self.core.ready.length,
            "references": self.core.references - self.core.dropped,
            "watches": count_watches(self.core, False),
            "watches_registered": count_watches(self.core, True),
            "handles": count_handles(self.core, <PyObject *> self.own_timer),
        }

    # --- the end, and forks ---

    cdef object close(self):
        """Close every handle and free the memory. The loop must not be running."""
        cdef core_t *core = self.core
        if core.uv == NULL:
            return
        core.timers.epoch += 1
        # Other threads must not find the watches any more: their memory is freed below.
        PyMem_RawFree(core.watches)
        forget_watches(core)
        if self.slot is not None:
            self.slot.leave()
            self.slot = None
        close_orphans(core)
        while core.handles != NULL:
            forget_owner(core.handles)
        for handle in self.pyuv_loop.handles:
            if not handle.closed:
                handle.close()
        if not close_uv(core):
            Py_INCREF(self.pyuv_loop)  # never freed: a thread of libuv's pool will use it
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

    cdef timer_t *leave_behind(self, PyObject *current) except? NULL:
        """In a forked child, for the hub of the thread that forked: leave the libuv loop to the parent.

        The greenlets that wait on the loop are left to the parent, too. Only greenlet `current` stays in the ready
        queue, if it is there. The loop's memory is kept, because waits that will never be woken still point into it.
        Its descriptors, which the parent shares, are closed. Returns the timers that were running, linked by
        `next_free`. begin_in_child() makes a new libuv loop.
        """
        cdef timer_t *timers
        while self.core.handles != NULL:
            forget_owner(self.core.handles)
        timers = leave_core(self.core, current)
        if self.core.uv != NULL:
            self.close_descriptors()
        self.default = True  # the child's only thread is the main one
        self.unmade = True
        return timers

    cdef int leave_to_parent(self) except -1:
        """In a forked child: leave another thread's loop, which may be in the middle of anything, to the parent."""
        cdef handle_t *state = self.core.handles
        if self.core.uv == NULL:
            return 0
        while state != NULL:
            if state.owner != NULL:
                stop_signal(state)  # or libuv's signal handler would write to the parent's pipe
                (<Handle> state.owner).state = NULL
            state = state.next
        self.close_descriptors()
        return 0

    cdef int close_descriptors(self) except -1:
        """In a forked child: close the descriptors that the parent's loop shares, and forget the libuv loop."""
        Py_INCREF(self.pyuv_loop)  # never freed: its deallocator would use descriptors that are closed here
        if self.slot is not None:
            self.slot.leave_in_child()
            self.slot = None
        close_shared(self.core)
        forget_uv(self.core)
        return 0

    cdef int begin_in_child(self) except -1:
        """After leave_behind(): make a new libuv loop. If this raises OSError, it can be called again later."""
        self.make()
        self.unmade = False
        self.watch_signals()
        return 0


# --- handles ------------------------------------------------------------------------------------------------------

cdef void forget_owner(handle_t *state) noexcept:
    """Close the object of a state whose loop ends, or was left behind in a fork. Closes the state, too."""
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
            # This may be another thread's garbage collection, so the loop's own thread does the closing.
            orphan_state(state)

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
        """Give a handle that is started a reference to itself. With `alive` false, take it away.

        So its job in the ready queue is not collected. A handle that is not started never comes into the queue.
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
            ready_remove(&self.loop.core.ready, &self.node)  # it has fired, but its job has not run
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
        """Start a handle without arguments: prepare, check, idle, async."""
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
