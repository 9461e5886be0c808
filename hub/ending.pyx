"""The end of a hub: Hub.destroy(), on the main greenlet of its thread. And Hub.join(), which waits until nothing is
left to do.

The steps of the end, as numbered in the code
    1. From now on nothing waits here. A greenlet that tries to wait gets its pending exception, or HubDestroyed.
       Otherwise the end might take as long as the longest wait, and new waits would begin.
    2. Requests of other threads are carried out. So a greenlet that was granted something has it before it is told of
       the end, and can give it back.
    3. Greenlets that a timer would start end without having begun: the timers will be gone.
    4. Greenlets that wait are woken with HubDestroyed: only an exception unwinds a stack, so that `finally` runs.
    5. The ready queue is carried out. Callbacks run, on the main greenlet. Greenlets go on. Greenlets that have not
       begun end with HubDestroyed, and never begin. So the locks that they hold go to the next in line, links are
       called, and joins return, in other threads too.
    6. A greenlet that has caught HubDestroyed LAST_TRIES times and waited again is given up: it never goes on, or the
       end might take for ever. It counts as finished, with HubDestroyed, so that nobody waits for it. Its frames stay,
       with the objects in them: only unwinding the stack would drop them.
    7. These steps make other greenlets ready. Steps 2 to 6 are repeated until none is, at most LAST_TRIES times.
    8. The resolver and the thread pool are closed: greenlets may have used them until now. Greenlets that waited for
       them go on: steps 2 to 7 are done once more.
    9. The hub is destroyed: later requests of other threads are refused with HubDestroyed. Requests until this moment
       are carried out, once. So no request is lost.
    10. The loop is closed, and the thread has no hub: the next get_hub() makes a new one.
    11. destroy() raises the exception that was thrown at the main greenlet and not raised there yet. A Timeout that
        runs there never expires. A RuntimeWarning names the greenlets that were given up. This step is the last,
        because it may raise.

What does not belong here: when a thread's hub is destroyed, and what becomes of hubs when the process ends or forks
(hub.threads).
"""

import warnings

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

from hub.arguments cimport seconds_of
from hub.callbacks cimport Callback
from hub.errors import BlockingSwitchOutError, HubDestroyed
from hub.greenlet_api cimport *
from hub.greenlets cimport HubGreenlet
from hub.loop cimport Job
from hub.ready cimport (
    NODE_ALARM, NODE_START, OUTCOME_TIMED_OUT, node_t, ready_pop, ready_push_front, ready_t, slot_t,
)
from hub.scheduler cimport Scheduler, is_current, resume_of
from hub.threads cimport forget_hub
from hub.thrown cimport alarm_cancel, take_pending
from hub.waits cimport LAST_TRIES, ThrowJob, Wait

__all__ = ["destroy", "join"]

import_greenlet()


def join(Scheduler hub, timeout):
    """Hub.join() for a hub (internal)."""
    cdef Wait wait
    cdef PyObject *current
    hub.check_thread()
    current = running_greenlet()
    if current is not <PyObject *> hub.main:
        raise BlockingSwitchOutError("hub.join() can be called from the main greenlet only")
    if timeout is not None and seconds_of(timeout) < 0:
        timeout = 0
    wait = hub.new_wait("hub.join()")
    hub.join_wait = wait
    try:
        return wait.park(timeout, False)
    except TimeoutError:
        if wait.c.outcome == OUTCOME_TIMED_OUT:
            return False
        raise
    finally:
        hub.join_wait = None


