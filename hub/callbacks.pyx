"""Callbacks: functions that the hub greenlet calls, for its own thread or for others. The ground floor of a hub.

A callback is a Job: it stands on the ready queue, and runs when its turn comes. `CallingHub` is a hub without
greenlets: it belongs to a thread, has a loop, runs callbacks, and reports errors that nobody catches.

Rules
    1. A callback must not block. Its exceptions go to `handle_error`.
    2. Other threads append to a hub's inbox and wake its loop. They change nothing else of a hub.

What does not belong here: the ready queue itself; waits; watchers, whose callbacks are called each time they fire.
"""

import sys

from cpython.exc cimport PyErr_SetObject, PyErr_WriteUnraisable
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from cython cimport final

from greenlet import GreenletExit

from hub.current cimport hub_of_thread
from hub.errors import HubDestroyed, InvalidThreadUseError
from hub.greenlet_api cimport greenlet
from hub.loop cimport Job
from hub.ready cimport ready_push, ready_remove

__all__ = ["Callback", "CallingHub", "open_inbox"]


@final
cdef class Callback(Job):
    """A function that the hub greenlet will call. run_callback() makes it.

    `stop()` cancels it. `pending`, and its truth value, say whether it is still to run. No method switches.
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
        """Cancel the callback. Does nothing if it has run. Raises InvalidThreadUseError in another thread."""
        self.hub.check_thread()
        self.callback = self.args = None
        if self.node.queued:
            ready_remove(&self.hub.loop.core.ready, &self.node)
            Py_DECREF(self)

    close = stop

    @property
    def pending(self):
        """Whether the callback is still to run (bool)."""
        return self.callback is not None

    def __bool__(self):
        return self.callback is not None

    def __repr__(self):
        state = f"{self.callback!r} args={self.args!r}" if self.callback is not None else "stopped"
        return f"<{type(self).__name__} at {id(self):#x} {state}>"


@final
cdef class InboxJob(Job):
    """Carries out the requests in a hub's inbox."""
    cdef CallingHub hub

    cdef int run(self) except -1:
        cdef list requests = self.hub.inbox
        cdef Py_ssize_t done = 0
        self.hub.inbox = []
        try:
            for request in requests:
                done += 1
                if type(request) is tuple:
                    self.call(request[0], request[1])
                else:
                    self.hub.wake_posted(request)
        finally:
            if done < len(requests):
                # A function has failed, and so has the report of that. The next turn carries out the other requests.
                self.hub.inbox = requests[done:] + self.hub.inbox
                if not self.node.queued:
                    ready_push(&self.hub.loop.core.ready, &self.node)
        return 0

    cdef int call(self, object callback, tuple args) except -1:
        """Call a function on the hub greenlet now, and report its exception if it raises one."""
        before = self.hub.callback
        self.hub.callback = callback
        try:
            callback(*args)
        except BaseException:
            self.hub.report_error(callback)
        self.hub.callback = before
        return 0


# --- a hub that calls -------------------------------------------------------------------------------------------

cdef class CallingHub(greenlet):
    """A hub as far as it calls functions, without greenlets that wait (internal base class). `hub.Hub` is all of it."""

    #: Exceptions that `handle_error` does not print: they end a greenlet on purpose.
    NOT_ERROR = (GreenletExit, SystemExit)
    #: Exceptions that `handle_error` throws into the main greenlet, because the program should end.
    SYSTEM_ERROR = (KeyboardInterrupt, SystemExit, SystemError)

    def __cinit__(self, *args, **kwargs):
        self.inbox = []

    @final
    cdef int check_thread(self) except -1:
        if hub_of_thread() is not <PyObject *> self:
            if self.destroyed:
                raise HubDestroyed(f"{self!r} was destroyed; get_hub() makes a new one")
            raise InvalidThreadUseError(
                f"{self!r} belongs to thread {self.thread_ident:#x}; from another one use its run_callback_threadsafe()"
            )
        return 0

    def run_callback(self, callback, *args):
        """Call ``callback(*args)`` on the hub greenlet when its turn comes. Does not switch.

        Callbacks and ready greenlets run in the order in which they became ready. The callback must not block. Its
        exceptions go to ``handle_error``. Returns a Callback, which has ``stop()`` and ``pending``. Raises
        InvalidThreadUseError in another thread than the hub's, TypeError if `callback` is not callable.
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

    def run_callback_threadsafe(self, callback, *args):
        """Call ``callback(*args)`` on this hub's greenlet, from any thread. Does not switch or wait.

        The callback must not block. Its exceptions go to ``handle_error``. Raises HubDestroyed if the hub was
        destroyed, TypeError if `callback` is not callable.
        """
        if not callable(callback):
            raise TypeError(f"a callback must be callable, not {callback!r}")
        request = (callback, args)  # may run any code, so `destroyed` is read after it
        if self.destroyed:
            raise HubDestroyed(f"{self!r} was destroyed; nothing can be called on it")
        self.inbox.append(request)
        self.loop.wake_up()

    def hold_loop(self, int change):
        """Count one more (`change` 1) or one less (-1) reason outside of the loop to keep it alive (internal).

        Such as work in another thread, which will call the hub when it is done.
        """
        self.loop.core.references += change

    # --- errors ---

    def handle_error(self, context, type, value, tb):
        """Deal with an exception that nobody caught. `hub.Hub` defines how."""
        raise NotImplementedError

    def report(self, context, error):
        """Call handle_error() for an exception instance that nobody has caught. Does not raise, and does not switch.

        `context`: the greenlet, callback or other object that failed. If handle_error() itself fails, its exception
        goes to sys.unraisablehook. But an exception of SYSTEM_ERROR goes to the main greenlet, and one of NOT_ERROR is
        dropped.
        """
        try:
            self.handle_error(context, type(error), error, error.__traceback__)
        except BaseException as failure:
            if isinstance(failure, self.SYSTEM_ERROR):
                self.throw_into(self.principal or self.main, failure)
            elif not isinstance(failure, self.NOT_ERROR):
                if failure.__context__ is None and failure is not error:
                    failure.__context__ = error
                PyErr_SetObject(type(failure), failure)
                PyErr_WriteUnraisable(context)

    @final
    cdef int report_error(self, object context) except -1:
        """Call report() for the exception that is being handled."""
        self.report(context, sys.exc_info()[1])
        return 0

    # --- for the classes that know greenlets ---

    cdef int throw_into(self, object target, object exception) except -1:
        """Throw an exception instance into a greenlet of this hub."""
        raise NotImplementedError

    cdef int wake_posted(self, object wait) except -1:
        """Wake a wait that another thread has put into the inbox."""
        raise NotImplementedError


def open_inbox(CallingHub hub):
    """Let a new hub carry out the requests of other threads (internal)."""
    cdef InboxJob job = InboxJob()
    job.hub = hub
    hub.inbox_job = job
    hub.loop.core.inbox = &job.node
