"""Watchers: libuv handles that call a Python function on the hub greenlet. gevent's names and behaviour.

Rules
    1. A watcher's callback runs on the hub greenlet and must not block. Its exceptions go to ``hub.handle_error``.
    2. A started watcher keeps itself alive; one that was never started, or was stopped, is collected as usual.
    3. A watcher belongs to its loop's thread. Only ``async_.send`` may be called from others.
    4. No method of a watcher switches.

What does not belong here: waking greenlets that wait. That needs no watcher.
"""

import os

from hub.arguments cimport seconds_of
from hub.core cimport LISTEN_CLOSED, keep_watch, kept_watch_t, listener_t, watch_of, watch_t
from hub.libuv cimport UV_ASYNC, UV_CHECK, UV_FS_POLL, UV_IDLE, UV_PREPARE, UV_SIGNAL, UV_TIMER, uv_stat_t
from hub.loop cimport Handle
from hub.ready cimport ready_remove
from hub.scheduler cimport Scheduler

__all__ = ["READ", "WRITE", "async_", "check", "idle", "io", "prepare", "signal", "stat", "timer"]

READ = 1
WRITE = 2


cdef class Watcher(Handle):
    """The base class of all watchers: start, stop, close, ref, active, pending, callback, args.

    A ``with`` statement closes the watcher at its end. No method of a watcher switches. Except for ``async_.send()``,
    all of them raise InvalidThreadUseError in another thread than the loop's.

    `ref`: whether the watcher keeps the loop alive while it is active (bool). `priority` is ignored.
    """
    cdef readonly Scheduler hub
    cdef readonly object callback  # the function that is called; None when stopped
    cdef readonly object args      # its arguments (tuple); None when stopped

    def __init__(self, loop, bint ref=True, priority=None):
        cdef Scheduler hub
        if self.hub is not None:
            raise RuntimeError(f"{self!r} is initialised already")
        hub = <Scheduler?> loop.hub
        hub.check_thread()
        self.loop = loop
        self.hub = hub
        self.make(ref)

    cdef int make(self, bint ref) except -1:
        raise NotImplementedError

    cdef int begin(self) except -1:
        """Start the handle. The callback is set already."""
        raise NotImplementedError

    cdef int set_callback(self, object callback, tuple args) except -1:
        self.hub.check_thread()
        if not callable(callback):
            raise TypeError(f"a callback must be callable, not {callback!r}")
        self.callback = callback
        self.args = args
        return 0

    def start(self, callback, *args):
        """Call ``callback(*args)`` on the hub greenlet each time the watcher fires. Does not switch.

        Raises TypeError if `callback` is not callable, OSError if the system refuses to watch, ValueError after
        close().
        """
        self.set_callback(callback, args)
        try:
            self.begin()
        except BaseException:
            self.callback = self.args = None
            raise

    def stop(self):
        """Stop watching, and forget the callback and its arguments. The watcher may be started again."""
        self.hub.check_thread()
        self.end()
        self.callback = self.args = None

    cdef int end(self) except -1:
        return self.stop_handle()

    def close(self):
        """Stop watching for good, and free the handle. A second call does nothing."""
        self.hub.check_thread()
        self.end()
        self.callback = self.args = None
        self.close_handle()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    cdef int run(self) except -1:
        callback, args = self.callback, self.args
        if self.state != NULL:
            self.state.fired = False
            if not self.handle_is_active():
                self.keep(False)
        if callback is not None:
            callback(*args)
        return 0

    def feed(self, revents, callback, *args):
        """Call ``callback(*args)`` on the hub greenlet once, as if the watcher had fired. `revents` is ignored."""
        self.hub.run_callback(callback, *args)

    @property
    def ref(self):
        """Whether the watcher, while it is active, keeps the loop alive (bool). Assignable."""
        return self.handle_has_ref()

    @ref.setter
    def ref(self, value):
        self.hub.check_thread()
        self.set_handle_ref(value)

    @property
    def active(self):
        """Whether the watcher is started and can fire (bool)."""
        return self.callback is not None and self.handle_is_active()

    @property
    def pending(self):
        """Whether the watcher has fired and its callback is still to run (bool)."""
        return self.node.queued

    @property
    def priority(self):
        """Always None: libuv has no priorities. Kept for code written for gevent."""
        return None

    def describe(self):
        """The watched thing, for the repr (str) (internal)."""
        return ""

    def __repr__(self):
        state = "closed" if self.state == NULL else "active" if self.active else "stopped"
        calls = f" callback={name_of(self.callback)}" if self.callback is not None else ""
        return f"<{type(self).__name__} watcher at {id(self):#x} {state}{self.describe()}{calls}>"


cdef object name_of(object callback):
    # Not repr(callback): the repr of a bound method contains that of its object, which may contain the watcher's.
    return getattr(callback, "__qualname__", None) or type(callback).__name__


