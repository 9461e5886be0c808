# Descriptor watches: they wake the waits for a descriptor when it is ready, and when it is closed.
# Header only: every function here is inline, and calls libuv, so hub/loop.pyx alone may cimport this.
#
# Rules
#   1. libuv never issues an epoll_ctl for a watch: descriptor_watch.h does.
#   2. Watches are never closed before the loop is. None of them keeps the loop alive, so a watch may stay registered
#      between two waits.
#   3. The closing of a descriptor is announced before, in any thread. The announcement counts the watch's generation
#      up, and ends the waits of earlier generations. If a program does not announce it, the kernel is asked
#      (open_watch(), verify()).
#   4. Functions marked nogil also run in callbacks of libuv. All others need the GIL. All but find_watch() are for the
#      loop's own thread.
#
# What does not belong here: which other threads' loops know a descriptor (all_loops.pyx).

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from libc.errno cimport EBADF, errno
from libc.stdint cimport uint64_t
from libc.string cimport memset

from hub.core cimport LISTEN_CLOSED, core_t, listener_t, watch_t
from hub.libuv cimport (
    UV_READABLE, UV_WRITABLE, raise_errno, uv_handle_t, uv_loop_t, uv_poll_cb, uv_poll_init, uv_poll_t, uv_unref,
)
from hub.ready cimport (
    OUTCOME_CLOSED, OUTCOME_READY, WAIT_WAITING, fifo_remove, fifo_t, fifo_wake_first, link_t, ready_push,
    wait_outcome, wait_wake,
)
from hub.timers cimport end_sleep_by, hub_worked

cdef extern from "descriptor_watch.h" nogil:
    void hub_poll_forget(uv_poll_t *)
    int hub_poll_register(uv_loop_t *, uv_poll_t *, int fd, int events, uv_poll_cb)
    int hub_poll_modify(uv_loop_t *, uv_poll_t *, int events, bint edge)
    int hub_poll_renew(uv_loop_t *)
    void hub_poll_resume(uv_loop_t *, uv_poll_t *, int events, bint edge)
    int hub_poll_unregister(uv_loop_t *, uv_poll_t *)
    int hub_poll_verify(uv_loop_t *, uv_poll_t *)

cdef extern from "fcntl.h" nogil:
    int fcntl(int fd, int command)
    int F_GETFD

cdef extern from "sys/eventfd.h" nogil:
    int eventfd(unsigned int, int)
    int EFD_CLOEXEC

cdef enum:
    # The least time between two calls of verify(), in nanoseconds.
    VERIFY_PAUSE = 250000000
    # How many times longer the pause is than a call. The call's CPU time counts, as other threads may run meanwhile.
    VERIFY_SHARE = 400


# --- libuv's callback: no GIL, no Python ------------------------------------------------------------------------

cdef inline void on_poll(uv_poll_t *handle, int status, int events) noexcept nogil:
    cdef watch_t *watch = <watch_t *> handle.data
    cdef listener_t *listener
    cdef bint claimed = False
    if status < 0:
        events = UV_READABLE | UV_WRITABLE
        on_error(watch)
        if watch.events == 0:
            return  # the descriptor is closed; the next turn wakes the waits, and tells them
    if events & UV_READABLE and wake(&watch.readers, watch.edge):
        claimed = True
    if events & UV_WRITABLE and wake(&watch.writers, watch.edge):
        claimed = True
    listener = watch.listeners
    while listener != NULL:
        if listener.events & events:
            claimed = True
            listener.fired |= listener.events & events
            if not listener.node.queued:
                ready_push(&watch.core.ready, listener.node)
        listener = listener.next
    if claimed:
        watch.unclaimed = 0
    else:
        watch.unclaimed += 1
    # A socket is nearly always writable, so it is registered for that only while a greenlet waits to write. A greenlet
    # that was woken to read nearly always waits again, so that registration stays unless it keeps firing for nobody.
    if status >= 0 and (watch.unclaimed > 3 or (events & UV_WRITABLE and watch.writers.head == NULL)):
        register_wanted(watch)


cdef inline bint wake(fifo_t *fifo, bint everybody) noexcept nogil:
    """Wake the first wait, or all if `everybody`, for an event that is reported once. Returns whether there was one."""
    if fifo_wake_first(fifo, OUTCOME_READY) == NULL:
        return False
    while everybody and fifo_wake_first(fifo, OUTCOME_READY) != NULL:
        pass
    return True


