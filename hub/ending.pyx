"""How a hub ends: destroy(), on the main greenlet of its thread; and how one waits until nothing is left to do.

The end, step by step; the code has these numbers
    1. From now on nothing waits here: a greenlet that wants to gets its pending exception, or HubDestroyed. Otherwise
       the end might take as long as the longest wait, and new waits would begin.
    2. Requests of other threads are carried out. So a greenlet that was granted something has it before it is told of
       the end, and can give it back.
    3. Greenlets that a timer would start end without having begun: the timers will not be there.
    4. Greenlets that wait are woken with HubDestroyed: only an exception unwinds a stack, so that `finally` runs.
    5. The ready queue is carried out: callbacks run, on the main greenlet; greenlets go on; those that have not begun
       end with HubDestroyed and never begin. So what they hold goes to the next in line, links are called, and joins
       return, in other threads too.
    6. A greenlet that has caught HubDestroyed LAST_TRIES times and waited again is given up: it never goes on, as the
       end must come to an end. It counts as finished, with HubDestroyed, so that nobody waits for it. Its frames stay,
       with what they refer to: nothing but unwinding them drops it.
    7. All that makes others ready. Steps 2 to 6 are repeated until none is, at most LAST_TRIES times.
    8. The resolver and the thread pool are closed: greenlets may have used them until now. Those that waited for them
       go on: steps 2 to 7 are done once more.
    9. The hub is destroyed: later requests of other threads are refused with HubDestroyed. Requests until this moment
       are carried out, once. So no request is lost.
    10. The loop is closed, and the thread has no hub: the next get_hub() makes a new one.
    11. destroy() raises the exception that was thrown at the main greenlet and not raised there yet. A Timeout that
        runs there never expires. A RuntimeWarning names greenlets that were given up. This is last, because it may
        raise.

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
from hub.scheduler cimport is_current, resume_of
from hub.signals cimport SignalledHub
from hub.threads cimport forget_hub
from hub.thrown cimport alarm_cancel, take_pending
from hub.waits cimport LAST_TRIES, ThrowJob, Wait

__all__ = ["EndingHub"]

import_greenlet()


cdef class EndingHub(SignalledHub):
    """What of a hub concerns its end (internal base class)."""

    def join(self, timeout=None):
        """Wait until nothing is left to do: no greenlet is ready, and no timer, socket or handle is waited for.

        Main greenlet only. `timeout` in seconds, None for ever. Returns True when everything is done, False
        when the timeout passed first.
        """
        cdef Wait wait
        cdef PyObject *current
        self.check_thread()
        current = running_greenlet()
        if current is not <PyObject *> self.main:
            raise BlockingSwitchOutError("hub.join() can be called from the main greenlet only")
        if timeout is not None and seconds_of(timeout) < 0:
            timeout = 0
        wait = self.new_wait("hub.join()")
        self.join_wait = wait
        try:
            return wait.park(timeout, False)
        except TimeoutError:
            if wait.c.outcome == OUTCOME_TIMED_OUT:
                return False
            raise
        finally:
            self.join_wait = None

    def destroy(self, destroy_loop=None):
        """End every greenlet of this hub with HubDestroyed, close the loop, and forget the hub.

        Those that have not begun never will. One that catches HubDestroyed again and again is given up, with a
        RuntimeWarning. The next get_hub() of the thread makes a new hub. Call it from the main greenlet of the hub's
        thread, when the thread is done; it is called by itself when a thread ends. Calling it again does nothing.
        `destroy_loop` is accepted for compatibility: the loop always goes with its hub.
        Raises BlockingSwitchOutError anywhere else, and what was thrown at the main greenlet and not raised there yet.
        Switches to the greenlets that it ends.
        """
        cdef PyObject *current
        cdef list given_up = []
        if self.destroyed:
            return
        self.check_thread()
        current = running_greenlet()
        if current is not <PyObject *> self.main:
            raise BlockingSwitchOutError("hub.destroy() can be called from the main greenlet only")
        if self.loop.core.running:
            raise BlockingSwitchOutError("hub.destroy() cannot be called from a callback of the loop")
        if self.destroying:
            return  # in a callback of the end itself
        # 1. Nothing can be waited for.
        self.destroying = True
        self.restricted += 1
        self.unfinished = []
        self.end_all(given_up)
        # 8. What greenlets may have used until now.
        try:
            self.on_destroy()
        except BaseException as error:
            self.report(self, error)
        self.end_all(given_up)
        # 9. What others ask for is refused from now on, and done if it was asked for before.
        self.destroyed = True
        self.unfinished = None
        self.inbox_job.run()
        self.carry_out()
        # 10. No loop, and no hub.
        self.loop_ends()
        self.loop.close()
        if is_current(self):
            forget_hub()
        # 11. What may raise.
        try:
            self.raise_pending()
        finally:
            if given_up:
                warn_of(given_up)

    def on_destroy(self):
        """What else ends with the hub, when its greenlets have, and before its loop does (internal)."""

    cdef object the_end(self):
        return HubDestroyed(f"{self!r} is being destroyed")

    cdef int end_all(self, list given_up) except -1:
        """Let everything that is left come to its end. Greenlets that do not end are added to `given_up`."""
        cdef int _
        for _ in range(LAST_TRIES):
            # 2. What other threads have asked for.
            if self.inbox:
                self.inbox_job.run()
            # 3. Greenlets that a timer would start.
            for greenlet in list(self.to_start_later or ()):
                (<HubGreenlet> greenlet).end_unstarted(self.the_end())
            # 4. Greenlets that wait.
            for parked in self.parked_waits():
                (<Wait> parked).throw_with(self.the_end())
            # 5. What is ready.
            self.carry_out()
            # 6. Greenlets that waited again and again.
            while self.unfinished:
                greenlet = self.unfinished.pop()
                given_up.append(greenlet)
                if isinstance(greenlet, HubGreenlet):
                    (<HubGreenlet> greenlet).end_unfinished(self.the_end())
            # 7. Until nobody is left.
            if self.loop.core.ready.head == NULL and not self.inbox and self.parked == NULL:
                break
        return 0

    cdef int carry_out(self) except -1:
        """From the main greenlet, carry out what is ready at this moment."""
        cdef ready_t *ready = &self.loop.core.ready
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
                # It comes back here when the greenlet ends or is given up: its parent, the hub, ends at once.
                if result == NULL:
                    self.hub_goes_on()
                else:
                    Py_DECREF(<object> result)
            elif node.kind == NODE_START:
                greenlet = <object> node.object
                ready_push_front(ready, node)
                (<HubGreenlet> greenlet).end_unstarted(self.the_end())
            else:
                job = <object> node.object
                if isinstance(job, (Callback, ThrowJob)) or job is self.inbox_job:  # not a watcher's
                    try:
                        (<Job> job).run()
                    except BaseException as error:
                        self.report(job, error)
        return 0

    cdef int raise_pending(self) except -1:
        """Raise what was to be raised in the main greenlet when it waited next: the last one, in the context of the
        others."""
        cdef slot_t *slot = &self.main_slot
        while slot.pending != NULL and slot.pending.alarm != NULL:
            alarm_cancel(slot.pending.alarm)
        if slot.pending != NULL:
            try:
                raise take_pending(slot)
            finally:
                self.raise_pending()
        return 0


cdef int warn_of(list given_up) except -1:
    names = ", ".join([repr(greenlet) for greenlet in given_up[:10]])
    if len(given_up) > 10:
        names += f" and {len(given_up) - 10} more"
    warnings.warn(
        f"caught HubDestroyed {LAST_TRIES} times and waited again; they never go on: {names}", RuntimeWarning, 2
    )
    return 0