cdef class timer(Watcher):
    """Fires after `after` seconds (float), and then every `repeat` seconds if that is not 0.

    Raises ValueError if `repeat` is negative.
    """
    cdef double after
    cdef readonly double repeat

    def __init__(self, loop, after=0.0, repeat=0.0, bint ref=True, priority=None):
        self.after = seconds_of(after)
        self.repeat = seconds_of(repeat)
        if self.repeat < 0:
            raise ValueError(f"a timer's repeat must not be negative: {repeat}")
        Watcher.__init__(self, loop, ref)

    cdef int make(self, bint ref) except -1:
        self.open(self.loop, UV_TIMER)
        return self.set_handle_ref(ref)

    cdef int begin(self) except -1:
        return self.start_timer(self.after, self.repeat)

    def start(self, callback, *args, update=None):
        """Call ``callback(*args)`` each time the timer fires. `update` is accepted for compatibility."""
        self.set_callback(callback, args)
        self.begin()

    def again(self, callback, *args, update=None):
        """Start the timer again, from now on. If it repeats, it fires after `repeat` seconds, else after `after`."""
        self.set_callback(callback, args)
        self.start_timer(self.repeat if self.repeat else self.after, self.repeat)


cdef class async_(Watcher):
    """Fires after ``send()``, which any thread may call."""

    cdef int make(self, bint ref) except -1:
        self.open(self.loop, UV_ASYNC)
        self.wants_ref = ref
        return self.set_handle_ref(False)

    cdef bint wants_ref

    cdef int begin(self) except -1:
        # libuv's handle is active from the moment it is made, but only a started watcher may keep the loop alive.
        self.set_handle_ref(self.wants_ref)
        self.keep(True)
        return 0

    cdef int end(self) except -1:
        if self.state != NULL:
            self.set_handle_ref(False)
        return self.stop_handle()

    def send(self):
        """Make the watcher fire, from any thread. Several calls before the callback runs count as one."""
        self.notify()

    def send_ignoring_arg(self, _ignored):
        """send() for use as a link, which gets an argument."""
        self.notify()

    @property
    def ref(self):
        """Whether the watcher, while it is started, keeps the loop alive (bool). Assignable."""
        return self.wants_ref

    @ref.setter
    def ref(self, value):
        self.hub.check_thread()
        self.wants_ref = value
        if self.callback is not None:
            self.set_handle_ref(value)


cdef class signal(Watcher):
    """Fires when the process gets signal `signum` (int). Python's own handler for it is displaced while started.

    Raises ValueError if there is no such signal.
    """
    cdef readonly int signalnum

    def __init__(self, loop, int signum, bint ref=True, priority=None):
        if not 0 < signum < 65:
            raise ValueError(f"illegal signal number: {signum}")
        self.signalnum = signum
        Watcher.__init__(self, loop, ref)

    cdef int make(self, bint ref) except -1:
        self.open(self.loop, UV_SIGNAL)
        return self.set_handle_ref(ref)

    cdef int begin(self) except -1:
        return self.start_signal(self.signalnum)

    def describe(self):
        return f" signal={self.signalnum}"


cdef class prepare(Watcher):
    """Fires at each turn of the loop, before it looks for I/O."""

    cdef int make(self, bint ref) except -1:
        self.open(self.loop, UV_PREPARE)
        return self.set_handle_ref(ref)

    cdef int begin(self) except -1:
        return self.start_phase()


cdef class check(Watcher):
    """Fires at each turn of the loop, after it has looked for I/O."""

    cdef int make(self, bint ref) except -1:
        self.open(self.loop, UV_CHECK)
        return self.set_handle_ref(ref)

    cdef int begin(self) except -1:
        return self.start_phase()


cdef class idle(Watcher):
    """Fires at each turn of the loop, which does not sleep meanwhile: for work that is done when there is no other."""

    cdef int make(self, bint ref) except -1:
        self.open(self.loop, UV_IDLE)
        return self.set_handle_ref(ref)

    cdef int begin(self) except -1:
        return self.start_phase()


cdef class stat(Watcher):
    """Fires when the file at `path` changes. It checks every `interval` seconds (float; 0: the default, 5)."""
    cdef readonly object path
    cdef readonly double interval

    def __init__(self, loop, path, interval=0.0, bint ref=True, priority=None):
        self.path = path
        self.interval = seconds_of(interval)
        if self.interval <= 0:
            self.interval = 5.0
        Watcher.__init__(self, loop, ref)

    cdef int make(self, bint ref) except -1:
        self.open(self.loop, UV_FS_POLL)
        return self.set_handle_ref(ref)

    cdef int begin(self) except -1:
        return self.start_stat(os.fsencode(self.path), self.interval)

    @property
    def attr(self):
        """The file's state at the last check: an `os.stat_result`, or None if the file was not there."""
        return stat_result(&self.state.stat_now) if self.state != NULL else None

    @property
    def prev(self):
        """The file's state at the check before: as `attr`."""
        return stat_result(&self.state.stat_before) if self.state != NULL else None

    def describe(self):
        return f" path={self.path!r} interval={self.interval}"