cdef inline void on_error(watch_t *watch) noexcept nogil:
    """Wake all waits: an error is pending on the descriptor, and libuv has stopped the handle.

    Each greenlet gets the error from its own system call. An entry in the socket's error queue (IP_RECVERR) is no error
    for that call, but the kernel reports it for as long as it is there. So only changes are reported from now on.
    """
    hub_poll_resume(watch.core.uv, &watch.uv, watch.events, watch.edge)
    if watch.listeners == NULL:
        if not watch.edge:
            watch.edge = True
            if hub_poll_modify(watch.core.uv, &watch.uv, watch.events, True):
                lose_watch(watch)
                return
        wake_all(watch, OUTCOME_READY)


cdef inline void stop_watch(watch_t *watch) noexcept nogil:
    """Stop a watch whose registration is gone from the kernel."""
    hub_poll_forget(&watch.uv)
    watch.events = 0
    watch.edge = False


cdef inline void lose_watch(watch_t *watch) noexcept nogil:
    """Stop a watch whose registration the kernel does not find, and mark it as lost."""
    stop_watch(watch)
    if watch.registered == watch.generation:
        # The descriptor was closed without an announcement. The next turn wakes the waits for it.
        watch.lost = True
        watch.core.renew = True


cdef inline void unregister(watch_t *watch) noexcept nogil:
    """Unregister the watch: nothing waits for the descriptor any more, or it is being closed."""
    if hub_poll_unregister(watch.core.uv, &watch.uv) and watch.registered == watch.generation:
        watch.core.renew = True
    watch.events = 0
    watch.edge = False


cdef inline void register_wanted(watch_t *watch) noexcept nogil:
    """Register the watch for just the events that are wanted now, and for reading unless it keeps firing for nobody."""
    cdef int wanted = wanted_events(watch)
    if watch.unclaimed <= 3 and watch.events & UV_READABLE:
        wanted |= UV_READABLE
    if wanted == watch.events or watch.events == 0:
        return
    if not wanted:
        unregister(watch)
    elif hub_poll_modify(watch.core.uv, &watch.uv, wanted, watch.edge) == 0:
        watch.events = wanted
    else:
        lose_watch(watch)


cdef inline int wanted_events(watch_t *watch) noexcept nogil:
    cdef int wanted = 0
    cdef listener_t *listener = watch.listeners
    if watch.readers.head != NULL:
        wanted |= UV_READABLE
    if watch.writers.head != NULL:
        wanted |= UV_WRITABLE
    while listener != NULL:
        wanted |= listener.events
        listener = listener.next
    return wanted


cdef inline void wake_all(watch_t *watch, wait_outcome outcome) noexcept nogil:
    while fifo_wake_first(&watch.readers, outcome) != NULL:
        pass
    while fifo_wake_first(&watch.writers, outcome) != NULL:
        pass


cdef inline void unlink_listener(watch_t *watch, listener_t *listener) noexcept nogil:
    if listener.previous != NULL:
        listener.previous.next = listener.next
    else:
        watch.listeners = listener.next
    if listener.next != NULL:
        listener.next.previous = listener.previous
    listener.next = listener.previous = NULL
    listener.listening = False


cdef inline bint is_before(unsigned int generation, unsigned int other) noexcept nogil:
    return <int> (generation - other) < 0  # also after the count has overflowed


cdef inline void end_generation(watch_t *watch, unsigned int generation) noexcept nogil:
    """Wake all waits and listeners from before `generation`: their descriptor is closed."""
    cdef listener_t *listener = watch.listeners
    cdef listener_t *next
    end_waits(&watch.readers, generation)
    end_waits(&watch.writers, generation)
    while listener != NULL:
        next = listener.next
        if is_before(listener.generation, generation):
            unlink_listener(watch, listener)
            listener.fired |= listener.events | LISTEN_CLOSED
            if not listener.node.queued:
                ready_push(&watch.core.ready, listener.node)
        listener = next


cdef inline void end_waits(fifo_t *fifo, unsigned int generation) noexcept nogil:
    cdef link_t *link = fifo.head
    cdef link_t *next
    while link != NULL:
        next = link.next
        if link.wait.state == WAIT_WAITING and is_before(link.wait.generation, generation):
            fifo_remove(link)
            wait_wake(link.wait, OUTCOME_CLOSED)
        link = next


# --- descriptors that are closed --------------------------------------------------------------------------------

cdef inline void next_generation(watch_t *watch) noexcept:
    """Begin the next generation of a watch, and wake all waits: the descriptor has no owner any more. Needs the GIL."""
    watch.lost = False
    watch.generation += 1
    end_generation(watch, watch.generation)


cdef inline void close_watch(watch_t *watch) noexcept:
    """Unregister a watch, and wake all waits: the owner is about to close the descriptor."""
    if watch.events:
        unregister(watch)
    next_generation(watch)


