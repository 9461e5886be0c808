# The sleep of a loop. It ends when a timer is due, a greenlet is ready, another thread has a request, a signal comes.
# Header only: every function here is inline, and calls libuv, so hub/loop.pyx alone may cimport this.
#
# Rules
#   1. libuv calls back without the GIL. The functions that it calls put an entry on the ready queue, or stop the turn.
#   2. The handles here are the loop's own. They are part of its core, and closed with the loop.
#
# What does not belong here: waits for descriptors (watches.pxd), and how timers fire (timers.pxd).

from libc.stdint cimport uint64_t

from hub.core cimport core_t
from hub.libuv cimport (
    UV_READABLE, uv_async_init, uv_async_t, uv_close, uv_handle_t, uv_loop_t, uv_poll_init, uv_prepare_init,
    uv_prepare_start, uv_prepare_t, uv_stop, uv_timer_init, uv_timer_start, uv_timer_stop, uv_timer_t,
    uv_unref, uv_update_time,
)
from hub.ready cimport ready_push
from hub.timers cimport HUB_NEVER, hub_heap, hub_heap_due, now_ns
from hub.wakeup_slot cimport on_signal_pipe
from hub.watches cimport hub_poll_register

cdef extern from "exact_sleep.h" nogil:
    bint HUB_EXACT_SLEEP
    int hub_milliseconds(uint64_t nanoseconds)
    int hub_run(uv_loop_t *, const hub_heap *, uint64_t ahead)
    int hub_run_for(uv_loop_t *, uint64_t nanoseconds, int *asleep)


cdef inline int open_sleep(core_t *core) noexcept:
    """Make the loop's own handles. Returns 0, or a negative error number if there are too few descriptors."""
    cdef int error = uv_async_init(core.uv, &core.wakeup, on_wakeup)
    if error:
        return error
    core.wakeup.data = core
    uv_prepare_init(core.uv, &core.before_sleep)
    core.before_sleep.data = core
    uv_prepare_start(&core.before_sleep, on_before_sleep)
    uv_unref(<uv_handle_t *> &core.before_sleep)
    if not HUB_EXACT_SLEEP:
        uv_timer_init(core.uv, &core.alarm_clock)
        uv_unref(<uv_handle_t *> &core.alarm_clock)
    return 0


cdef inline int watch_signal_pipe(core_t *core) noexcept:
    """Let a signal end the sleep of the main thread's loop. Returns 0 or a negative error number."""
    cdef int error = uv_poll_init(core.uv, &core.signal_poll, core.probe)
    if error:
        return error
    core.signal_poll.data = core
    uv_unref(<uv_handle_t *> &core.signal_poll)
    return hub_poll_register(core.uv, &core.signal_poll, core.signal_read, UV_READABLE, on_signal_pipe)


cdef inline void close_sleep(core_t *core) noexcept:
    uv_close(<uv_handle_t *> &core.wakeup, NULL)
    uv_close(<uv_handle_t *> &core.before_sleep, NULL)
    if not HUB_EXACT_SLEEP:
        uv_close(<uv_handle_t *> &core.alarm_clock, NULL)


cdef inline void on_wakeup(uv_async_t *handle) noexcept nogil:
    """Queue the inbox: another thread has put a request there, or only wants the loop to go round once."""
    cdef core_t *core = <core_t *> handle.data
    if core.inbox != NULL and not core.inbox.queued:
        ready_push(&core.ready, core.inbox)


cdef inline void on_before_sleep(uv_prepare_t *handle) noexcept nogil:
    """Keep the turn from sleeping if its first callbacks have made a greenlet ready."""
    cdef core_t *core = <core_t *> handle.data
    if core.ready.head != NULL:
        uv_stop(core.uv)
    elif not HUB_EXACT_SLEEP:
        set_alarm_clock(core)


cdef inline void set_alarm_clock(core_t *core) noexcept nogil:
    """Let a system's libuv, which counts milliseconds, wake up at the first one after the first timer is due."""
    cdef uint64_t due = hub_heap_due(&core.timers.running)
    cdef uint64_t now = now_ns()
    if due == HUB_NEVER:
        uv_timer_stop(&core.alarm_clock)
    else:
        uv_update_time(core.uv)
        uv_timer_start(&core.alarm_clock, on_alarm_clock, hub_milliseconds(due - now) if due > now else 0, 0)


cdef inline void on_alarm_clock(uv_timer_t *handle) noexcept nogil:
    pass