cdef object stat_result(uv_stat_t *stat):
    if stat.st_nlink == 0:
        return None
    return os.stat_result((
        stat.st_mode, stat.st_ino, stat.st_dev, stat.st_nlink, stat.st_uid, stat.st_gid, stat.st_size,
        stat.st_atim.tv_sec, stat.st_mtim.tv_sec, stat.st_ctim.tv_sec,
    ))


cdef class io(Watcher):
    """Fires while descriptor `fd` is readable (events 1), writable (2) or either (3), at each turn of the loop.

    Any number of watchers and waiting greenlets may share a descriptor. When the descriptor is closed, the watcher
    fires once more, with 4 among the events, and never again. Raises ValueError for a negative descriptor, or other
    events.
    """
    cdef int descriptor
    cdef int wanted
    cdef bint pass_events         # whether the events come first among the arguments
    cdef listener_t listener
    cdef kept_watch_t watch       # while it is started
    cdef bint references
    cdef bint started

    def __init__(self, loop, int fd, int events, bint ref=True, priority=None):
        if fd < 0:
            raise ValueError(f"a file descriptor cannot be negative: {fd}")
        if not 0 < events <= 3:
            raise ValueError(f"events must be 1 (read), 2 (write) or 3 (both), not {events}")
        self.descriptor = fd
        self.wanted = events
        Watcher.__init__(self, loop, ref)

    cdef int make(self, bint ref) except -1:
        self.loop.check()
        self.references = ref
        return 0

    def start(self, callback, *args, pass_events=False):
        """Call ``callback(*args)`` at each turn of the loop in which the descriptor is ready.

        `pass_events`: call ``callback(events, *args)`` instead (bool). Raises OSError if the descriptor is not open, or
        is of a kind that is always ready, such as a regular file.
        """
        if self.started:
            self.hub.check_thread()
            self.end()
        self.set_callback(callback, args)
        self.pass_events = pass_events
        try:
            self.begin()
        except BaseException:
            self.callback = self.args = None
            raise

    cdef int begin(self) except -1:
        cdef watch_t *watch = self.loop.watch_open(self.descriptor)
        self.listener.node = &self.node
        self.listener.events = self.wanted
        self.listener.fired = 0
        self.loop.watch_listen(watch, &self.listener)
        keep_watch(&self.watch, watch)
        self.started = True
        self.loop.core.references += self.references
        self.keep(True)
        return 0

    cdef int end(self) except -1:
        cdef watch_t *watch
        if not self.started:
            return 0
        self.started = False
        watch = watch_of(&self.watch, self.loop.core)
        if watch != NULL:
            self.loop.core.references -= self.references
            self.loop.watch_unlisten(watch, &self.listener)
            if self.node.queued:
                ready_remove(&self.loop.core.ready, &self.node)
        self.keep(False)
        return 0

    cdef int run(self) except -1:
        callback, args, events = self.callback, self.args, self.listener.fired
        self.listener.fired = 0
        if events & LISTEN_CLOSED:
            # The watcher never fires again, so it must not keep itself and the loop alive.
            self.end()
            self.callback = self.args = None
        if callback is not None:
            callback(*((events, *args) if self.pass_events else args))
        return 0

    @property
    def fd(self):
        """The descriptor (int). Assignable while stopped."""
        return self.descriptor

    @fd.setter
    def fd(self, int value):
        if self.started:
            raise ValueError(f"{self!r} is started; stop it before changing its descriptor")
        self.descriptor = value

    @property
    def events(self):
        """1 (read), 2 (write) or 3 (both). Assignable."""
        return self.wanted

    @events.setter
    def events(self, int value):
        if not 0 < value <= 3:
            raise ValueError(f"events must be 1 (read), 2 (write) or 3 (both), not {value}")
        self.hub.check_thread()
        callback, args, pass_events = self.callback, self.args, self.pass_events
        self.end()
        self.wanted = value
        if callback is not None:
            self.start(callback, *args, pass_events=pass_events)

    @property
    def events_str(self):
        """The events in words (str)."""
        return ("", "READ", "WRITE", "READ|WRITE")[self.wanted]

    @property
    def ref(self):
        """Whether the watcher, while it is started, keeps the loop alive (bool). Assignable."""
        return self.references

    @ref.setter
    def ref(self, value):
        self.hub.check_thread()
        if self.started and watch_of(&self.watch, self.loop.core) != NULL:
            self.loop.core.references += <bint> value - self.references
        self.references = value

    @property
    def active(self):
        """Whether the watcher is started and can fire (bool)."""
        return self.started and watch_of(&self.watch, self.loop.core) != NULL

    def describe(self):
        return f" fd={self.descriptor} events={self.events_str}"

    def __repr__(self):
        state = "active" if self.active else "stopped"
        calls = f" callback={name_of(self.callback)}" if self.callback is not None else ""
        return f"<{type(self).__name__} watcher at {id(self):#x} {state}{self.describe()}{calls}>"
