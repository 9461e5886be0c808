# The end of a loop's C half: it is closed, or left behind in a forked child.
# Header only: every function here is inline, and calls libuv, so hub/loop.pyx alone may cimport this.
#
# Rules
#   1. Every Handle is closed before, in loop.pyx: none of them points to the C half any more.
#   2. If the loop is closed, libuv's memory is freed as soon as libuv is done with it. If the loop is left behind, its
#      memory is kept: waits that will never be woken still point into it.
#
# What does not belong here: the new loop of a forked child (loop.pyx).

from cpython.mem cimport PyMem_RawFree
from cpython.object cimport PyObject
from libc.string cimport memset
from posix.unistd cimport close, usleep

from hub.core cimport core_t
from hub.libuv cimport UV_RUN_NOWAIT, uv_close, uv_handle_t, uv_is_closing, uv_loop_t, uv_run, uv_walk
from hub.ready cimport NODE_ALARM, NODE_WAIT, NODE_YIELD, alarm_t, node_t, ready_pop, ready_push, ready_t, wait_t
from hub.sleeping cimport close_sleep
from hub.timers cimport leave_timers, timer_t
from hub.watches cimport forget_watches

cdef extern from "loop_fields.h" nogil:
    void hub_loop_descriptors(const uv_loop_t *loop, int *out)


# --- closing a loop ---------------------------------------------------------------------------------------------

cdef inline bint close_uv(core_t *core) noexcept:
    """Close every handle, and run the loop until libuv is done with them. Returns whether it is.

    If it is not, a thread of libuv's pool still works for a handle, or for a request of pyuv's.
    """
    cdef uv_loop_t *uv = core.uv
    cdef int turn
    uv_walk(uv, close_pooled, core)
    close_sleep(core)
    for turn in range(1000 + 8):
        if uv_run(uv, UV_RUN_NOWAIT) == 0:
            return True
        if turn >= 8:
            # All handles are closed by now, so it is a thread of the pool that is waited for.
            with nogil:
                usleep(1000)
    return False


cdef inline void close_pooled(uv_handle_t *handle, void *core) noexcept nogil:
    """Close a handle, if it is a watch's or the signal pipe's. A watch begins with its handle, and is its data."""
    if handle is <uv_handle_t *> &(<core_t *> core).signal_poll:
        uv_close(handle, NULL)
    elif handle.data is <void *> handle and not uv_is_closing(handle):
        uv_close(handle, free_pooled)


cdef inline void free_pooled(uv_handle_t *handle) noexcept nogil:
    PyMem_RawFree(handle.data)


# --- leaving a loop behind --------------------------------------------------------------------------------------

cdef inline timer_t *leave_core(core_t *core, PyObject *current) noexcept:
    """Leave everything to the parent. Only the entry of greenlet `current` stays in the ready queue.

    Returns the timers that were running, linked by `next_free`.
    """
    cdef ready_t left = core.ready
    cdef node_t *node
    cdef int fd
    for fd in range(core.watches_length):
        if core.watches[fd] != NULL:
            core.watches[fd].events = 0
            core.watches[fd].generation += 1
    memset(&core.ready, 0, sizeof(core.ready))
    while True:
        node = ready_pop(&left)
        if node == NULL:
            break
        if greenlet_of(node) is current:
            ready_push(&core.ready, node)
    core.handles = core.orphans = NULL
    core.handles_open = 0
    core.references = core.dropped = 0
    core.signal_count = 0
    core.running = core.renew = False
    return leave_timers(&core.timers)


cdef inline PyObject *greenlet_of(node_t *node) noexcept nogil:
    """The greenlet that an entry of the ready queue resumes, or NULL."""
    if node.kind == NODE_WAIT:
        return (<wait_t *> node).greenlet
    if node.kind == NODE_ALARM:
        return (<alarm_t *> node).greenlet
    return node.object if node.kind == NODE_YIELD else NULL


cdef inline void close_shared(core_t *core) noexcept nogil:
    """In a forked child: close the descriptors that the parent's loop shares. Nothing else uses them here."""
    cdef int fds[7]
    cdef int i
    hub_loop_descriptors(core.uv, fds)  # the first four
    fds[4], fds[5], fds[6] = core.probe, core.signal_read, core.signal_write
    for i in range(7):
        if fds[i] >= 0:
            close(fds[i])


cdef inline void forget_uv(core_t *core) noexcept nogil:
    """Forget the libuv loop, its descriptors, and the timers and watches from before."""
    core.uv = NULL
    core.probe = core.signal_read = core.signal_write = -1
    core.timers.epoch += 1
    forget_watches(core)
