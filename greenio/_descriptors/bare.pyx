"""Waiting for a bare descriptor: a number whose owner is unknown, and which the owner may close at any time."""

from libc.errno cimport EBADF
from libc.stdint cimport uint64_t

from hub.arguments cimport seconds_of
from hub.core cimport keep_watch, kept_watch_t, watch_of, watch_t
from hub.ready cimport OUTCOME_CLOSED, OUTCOME_TIMED_OUT
from hub.scheduler cimport Scheduler, current_hub
from hub.timers cimport due_after

__all__ = ["wait_descriptor"]


def wait_descriptor(int fd, int events, timeout, timeout_exc, check=None):
    """Wait until descriptor `fd` is readable (1) or writable (2): the common part of wait_read() and wait_write().

    `timeout` in seconds (float; None for ever); when it passes first, `timeout_exc` is raised. `check`: a function that
    raises if the caller knows that the descriptor was closed, or is about to be. If it is closed after that call, the
    wait ends with OSError(EBADF). Switches.
    """
    cdef Scheduler hub = current_hub()
    cdef watch_t *watch = hub.loop.watch_open(fd)
    cdef kept_watch_t kept
    cdef uint64_t due
    cdef int outcome
    keep_watch(&kept, watch)
    if watch.edge:
        hub.loop.watch_report_again(watch)
    try:
        due = 0 if timeout is None else due_after(seconds_of(timeout))
        if check is not None:
            check()
        outcome = hub.wait_descriptor(watch, kept.generation, events, due, NULL, f"descriptor {fd}")
    finally:
        # The owner of this descriptor is unknown, so its registration does not stay.
        if watch_of(&kept, hub.loop.core) != NULL:
            watch.unclaimed = 1000
            hub.loop.watch_update(watch)
            watch.unclaimed = 0
    if outcome == OUTCOME_TIMED_OUT:
        raise timeout_exc
    if outcome == OUTCOME_CLOSED:
        raise OSError(EBADF, f"descriptor {fd} was closed while this greenlet waited for it")
