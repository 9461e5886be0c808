"""Waiting for a bare descriptor: a number, of which it is not known who owns it, and when it is closed."""

from libc.errno cimport EBADF
from libc.stdint cimport uint64_t

from hub.arguments cimport seconds_of
from hub.core cimport keep_watch, kept_watch_t, watch_of, watch_t
from hub.ready cimport OUTCOME_CLOSED, OUTCOME_TIMED_OUT
from hub.scheduler cimport Scheduler, current_hub
from hub.timers cimport due_after

__all__ = ["wait_descriptor"]


def wait_descriptor(int fd, int events, timeout, timeout_exc, check=None):
    """Wait until descriptor `fd` is readable (1), writable (2); the shared part of wait_read and wait_write.

    `check()` raises if the caller has been told that it is closed, or is about to be. From that call on it is noticed
    here.
    """
    cdef Scheduler hub = current_hub()
    cdef watch_t *watch = hub.loop.watch_open(fd)
    cdef kept_watch_t kept
    cdef uint64_t due
    cdef int outcome
    keep_watch(&kept, watch)
    if watch.edge:
        hub.loop.watch_again(watch)
    try:
        due = 0 if timeout is None else due_after(seconds_of(timeout))
        if check is not None:
            check()
        outcome = hub.wait_descriptor(watch, kept.generation, events, due, NULL, f"descriptor {fd}")
    finally:
        # The owner of this descriptor is unknown, so nothing of ours stays behind on it.
        if watch_of(&kept, hub.loop.core) != NULL:
            watch.unclaimed = 1000
            hub.loop.watch_update(watch)
            watch.unclaimed = 0
    if outcome == OUTCOME_TIMED_OUT:
        raise timeout_exc
    if outcome == OUTCOME_CLOSED:
        raise OSError(EBADF, f"descriptor {fd} was closed while this greenlet waited for it")