cdef inline void closed_in_another_thread(watch_t *watch, unsigned int generation) noexcept:
    """Wake the waits from before `generation`, which another thread has begun when it closed the descriptor."""
    if watch.events and watch.registered != watch.generation:
        stop_watch(watch)
    end_generation(watch, generation)


# --- watches of a loop ------------------------------------------------------------------------------------------

cdef inline int open_probe() noexcept:
    """Open a descriptor on which poll handles are made: see descriptor_watch.h. -1 with errno set on failure."""
    return eventfd(0, EFD_CLOEXEC)


cdef inline void forget_watches(core_t *core) noexcept nogil:
    """Let a loop have no watches any more. Their memory is freed when libuv closes the handles in it, or never."""
    core.watches = core.to_verify = NULL
    core.watches_length = 0


cdef inline int count_watches(core_t *core, bint registered) noexcept:
    """How many watches there are, or how many of them are registered with the kernel."""
    cdef int count = 0
    cdef int fd
    for fd in range(core.watches_length):
        if core.watches[fd] != NULL and (core.watches[fd].events != 0 or not registered):
            count += 1
    return count


cdef inline watch_t *find_watch(core_t *core, int fd) noexcept:
    """The watch of a descriptor, or NULL if there never was one. Any thread that has the GIL."""
    return core.watches[fd] if 0 <= fd < core.watches_length else NULL


cdef inline watch_t *get_watch(core_t *core, int fd) except NULL:
    """The watch of a descriptor, made if need be."""
    cdef watch_t *watch
    cdef watch_t **grown
    cdef size_t length
    cdef int error
    if fd < 0:
        raise ValueError(f"a file descriptor cannot be negative: {fd}")
    if (fd >= core.watches_length or core.watches[fd] == NULL) and fcntl(fd, F_GETFD) < 0:
        # The number of a descriptor that is not open may be huge. No memory is taken for it.
        raise_errno(-errno, f"descriptor {fd} cannot be waited for")
    if fd >= core.watches_length:
        length = max(64, core.watches_length)
        while length <= <size_t> fd:
            length *= 2
        grown = <watch_t **> PyMem_RawRealloc(core.watches, length * sizeof(watch_t *))
        if grown == NULL:
            raise MemoryError()
        memset(grown + core.watches_length, 0, (length - core.watches_length) * sizeof(watch_t *))
        core.watches = grown
        core.watches_length = length
    watch = core.watches[fd]
    if watch == NULL:
        watch = <watch_t *> PyMem_RawCalloc(1, sizeof(watch_t))
        if watch == NULL:
            raise MemoryError()
        error = uv_poll_init(core.uv, &watch.uv, core.probe)
        if error:
            PyMem_RawFree(watch)
            raise_errno(error, f"descriptor {fd} cannot be watched")
        watch.uv.data = watch
        watch.core = core
        watch.fd = fd
        uv_unref(<uv_handle_t *> &watch.uv)
        core.watches[fd] = watch
    return watch


cdef inline watch_t *open_watch(core_t *core, int fd) except NULL:
    """The watch of a descriptor for a new owner of its number.

    If an earlier owner's descriptor was closed without an announcement, its registration is not for the file that has
    the number now. Then the watch is stopped, and its waits are woken.
    """
    cdef watch_t *watch = get_watch(core, fd)
    if watch.events:
        if watch.registered != watch.generation:
            stop_watch(watch)
        elif hub_poll_verify(core.uv, &watch.uv):
            lose_watch(watch)
    if watch.lost:
        next_generation(watch)
    return watch


# --- registering ------------------------------------------------------------------------------------------------

cdef inline int want_events(watch_t *watch, int events) except -1:
    """Register a watch for `events`, too. Returns 1, and does nothing, for a file that is always ready.

    Raises OSError if the kernel refuses: EBADF if the descriptor was closed.
    """
    cdef int error
    watch.unclaimed = 0
    if watch.events & events == events:
        return 0
    if watch.events == 0:
        if watch.lost:
            next_generation(watch)
            raise_errno(-EBADF, f"descriptor {watch.fd} cannot be waited for")
        note_to_verify(watch)
        error = hub_poll_register(watch.core.uv, &watch.uv, watch.fd, events, on_poll)
        watch.registered = watch.generation
    else:
        events |= watch.events
        error = hub_poll_modify(watch.core.uv, &watch.uv, events, watch.edge)
        if error:
            lose_watch(watch)
            next_generation(watch)
            error = -EBADF  # also if the number is another file's
    if error == -1:  # EPERM: regular files cannot be polled
        return 1
    if error:
        raise_errno(error, f"descriptor {watch.fd} cannot be waited for")
    watch.events = events
    return 0


