"""Closing descriptors: every wait for a descriptor ends, in every thread, before its number can be another file's.

Rules
    1. Code that closes a descriptor calls closing_descriptor() first. This removes the descriptor from the epoll of
       every hub, which the kernel does not do if the file is open elsewhere, and wakes the greenlets that wait for it.
    2. Two threads may close the same object. The second may be done, and the number be another file's, while the first
       still wakes greenlets. So a number alone never identifies a file: withdraw_elsewhere() marks the watches in one
       step, and only waits of marked watches are ended later.
    3. A listener waits for many descriptors with an epoll of its own. The thread that closes a descriptor tells the
       descriptor's listeners.
    4. In a forked child the listeners, and their epolls, are the parent's.

What does not belong here: finding descriptors that were closed without this call (Loop.verify_watches()).
"""

from libc.errno cimport EBADF
from libc.string cimport memset

from hub.errors import HubDestroyed
from hub.forks import in_child
from hub.all_loops cimport next_loop_descriptor, watched_end, withdraw_elsewhere, withdraw_watch
from hub.core cimport watch_t
from hub.loop import set_verify_others
from hub.scheduler cimport Scheduler, existing_hub, is_current
from hub.threads cimport other_hubs

__all__ = [
    "Listening", "check_program_owns", "closing_descriptor", "closing_range", "listen", "listening", "program_ranges",
]

cdef extern from "fcntl.h" nogil:
    int fcntl(int fd, int command)
    int F_GETFD

cdef extern from "sys/epoll.h" nogil:
    int EPOLL_CTL_ADD, EPOLL_CTL_DEL
    struct epoll_event:
        pass
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)

cdef dict listeners = {}  # descriptor to the list of its Listenings


cpdef int closing_descriptor(int fd) except -1:
    """Wake the greenlets that wait for descriptor `fd` (int), in any thread, with OSError(EBADF). Does not switch.

    Called before the descriptor is closed, by the code that closes it.
    """
    cdef Scheduler hub = existing_hub()
    cdef list told = None
    cdef bint others = withdraw_elsewhere(fd, NULL if hub is None else hub.loop.core)
    cdef Listening listening
    if hub is not None:
        hub.loop.watch_close(fd)
    if listeners:
        told = listeners.pop(fd, None)
        if told is not None:
            for listening in told:
                listening.over = True
                if listening.epoll >= 0:
                    epoll_ctl(listening.epoll, EPOLL_CTL_DEL, fd, NULL)
    # From here on Python code may run, and other threads.
    if others:
        tell_other_threads(fd)
    if told is not None:
        for listening in told:
            if listening.listener is not None:
                listening.listener.closing(listening)
    return 0


cdef int tell_other_threads(int fd) except -1:
    """Have other threads wake the greenlets that wait for the descriptor, if their watches are marked `must_tell`."""
    cdef Scheduler hub
    cdef watch_t *watch
    for hub in other_hubs():
        watch = hub.loop.watch_if_any(fd)
        if watch != NULL and watch.must_tell:
            watch.must_tell = False
            tell_thread(hub, fd, watch.generation)
    return 0


cdef int tell_thread(Scheduler hub, int fd, unsigned int generation) except -1:
    try:
        hub.run_callback_threadsafe(hub.loop.closed_elsewhere, fd, generation)
    except HubDestroyed:
        pass  # its greenlets have ended
    return 0


cdef int leaving_descriptor(Scheduler hub, int fd, unsigned int generation) except -1:
    """Wake the waits of an object that gives away its open descriptor `fd`, with OSError(EBADF).

    `hub`: where the object waited. `generation`: that of the watch at that time. If the watch has a later one, the
    descriptor was closed without an announcement, and its number is another file's: the waits for that file go on.
    """
    cdef watch_t *watch = hub.loop.watch_if_any(fd)
    if watch == NULL or watch.generation != generation:
        return 0  # the number is another file's
    if is_current(hub):
        hub.loop.watch_close(fd)
    elif withdraw_watch(watch):
        tell_thread(hub, fd, generation + 1)
    return 0


def check_program_owns(fd):
    """Raise OSError(EBADF) for a descriptor that a loop owns: libuv would end the process if it were closed."""
    if isinstance(fd, int) and 0 <= fd < 1 << 31 and next_loop_descriptor(fd) == fd:
        raise OSError(EBADF, f"descriptor {fd} belongs to greenio's event loop, which the program cannot close")


def program_ranges(low, high):
    """The numbers from `low` to below `high` without those of descriptors that loops own: a list of (low, high)."""
    found = []
    while 0 <= (own := next_loop_descriptor(min(max(low, 0), 0x7fffffff))) < high:
        found.append((low, own))
        low = own + 1
    return [*found, (low, high)]


def closing_range(low, high):
    """Call closing_descriptor() for each descriptor from `low` to below `high` that is watched or has listeners."""
    cdef int fd
    for fd in range(max(low, 0), min(high, watched_end())):
        closing_descriptor(fd)
    for fd in list(listeners):
        if low <= fd < high:
            closing_descriptor(fd)


cdef class Listening:
    """A listener's entry for one descriptor. listen() makes it."""

    cdef readonly int fd
    cdef readonly bint over  # whether the descriptor is closed; its number may be another file's
    cdef object listener     # the object whose closing() is called, or None
    cdef int epoll           # the epoll from which closing_descriptor() removes the descriptor, or -1
    cdef int registered      # the epoll that has the descriptor, for is_lost(); or -1

    def is_registered(self, int epoll):
        """Note that an epoll has the descriptor, until stop(). So the library finds out when the number is reused."""
        self.registered = epoll

    cdef bint is_lost(self) noexcept:
        """Whether the number is another file's by now. Then the epoll, which has the old file, accepts it once more."""
        cdef epoll_event nothing
        memset(&nothing, 0, sizeof(nothing))
        if self.registered < 0 or epoll_ctl(self.registered, EPOLL_CTL_ADD, self.fd, &nothing) < 0:
            return False
        epoll_ctl(self.registered, EPOLL_CTL_DEL, self.fd, NULL)
        return True

    def stop(self):
        """Do not tell the listener any more. Does nothing if it was told already."""
        cdef list entries = listeners.get(self.fd)
        if entries is not None and self in entries:
            entries.remove(self)
            if not entries:
                del listeners[self.fd]


def listen(int fd, listener, int epoll=-1):
    """Call ``listener.closing(listening)`` once, before descriptor `fd` is closed, in the thread that closes it.

    `listener`: None for no call. `epoll`: the descriptor of an epoll from which `fd` is removed at that moment; -1 for
    none. Returns the Listening, which can end this.
    """
    cdef Listening made = Listening()
    made.fd = fd
    made.listener = listener
    made.epoll = epoll
    made.registered = -1
    listeners.setdefault(fd, []).append(made)
    return made


def listening():
    """The descriptors that have listeners (list of int)."""
    return list(listeners)


def verify_listeners():
    """Tell the listeners whose descriptors were closed, or replaced, without an announcement."""
    cdef int fd
    cdef Listening listening
    for fd in list(listeners):
        if fcntl(fd, F_GETFD) < 0:
            closing_descriptor(fd)
            continue
        for listening in list(listeners.get(fd, ())):
            if listening.is_lost():
                listening.stop()
                listening.over = True
                listening.listener.closing(listening)


set_verify_others(verify_listeners)
in_child(listeners.clear)
