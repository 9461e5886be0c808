# The C half of a Handle, its *state*: one of libuv's handles, or a timer of ours, that puts a job on the ready queue
# when it fires. Header only: every function here is inline, and calls libuv, so hub/loop.pyx alone may cimport this.
#
# Rules
#   1. A state outlives its Handle until libuv has called the close callback. Only the loop's own thread closes it.
#   2. A state fires only while it is `started`. Until it is stopped, the Handle keeps itself and its job alive.
#   3. Timers keep the loop alive through core.references. libuv counts its own handles.
#
# What does not belong here: the Handle object (loop.pyx).

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from hub.core cimport core_of, core_t, handle_t
from hub.libuv cimport *
from hub.ready cimport hub_check, ready_push
from hub.timers cimport timer_runs, timer_start, timer_stop, timer_t, timer_take, timer_to_pool

cdef extern from "signal_watch.h":
    int hub_signal_start(uv_signal_t *handle, uv_signal_cb callback, int number)
    void hub_signal_stop(uv_signal_t *handle, int number)


# --- callbacks: no GIL, no Python -------------------------------------------------------------------------------

cdef inline void fire(handle_t *state, int status) noexcept nogil:
    if not state.started:
        return  # an async handle without a callback: nothing would keep the job alive
    state.fired = True
    state.status = status
    hub_check(state.owner != NULL, b"a handle that is started has its object")
    if not state.node.queued:
        ready_push(&state.core.ready, state.node)


