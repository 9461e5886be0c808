"""Callbacks: functions that the hub greenlet calls, for its own thread or for others.

Each is a Job: it stands on the ready queue, and is run when its turn comes.

Rules
    1. A callback must not block. What it raises goes to `handle_error`.
    2. Other threads append to a hub's inbox and wake its loop; nothing else of a hub is theirs to touch.

What does not belong here: the ready queue itself; watchers, whose callbacks are called each time they fire.
"""

from cpython.ref cimport Py_DECREF, Py_INCREF
from cython cimport final

from hub.errors import HubDestroyed
from hub.loop cimport Job
from hub.ready cimport OUTCOME_VALUE, ready_push, ready_remove, wait_hold_and_wake
from hub.scheduler cimport Scheduler, Wait

__all__ = ["Callback", "run_callback", "run_callback_threadsafe", "take_requests"]


@final
cdef class Callback(Job):
    """A function for the hub greenlet to call: what run_callback() returns.

    `stop()` takes it back; `pending` says whether it is still to run; true while pending.
    """

    cdef int run(self) except -1:
        callback, args = self.callback, self.args
        self.callback = self.args = None
        Py_DECREF(self)  # the ready queue's
        if callback is not None:
            self.hub.callback = callback
            try:
                callback(*args)
            except BaseException:
                self.hub.report_error(callback)
        return 0

    def stop(self):
        """Do not run it. Does nothing if it has run."""
        self.hub.check_thread()
        self.callback = self.args = None
        if self.node.queued:
            ready_remove(&self.hub.loop.core.ready, &self.node)
            Py_DECREF(self)

    close = stop

    @property
    def pending(self):
        """Whether it is still to run (bool)."""
        return self.callback is not None

    def __bool__(self):
        return self.callback is not None

    def __repr__(self):
        state = f"{self.callback!r} args={self.args!r}" if self.callback is not None else "stopped"
        return f"<{type(self).__name__} at {id(self):#x} {state}>"


@final
cdef class InboxJob(Job):
    """Does what other threads have asked for."""
    cdef Scheduler hub

    cdef int run(self) except -1:
        cdef list requests = self.hub.inbox
        cdef Py_ssize_t done = 0
        self.hub.inbox = []
        try:
            for request in requests:
                done += 1
                if type(request) is Wait:
                    wait_hold_and_wake(&(<Wait> request).c, OUTCOME_VALUE)
                else:
                    self.call(request[0], request[1])
        finally:
            if done < len(requests):
                # A report failed, too: what else was asked for is still done, in the next turn.
                self.hub.inbox = requests[done:] + self.hub.inbox
                if not self.node.queued:
                    ready_push(&self.hub.loop.core.ready, &self.node)
        return 0

    cdef int call(self, object callback, tuple args) except -1:
        """Call a function on the hub greenlet now, and report what it raises."""
        before = self.hub.callback
        self.hub.callback = callback
        try:
            callback(*args)
        except BaseException:
            self.hub.report_error(callback)
        self.hub.callback = before
        return 0


# --- methods of Hub ---------------------------------------------------------------------------------------------

def run_callback(Scheduler self, callback, *args):
    """Call ``callback(*args)`` on the hub greenlet, soon, in order. Does not switch.

    The callback must not block. What it raises goes to ``handle_error``.
    Returns an object with ``stop()`` and ``pending``. The hub's own thread only: InvalidThreadUseError.
    """
    cdef Callback job
    self.check_thread()
    if not callable(callback):
        raise TypeError(f"a callback must be callable, not {callback!r}")
    job = Callback.__new__(Callback)
    job.hub = self
    job.callback = callback
    job.args = args
    Py_INCREF(job)  # the ready queue's
    ready_push(&self.loop.core.ready, &job.node)
    return job


def run_callback_threadsafe(Scheduler self, callback, *args):
    """Call ``callback(*args)`` on this hub's greenlet, from any thread. Does not switch or wait.

    The callback must not block. What it raises goes to ``handle_error``.
    Raises HubDestroyed when the hub is gone.
    """
    if not callable(callback):
        raise TypeError(f"a callback must be callable, not {callback!r}")
    request = (callback, args)  # any code may run here: the hub is looked at afterwards
    if self.destroyed:
        raise HubDestroyed(f"{self!r} was destroyed; nothing can be called on it")
    self.inbox.append(request)
    self.loop.wake_up()


def take_requests(Scheduler hub):
    """Let a new hub do what other threads ask it for (internal)."""
    cdef InboxJob job = InboxJob()
    job.hub = hub
    hub.inbox_job = job
    hub.loop.core.inbox = &job.node
