"""Descriptors that are closed: whoever waits for one is told, in every thread, before the number is another file's.

Rules
    1. closing_descriptor() is called before the descriptor is closed, by whoever closes it. It removes the descriptor
       from the epoll of every hub, as the kernel does not where the file is open elsewhere, and wakes those who wait.
    2. Listeners wait for many descriptors with an epoll of their own. They are told in the thread that closes.
    3. In a forked child the listeners, and the epolls, are the parent's.

What does not belong here: how those are found out that close without a word. See Loop.look_after().
"""


from hub.forks import in_child
from hub.loop cimport watch_t
from hub.loop import set_look_after_others
from hub.scheduler cimport Scheduler, existing_hub
from hub.threads cimport count_hubs, other_hubs

__all__ = ["closing_descriptor", "closing_range", "listen", "listening", "unlisten"]

cdef extern from "fcntl.h" nogil:
    int fcntl(int fd, int command)
    int F_GETFD

cdef dict listeners = {}  # descriptor to the list of those who listen


cpdef int closing_descriptor(int fd) except -1:
    """Descriptor `fd` is about to be closed: wake those who wait for it, in any thread, with OSError(EBADF).

    Does not switch. To be called before it is closed, by whoever closes it.
    """
    cdef watch_t *watch
    cdef Scheduler hub = existing_hub()
    cdef int of_this_thread = hub is not None
    if of_this_thread:
        watch = hub.loop.watch_if_any(fd)
        if watch != NULL:
            hub.loop.watch_close(watch)
    if count_hubs() > of_this_thread:
        for hub in other_hubs():
            watch = hub.loop.watch_if_any(fd)
            if watch != NULL and hub.loop.watch_close_elsewhere(watch):
                hub.run_callback_threadsafe(hub.loop.closed_elsewhere, fd, watch.generation)
    if listeners and fd in listeners:
        for listener in list(listeners[fd]):
            listener.closing(fd)
    return 0


def closing_range(low, high):
    """closing_descriptor() for each that is waited for, from `low` to below `high`."""
    cdef Scheduler hub
    cdef list all_hubs = other_hubs()
    cdef int fd
    if existing_hub() is not None:
        all_hubs.append(existing_hub())
    waited = set(listeners)
    for hub in all_hubs:
        for fd in range(max(low, 0), min(high, hub.loop.core.watches_length)):
            if hub.loop.watch_if_any(fd) != NULL:
                waited.add(fd)
    for fd in waited:
        if low <= fd < high:
            closing_descriptor(fd)


def listen(int fd, listener):
    """Call ``listener.closing(fd)`` before descriptor `fd` is closed, in the thread that closes it."""
    listeners.setdefault(fd, []).append(listener)


def unlisten(int fd, listener):
    """Do not call it any more. Does nothing if it does not listen."""
    cdef list those = listeners.get(fd)
    if those is not None and listener in those:
        those.remove(listener)
        if not those:
            del listeners[fd]


def listening():
    """The descriptors that somebody listens for: a list of int."""
    return list(listeners)


def look_after_listeners():
    """Tell those whose descriptors were closed without a word."""
    cdef int fd
    for fd in list(listeners):
        if fcntl(fd, F_GETFD) < 0:
            closing_descriptor(fd)


set_look_after_others(look_after_listeners)
in_child(listeners.clear)