cdef inline void on_handle_timer(timer_t *timer) noexcept nogil:
    cdef handle_t *state = <handle_t *> timer.target
    cdef uint64_t late
    if state.repeat:
        # The timer keeps its rhythm, even if it fires late. Beats that were missed altogether are left out.
        late = core_of(timer).now - state.due
        state.due += state.repeat * (late // state.repeat + 1)
        timer_start(timer, state.due)
    elif state.references:
        core_of(timer).references -= 1
    fire(state, 0)


cdef inline void on_handle_async(uv_async_t *handle) noexcept nogil:
    fire(<handle_t *> handle.data, 0)


cdef inline void on_handle_signal(uv_signal_t *handle, int signum) noexcept nogil:
    fire(<handle_t *> handle.data, signum)


cdef inline void on_handle_prepare(uv_prepare_t *handle) noexcept nogil:
    fire(<handle_t *> handle.data, 0)


cdef inline void on_handle_check(uv_check_t *handle) noexcept nogil:
    fire(<handle_t *> handle.data, 0)


cdef inline void on_handle_idle(uv_idle_t *handle) noexcept nogil:
    fire(<handle_t *> handle.data, 0)


cdef inline void on_handle_stat(uv_fs_poll_t *handle, int status, const uv_stat_t *before,
                                const uv_stat_t *now) noexcept nogil:
    cdef handle_t *state = <handle_t *> handle.data
    cdef bint was_there = state.stat_now.st_nlink != 0
    state.stat_before = before[0]
    state.stat_now = now[0]
    if status < 0 and not was_there:
        return  # libuv reports a file that is missing from the start, which is no change
    fire(state, status)


# --- opening ----------------------------------------------------------------------------------------------------

cdef inline handle_t *new_state(core_t *core, int kind, str name) except NULL:
    """Make a state of a kind (UV_TIMER, ...). The caller sets its owner and node. `name`: the Handle, for errors.

    Raises MemoryError, and OSError if libuv cannot make the handle.
    """
    cdef handle_t *state
    cdef uv_handle_t *uv = NULL
    cdef timer_t *timer = NULL
    cdef int error = 0
    if kind == UV_TIMER:
        timer = timer_take(&core.timers)
    else:
        uv = <uv_handle_t *> PyMem_RawCalloc(1, uv_handle_size(<uv_handle_type> kind))
    state = <handle_t *> PyMem_RawCalloc(1, sizeof(handle_t))
    if state == NULL or (uv == NULL and timer == NULL):
        if timer != NULL:
            timer_to_pool(timer)
        PyMem_RawFree(state)
        PyMem_RawFree(uv)
        raise MemoryError()
    if kind == UV_TIMER:
        timer.target = state
        timer.fire = on_handle_timer
        state.timer = timer
        state.references = True
    else:
        error = init_handle(core.uv, uv, kind)
    if error:
        PyMem_RawFree(state)
        PyMem_RawFree(uv)
        raise_errno(error, f"{name} could not be made")
    if uv != NULL:
        uv.data = state
    state.uv = uv
    state.core = core
    state.kind = kind
    core.handles_open += 1
    state.next = core.handles
    if state.next != NULL:
        state.next.previous = state
    core.handles = state
    return state


cdef inline int init_handle(uv_loop_t *loop, uv_handle_t *uv, int kind) noexcept nogil:
    if kind == UV_ASYNC:
        return uv_async_init(loop, <uv_async_t *> uv, on_handle_async)
    if kind == UV_SIGNAL:
        return uv_signal_init(loop, <uv_signal_t *> uv)
    if kind == UV_PREPARE:
        return uv_prepare_init(loop, <uv_prepare_t *> uv)
    if kind == UV_CHECK:
        return uv_check_init(loop, <uv_check_t *> uv)
    if kind == UV_IDLE:
        return uv_idle_init(loop, <uv_idle_t *> uv)
    return uv_fs_poll_init(loop, <uv_fs_poll_t *> uv)


# --- starting and stopping --------------------------------------------------------------------------------------

cdef inline void begin_timer(handle_t *state, uint64_t due, uint64_t repeat) noexcept nogil:
    state.due = due
    state.repeat = repeat
    state.core.references += state.references
    timer_start(state.timer, due)


cdef inline void stop_timer(handle_t *state) noexcept nogil:
    if timer_runs(state.timer):
        timer_stop(state.timer)
        if state.references:
            state.core.references -= 1


cdef inline int begin_signal(handle_t *state, int signum) except -1:
    cdef int error
    if state.signum == 0:
        error = hub_signal_start(<uv_signal_t *> state.uv, on_handle_signal, signum)
        if error:
            raise_errno(error, f"signal {signum} cannot be watched")
        state.signum = signum
    return 0


cdef inline void stop_signal(handle_t *state) noexcept:
    if state.signum:
        hub_signal_stop(<uv_signal_t *> state.uv, state.signum)
        state.signum = 0


cdef inline int begin_stat(handle_t *state, bytes path, unsigned int milliseconds) except -1:
    cdef int error = uv_fs_poll_start(<uv_fs_poll_t *> state.uv, on_handle_stat, path, milliseconds)
    if error:
        raise_errno(error, f"{path!r} cannot be watched")
    return 0


cdef inline void begin_phase(handle_t *state) noexcept nogil:
    """Start a handle without arguments: prepare, check, idle. An async handle runs from the moment it is made."""
    if state.kind == UV_PREPARE:
        uv_prepare_start(<uv_prepare_t *> state.uv, on_handle_prepare)
    elif state.kind == UV_CHECK:
        uv_check_start(<uv_check_t *> state.uv, on_handle_check)
    elif state.kind == UV_IDLE:
        uv_idle_start(<uv_idle_t *> state.uv, on_handle_idle)


cdef inline void stop_state(handle_t *state) noexcept:
    if state.kind == UV_TIMER:
        stop_timer(state)
    elif state.kind == UV_SIGNAL:
        stop_signal(state)
    elif state.kind == UV_PREPARE:
        uv_prepare_stop(<uv_prepare_t *> state.uv)
    elif state.kind == UV_CHECK:
        uv_check_stop(<uv_check_t *> state.uv)
    elif state.kind == UV_IDLE:
        uv_idle_stop(<uv_idle_t *> state.uv)
    elif state.kind == UV_FS_POLL:
        uv_fs_poll_stop(<uv_fs_poll_t *> state.uv)
    state.fired = False


# --- asking -----------------------------------------------------------------------------------------------------

cdef inline bint is_active(handle_t *state) noexcept nogil:
    return timer_runs(state.timer) if state.kind == UV_TIMER else uv_is_active(state.uv)


cdef inline int count_handles(core_t *core, PyObject *but) noexcept:
    """How many handles a loop has, without that of the Handle `but`."""
    cdef handle_t *state = core.handles
    cdef int count = 0
    while state != NULL:
        count += state.owner is not but
        state = state.next
    return count


cdef inline bint has_reference(handle_t *state) noexcept nogil:
    """Whether a handle keeps the loop alive while it runs."""
    return state.references if state.kind == UV_TIMER else uv_has_ref(state.uv)


cdef inline void set_reference(handle_t *state, bint wanted) noexcept nogil:
    if state.kind == UV_TIMER:
        if timer_runs(state.timer):
            state.core.references += wanted - state.references
        state.references = wanted
    elif wanted:
        uv_ref(state.uv)
    else:
        uv_unref(state.uv)


# --- the end ----------------------------------------------------------------------------------------------------

cdef inline void on_handle_closed(uv_handle_t *handle) noexcept nogil:
    cdef handle_t *state = <handle_t *> handle.data
    state.core.handles_open -= 1
    hub_check(state.core.handles_open >= 0, b"handles are counted")
    PyMem_RawFree(state.uv)
    PyMem_RawFree(state)


cdef inline void unlink_state(handle_t *state) noexcept nogil:
    cdef core_t *core = state.core
    if state.previous != NULL:
        state.previous.next = state.next
    elif core.handles is state:
        core.handles = state.next
    else:
        core.orphans = state.next
    if state.next != NULL:
        state.next.previous = state.previous
    state.next = state.previous = NULL


cdef inline void orphan_state(handle_t *state) noexcept nogil:
    """Leave a state whose Handle is gone to the loop's own thread, which closes it in its next turn. Needs the GIL."""
    cdef core_t *core = state.core
    unlink_state(state)
    state.owner = NULL
    state.node = NULL
    state.next = core.orphans
    if state.next != NULL:
        state.next.previous = state
    core.orphans = state


cdef inline void close_state(handle_t *state) noexcept nogil:
    """Close the handle. Its memory is freed when libuv is done with it. For the loop's own thread."""
    unlink_state(state)
    if state.timer != NULL:
        stop_timer(state)
        timer_to_pool(state.timer)
        state.core.handles_open -= 1
        hub_check(state.core.handles_open >= 0, b"handles are counted")
        PyMem_RawFree(state)
    else:
        uv_close(state.uv, on_handle_closed)


cdef inline void close_orphans(core_t *core) noexcept nogil:
    while core.orphans != NULL:
        close_state(core.orphans)