cdef inline void update_watch(watch_t *watch) noexcept:
    """Register a watch for the events that its waits and listeners want. If that fails, all waits are woken."""
    cdef int wanted = wanted_events(watch)
    if watch.events == 0:
        if wanted and not watch.lost:
            note_to_verify(watch)
            watch.registered = watch.generation
            if hub_poll_register(watch.core.uv, &watch.uv, watch.fd, wanted, on_poll):
                wake_all(watch, OUTCOME_READY)
            else:
                watch.events = wanted
    else:
        register_wanted(watch)


cdef inline int report_again(watch_t *watch) noexcept:
    """Let the kernel report the present state once more, if only changes are reported.

    For a wait that begins without a system call that has found the descriptor not ready.
    """
    if hub_poll_modify(watch.core.uv, &watch.uv, watch.events, watch.edge):
        lose_watch(watch)
    return 0


cdef inline int add_listener(watch_t *watch, listener_t *listener) except -1:
    if watch.edge:  # listeners are told of a state for as long as it lasts
        watch.edge = False
        report_again(watch)
    if want_events(watch, listener.events) == 1:
        raise_errno(-1, f"descriptor {watch.fd} is of a kind that is always ready; it cannot be watched")
    listener.generation = watch.generation
    listener.listening = True
    listener.previous = NULL
    listener.next = watch.listeners
    if watch.listeners != NULL:
        watch.listeners.previous = listener
    watch.listeners = listener
    return 0


cdef inline void remove_listener(watch_t *watch, listener_t *listener) noexcept:
    if not listener.listening:
        return  # the descriptor was closed, which has removed it
    unlink_listener(watch, listener)
    if watch.listeners == NULL and watch.readers.head == NULL and watch.writers.head == NULL:
        # Listeners come and go less often than waits. So a level-triggered registration is not left behind.
        if watch.events:
            unregister(watch)
    else:
        register_wanted(watch)


# --- descriptors that were closed without an announcement -------------------------------------------------------

cdef inline bint verify_if_due(core_t *core, object others) except -1:
    """Before a sleep: wake greenlets that wait for descriptors which were closed without an announcement.

    Otherwise they would wait for ever, and keep the loop alive. The kernel reports no closing. So it is asked, once
    after Python code has run, at most every VERIFY_PAUSE nanoseconds, and for at most a VERIFY_SHARE-th of the time.

    `others`: a function that verifies other descriptors, or None. Returns whether they were verified now.
    """
    cdef uint64_t began
    if not verify_is_due(core):
        return False
    began = hub_worked()
    verify(core, False)
    if others is not None:
        others()
    set_verify_pause(core, began)
    return True


cdef inline bint verify_is_due(core_t *core) except -1:
    """Before a sleep: whether verify() is due. If it is not, the sleep ends when it will be."""
    if core.watches_length == 0:
        return False
    if core.looked - core.verified < core.verify_pause:
        end_sleep_by(&core.timers, core.now + (core.verified + core.verify_pause - core.looked))
        return False
    core.verified = core.looked
    return True


cdef inline void set_verify_pause(core_t *core, uint64_t began) noexcept:
    """Set the pause after verify(): the longer it took, the longer. `began`: hub_worked() when it began."""
    core.verify_pause = max(<uint64_t> VERIFY_PAUSE, (hub_worked() - began) * VERIFY_SHARE)


cdef inline int verify(core_t *core, bint all) noexcept:
    """Wake waits for descriptors that were closed without an announcement.

    `all`: whether to verify all descriptors, or only those with waits.
    """
    cdef watch_t **link = &core.to_verify
    cdef watch_t *watch
    while link[0] != NULL:
        watch = link[0]
        if watch.events and (all or wanted_events(watch)):
            if watch.registered != watch.generation:
                stop_watch(watch)  # another thread, which closes the descriptor, has unregistered it
            elif hub_poll_verify(core.uv, &watch.uv):
                lose_watch(watch)
        if watch.lost:
            next_generation(watch)
        if watch.events:
            link = &watch.next_to_verify
        else:
            link[0] = watch.next_to_verify
            watch.is_to_verify = False
    return 0


cdef inline void note_to_verify(watch_t *watch) noexcept:
    """Let verify() know a watch that is about to be registered.

    It keeps a list, because the loop may have had many thousand watches that are not registered any more.
    """
    if not watch.is_to_verify:
        watch.is_to_verify = True
        watch.next_to_verify = watch.core.to_verify
        watch.core.to_verify = watch


cdef inline int renew_epoll(core_t *core) noexcept:
    """Rid the epoll of registrations that no descriptor leads to. The next turn retries if descriptors are short."""
    verify(core, True)
    if hub_poll_renew(core.uv) == 0:
        core.renew = False
    return 0