def destroy(Scheduler hub):
    """Hub.destroy() for a hub: carry out the steps of its end (internal)."""
    cdef PyObject *current
    cdef list given_up = []
    if hub.destroyed:
        return
    hub.check_thread()
    current = running_greenlet()
    if current is not <PyObject *> hub.main:
        raise BlockingSwitchOutError("hub.destroy() can be called from the main greenlet only")
    if hub.loop.core.running:
        raise BlockingSwitchOutError("hub.destroy() cannot be called from a callback of the loop")
    if hub.destroying:
        return  # in a callback of the end itself
    # 1. Nothing waits from now on.
    hub.destroying = True
    hub.restricted += 1
    hub.unfinished = []
    end_all(hub, given_up)
    # 8. The resolver and the thread pool.
    try:
        hub.on_destroy()
    except BaseException as error:
        hub.report(hub, error)
    end_all(hub, given_up)
    # 9. The last requests of other threads.
    hub.destroyed = True
    hub.unfinished = None
    hub.inbox_job.run()
    carry_out(hub)
    # 10. The loop, and the thread's hub.
    hub.forget_wait_timers()
    hub.loop.close()
    if is_current(hub):
        forget_hub()
    # 11. The steps that may raise.
    try:
        raise_pending(hub)
    finally:
        if given_up:
            warn_of_given_up(given_up)


cdef object destroyed_error(Scheduler hub):
    return HubDestroyed(f"{hub!r} is being destroyed")


cdef int end_all(Scheduler hub, list given_up) except -1:
    """Steps 2 to 7: let all greenlets and callbacks come to their end. Adds greenlets that do not end to `given_up`."""
    cdef int _
    for _ in range(LAST_TRIES):
        # 2. Requests of other threads.
        if hub.inbox:
            hub.inbox_job.run()
        # 3. Greenlets that a timer would start.
        for greenlet in list(hub.to_start_later or ()):
            (<HubGreenlet> greenlet).end_unstarted(destroyed_error(hub))
        # 4. Greenlets that wait.
        for parked in hub.parked_waits():
            (<Wait> parked).throw_with(destroyed_error(hub))
        # 5. The ready queue.
        carry_out(hub)
        # 6. Greenlets that waited again and again.
        while hub.unfinished:
            greenlet = hub.unfinished.pop()
            given_up.append(greenlet)
            if isinstance(greenlet, HubGreenlet):
                (<HubGreenlet> greenlet).end_unfinished(destroyed_error(hub))
        # 7. Until none is left.
        if hub.loop.core.ready.head == NULL and not hub.inbox and hub.parked == NULL:
            break
    return 0


cdef int carry_out(Scheduler hub) except -1:
    """Carry out, on the main greenlet, the entries that are in the ready queue now."""
    cdef ready_t *ready = &hub.loop.core.ready
    cdef long left = ready.length
    cdef node_t *node
    cdef PyObject *target
    cdef PyObject *result
    while left > 0:
        left -= 1
        node = ready_pop(ready)
        if node == NULL:
            break
        if node.kind <= NODE_ALARM:
            if resume_of(node, &target) == NULL:
                continue
            result = hub_greenlet_switch(target)
            # Control returns here when the greenlet ends or is given up: its parent, the hub, ends at once.
            if result == NULL:
                hub.hub_goes_on()
            else:
                Py_DECREF(<object> result)
        elif node.kind == NODE_START:
            greenlet = <object> node.object
            ready_push_front(ready, node)
            (<HubGreenlet> greenlet).end_unstarted(destroyed_error(hub))
        else:
            job = <object> node.object
            if isinstance(job, (Callback, ThrowJob)) or job is hub.inbox_job:  # watchers do not fire any more
                try:
                    (<Job> job).run()
                except BaseException as error:
                    hub.report(job, error)
    return 0


cdef int raise_pending(Scheduler hub) except -1:
    """Raise the main greenlet's last pending exception, with the earlier ones as its context. Alarms are cancelled."""
    cdef slot_t *slot = &hub.main_slot
    while slot.pending != NULL and slot.pending.alarm != NULL:
        alarm_cancel(slot.pending.alarm)
    if slot.pending != NULL:
        try:
            raise take_pending(slot)
        finally:
            raise_pending(hub)
    return 0


cdef int warn_of_given_up(list given_up) except -1:
    names = ", ".join([repr(greenlet) for greenlet in given_up[:10]])
    if len(given_up) > 10:
        names += f" and {len(given_up) - 10} more"
    warnings.warn(
        f"caught HubDestroyed {LAST_TRIES} times and waited again; they never go on: {names}", RuntimeWarning, 2
    )
    return 0
