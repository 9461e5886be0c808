"""Endpoint: what a socket keeps between two waits, and waiting for it.

Theory
    Each call asks the system not to wait (MSG_DONTWAIT). O_NONBLOCK belongs to the open file, which a child may have as
    well. So it is set only where the standard library sets it: for a socket with a timeout.

Rules
    1. A timeout bounds a whole call, however many waits it takes.
    2. Any number of greenlets may wait in each direction; they are served first come, first served.
    3. A socket without a timeout counts as a blocking one: SO_RCVTIMEO and SO_SNDTIMEO limit its calls.

What does not belong here: the calls that send and receive (transfer.pyx, datagram.pyx) and accept (accepting.pyx);
descriptors that do not belong to sockets (bare.pyx); addresses, families, options (greenio.socket).
"""

import os
import socket as standard
from contextlib import suppress

from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from cython cimport final, no_gc_clear
from libc.errno cimport EAGAIN, EBADF, EINTR
from libc.stdint cimport uint64_t

from hub.closing cimport closing_descriptor, leaving_descriptor
from hub.deadlines cimport deadline_drop, deadline_new, deadline_stop, deadline_t
from hub.core cimport keep_watch, watch_of, watch_t
from hub.ready cimport OUTCOME_READY, OUTCOME_TIMED_OUT
from hub.scheduler cimport Scheduler, be_fair, current_hub, hub_if_any
from hub.timers cimport due_after

from hub.errors import HubDestroyed

from greenio._descriptors.holding import Held
from greenio._descriptors.pauses import pauses_for_room

__all__ = ["Endpoint", "finalize", "keep_endpoints_in"]

# The class as it was before patching.
cdef object StandardSocket = standard.socket

cdef extern from "sys/socket.h" nogil:
    int AF_UNIX
    int MSG_DONTWAIT
    int MSG_ERRQUEUE
    int MSG_OOB
    int MSG_WAITALL
    int SO_RCVTIMEO
    int SO_SNDTIMEO
    int SOCK_DGRAM
    int SOCK_STREAM

cdef extern from *:
    """
    #include <sys/socket.h>
    #include <sys/time.h>

    /* SO_RCVTIMEO or SO_SNDTIMEO in seconds; -1 for no limit, and for a descriptor that has no such option. */
    static double greenio_limit(int fd, int option)
    {
        struct timeval limit = {0, 0};
        socklen_t length = sizeof limit;
        if (getsockopt(fd, SOL_SOCKET, option, &limit, &length) || (limit.tv_sec == 0 && limit.tv_usec == 0))
            return -1;
        return (double) limit.tv_sec + (double) limit.tv_usec / 1e6;
    }

    """
    double greenio_limit(int fd, int option)

cdef extern from *:
    """
    #include <structmember.h>

    /* A class, and the offset of one of its __slots__ in its instances and those of its subclasses. */
    static PyTypeObject *greenio_slot_owner = NULL;
    static Py_ssize_t greenio_slot_offset;

    static int greenio_slot_set(PyObject *owner, PyObject *slot)
    {
        if (!PyType_Check(owner) || Py_TYPE(slot) != &PyMemberDescr_Type
            || ((PyMemberDescrObject *) slot)->d_member->type != T_OBJECT_EX)
            return 0;
        Py_INCREF(owner);
        greenio_slot_offset = ((PyMemberDescrObject *) slot)->d_member->offset;
        greenio_slot_owner = (PyTypeObject *) owner;
        return 1;
    }

    /* What an object has in that slot: a borrowed reference. NULL if it has no such slot, or nothing in it. */
    static inline PyObject *greenio_slot_get(PyObject *self)
    {
        if (greenio_slot_owner == NULL || !PyObject_TypeCheck(self, greenio_slot_owner))
            return NULL;
        return *(PyObject **) ((char *) self + greenio_slot_offset);
    }
    """
    bint greenio_slot_set(object owner, object slot)
    PyObject *greenio_slot_get(object self)


@no_gc_clear  # __dealloc__() needs the loop
cdef class Endpoint:
    """The part of a socket that waits: its descriptor, its watch on the hub's loop, its timeout (internal).

    `name` (str) is used in reports and errors.
    """

    def __init__(self, int fd, object timeout, int type, str name, int family=-1):
        self.fd = fd
        self.family = family
        self.name = name
        self.seconds = -1 if timeout is None else timeout
        self.receive_limit = self.send_limit = -1
        self.is_stream = (type & 0xF) == SOCK_STREAM
        self.is_unix_datagram = family == AF_UNIX and (type & 0xF) == SOCK_DGRAM

    def __dealloc__(self):
        if self.reading != NULL:
            deadline_drop(self.reading, self.loop)
        if self.writing != NULL:
            deadline_drop(self.writing, self.loop)

    cdef deadline_t *deadline_of(self, int events) except NULL:
        if events == READ:
            if self.reading == NULL:
                self.reading = deadline_new()
            return self.reading
        if self.writing == NULL:
            self.writing = deadline_new()
        return self.writing

    @property
    def timeout(self):
        """Seconds (float) a call may take; None for ever; 0.0: do not wait at all."""
        return None if self.seconds < 0 else self.seconds

    @timeout.setter
    def timeout(self, value):
        self.seconds = -1 if value is None else value

    cdef watch_t *open_watch(self, Scheduler hub) except NULL:
        cdef watch_t *watch
        if self.hub is not hub:
            if self.hub is not None and not self.hub.destroyed:
                return self.open_elsewhere(hub)
            self.adopt(hub)
            if self.fd < 0:
                self.closed()
        watch = watch_of(&self.watch, hub.loop.core)
        if watch == NULL or watch.generation != self.watch.generation:
            watch = hub.loop.watch_open(self.fd)
            keep_watch(&self.watch, watch)
        return watch

    cdef int adopt(self, Scheduler hub) except -1:
        """Remember the watch of this hub from now on. There was no such hub before, or it has ended."""
        deadline_stop(self.reading, self.loop)
        deadline_stop(self.writing, self.loop)
        self.watch.watch = NULL
        self.hub = hub
        self.loop = hub.loop
        if self.others is not None:
            self.others.pop(hub, None)
        return 0

    cdef watch_t *open_elsewhere(self, Scheduler hub) except NULL:
        cdef watch_t *watch = hub.loop.watch_of(self.fd)
        cdef dict others = self.others
        if others is None or others.get(hub) != watch.generation:
            # Hubs that have ended are not kept.
            self.others = {other: seen for other, seen in (others or {}).items() if not other.destroyed}
            if self.fd < 0:  # another thread may have had a turn
                self.closed()
            watch = hub.loop.watch_open(self.fd)
            self.others[hub] = watch.generation
        return watch

    cdef int ask_limits(self) except -1:
        self.limits_unknown = False
        self.receive_limit = greenio_limit(self.fd, SO_RCVTIMEO)
        self.send_limit = greenio_limit(self.fd, SO_SNDTIMEO)
        return 0

    @final
    cdef double limit(self, int events) except? -2:
        """How many seconds a call that begins now may take, in that direction; negative for ever."""
        if self.seconds >= 0:
            return self.seconds
        if self.limits_unknown:
            self.ask_limits()
        return self.receive_limit if events == READ else self.send_limit

    @final
    cdef uint64_t due(self, int events) except? 1:
        """When a call that begins now must be over: a loop time, or 0 for never (never 1)."""
        cdef double seconds = self.limit(events)
        return 0 if seconds < 0 else due_after(seconds)

    cdef int wait(self, int events, uint64_t due, bint tried) except -1:
        """Wait until the descriptor is ready, or raise TimeoutError or OSError(EBADF).

        If SO_RCVTIMEO or SO_SNDTIMEO has passed, and not the socket's timeout, the error is BlockingIOError.
        `tried`: whether a call has just failed because it would block.
        """
        cdef Scheduler hub = current_hub()
        cdef watch_t *watch
        cdef unsigned int generation
        cdef deadline_t *deadline = NULL
        cdef int outcome
        if self.fd < 0:
            self.closed()
        watch = self.open_watch(hub)
        generation = watch.generation
        if watch.edge and not tried:
            hub.loop.watch_report_again(watch)
        if due and self.hub is hub:
            deadline = self.deadline_of(events)
        outcome = hub.wait_descriptor(watch, generation, events, due, deadline, self)
        return 0 if outcome == OUTCOME_READY else self.not_ready(events, outcome)

    cdef int not_ready(self, int events, int outcome) except -1:
        # Not in wait(), whose stack greenlet copies at each switch.
        if outcome == OUTCOME_TIMED_OUT:
            if self.seconds < 0 and self.limit(events) >= 0:
                raise BlockingIOError(EAGAIN, os.strerror(EAGAIN))
            raise TimeoutError("timed out")
        raise OSError(EBADF, f"the {self.name} was closed while this greenlet waited for it")

    cpdef int fair(self) except -1:
        """Let others run now and then. For calls that may find their descriptor ready each time, with a fast peer."""
        self.calls += 1
        if self.calls & 15 == 0 and self.seconds != 0:
            be_fair()
        return 0

    cdef int closed(self) except -1:
        raise OSError(EBADF, os.strerror(EBADF))

    cdef int again(self, int error, int events, int flags, uint64_t *due) except -1:
        """After a call has failed: raise its error, or wait and return 0 for another try."""
        if error == EINTR:
            PyErr_CheckSignals()
            return 0
        if error != EAGAIN or self.seconds == 0 or (flags & (MSG_DONTWAIT | MSG_ERRQUEUE) and self.seconds < 0):
            raise OSError(error, os.strerror(error))
        if due[0] == 0:
            due[0] = self.due(events)
        self.wait(events, due[0], True)
        return 0

    cdef int begin_receive(self, int flags, uint64_t *due) except -1:
        """Before a receive: wait if its first try would only fail with EAGAIN; otherwise let others run."""
        if not self.drained:
            return self.fair()
        if self.left_error != 0:
            self.raise_left_error()
        if flags != 0 or self.seconds == 0:
            return self.fair()
        self.drained = False
        due[0] = self.due(READ)
        self.wait(READ, due[0], False)
        return 0

    cdef int leave_error(self, int error) noexcept:
        """Keep an error for the next receive: this call returns the data before it, and the system reports it once."""
        if error != 0 and error != EAGAIN and error != EBADF:
            self.left_error = error
            self.drained = True
        return 0

    cdef int raise_left_error(self) except -1:
        cdef int error = self.left_error
        self.left_error = 0
        self.drained = False
        raise OSError(error, os.strerror(error))

    cdef bint is_for_all(self, int flags) noexcept:
        """Whether a call with such flags waits for all that it asks for: MSG_WAITALL, of a blocking socket."""
        return (
            flags & MSG_WAITALL != 0
            and self.is_stream
            and self.seconds < 0
            and flags & (MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB) == 0
        )

    def leave(self, error):
        """Let the next receive raise this OSError, unless the system will report it again."""
        self.leave_error(error.errno or 0)

    def waits_for_all(self, int flags):
        """Whether a call with such flags waits for all that it asks for (bool)."""
        return self.is_for_all(flags)

    def wait_for(self, int events, *, bint timed=True):
        """Wait until readable (1) or writable (2), within the socket's timeout unless ``timed=False``. Switches."""
        if self.seconds == 0 and timed:
            raise BlockingIOError(EAGAIN, os.strerror(EAGAIN))
        self.wait(events, self.due(events) if timed else 0, False)

    cpdef uint64_t deadline(self) except? 1:
        """When a call that begins now must be over by the socket's timeout, for wait_until() (int)."""
        return 0 if self.seconds < 0 else due_after(self.seconds)

    def wait_until(self, int events, uint64_t deadline):
        """Wait until readable (1) or writable (2), or raise TimeoutError at the deadline (0 for never). Switches.

        For calls that have tried, and would have blocked.
        """
        self.wait(events, deadline, True)

    def retry(self, int events, function, *args):
        """Call ``function(*args)``, which does not wait, until it does not raise BlockingIOError. Switches.

        A Unix datagram socket is reported as writable when its own buffer has room, even if the queue of its peer is
        full. If the call cannot send then, it is tried again in growing pauses.
        """
        cdef uint64_t due = 0
        pauses = held = None
        if events == READ and self.left_error != 0:
            self.raise_left_error()
        self.fair()
        try:
            while True:
                if self.fd < 0:
                    self.closed()
                try:
                    return function(*args)
                except BlockingIOError:
                    if self.seconds == 0:
                        raise
                if held is None:
                    held = Held(args)
                    args = held.args
                if due == 0:
                    due = self.due(events)
                if pauses is not None:
                    if not pauses.pause():
                        if self.seconds < 0:
                            raise BlockingIOError(EAGAIN, os.strerror(EAGAIN))
                        raise TimeoutError("timed out")
                elif events == WRITE and self.is_unix_datagram:
                    pauses = pauses_for_room(None if self.limit(events) < 0 else self.limit(events))
                self.wait(events, due, True)
        finally:
            if held is not None:
                held.release()

    def try_again(self):
        """Wake the readers in all threads, as if data had come: another call may have taken what they wait for."""
        if self.hub is not None and self.fd >= 0:
            self.wake_readers_of(self.hub)
            if self.others is not None:
                for hub in list(self.others):
                    self.wake_readers_of(hub)

    cdef int wake_readers_of(self, hub) except -1:
        if hub is hub_if_any():
            hub.loop.wake_readers(self.fd)
        else:
            with suppress(HubDestroyed):
                hub.run_callback_threadsafe(hub.loop.wake_readers, self.fd)
        return 0

    def inherit_limits(self, Endpoint listener):
        """Take over SO_RCVTIMEO and SO_SNDTIMEO from the listener that has accepted this socket."""
        self.limits_unknown = listener.limits_unknown or listener.receive_limit >= 0 or listener.send_limit >= 0

    cdef int take_descriptor(self) noexcept:
        """Give up the descriptor, and return it. Returns -1 if there is none."""
        cdef int fd = self.fd
        self.fd = -1
        if fd >= 0 and self.hub is not None and self.hub is hub_if_any():
            deadline_stop(self.reading, self.loop)
            deadline_stop(self.writing, self.loop)
        return fd

    def leave_open(self):
        """Give up the descriptor, which stays open. Greenlets that wait for it with this object get EBADF."""
        cdef int fd = self.take_descriptor()
        cdef dict others = self.others
        if fd < 0:
            return
        self.others = None
        if self.hub is not None and watch_of(&self.watch, self.hub.loop.core) != NULL:
            leaving_descriptor(self.hub, fd, self.watch.generation)
        if others is not None:
            for hub, generation in others.items():
                leaving_descriptor(hub, fd, generation)

    def forget(self):
        """Give up the descriptor, which is about to be closed. All greenlets that wait for it get EBADF."""
        cdef int fd = self.take_descriptor()
        if fd < 0:
            return
        closing_descriptor(fd)
        self.others = None  # last: this may be the last reference to a hub, and then any code runs

    def __repr__(self):
        cdef watch_t *watch
        waits = []
        watch = NULL if self.hub is None else watch_of(&self.watch, self.hub.loop.core)
        if watch != NULL:
            waits = [f" readers={watch.readers.length}", f" writers={watch.writers.length}"]
        return f"<{self.name} fd={self.fd} timeout={self.timeout}{''.join(waits)}>"


# --- methods of greenio.socket.socket: they find their Endpoint in its slot `_endpoint` -------------------------------

def keep_endpoints_in(cls):
    """Let C code find the Endpoints of instances of `cls` in their slot `_endpoint`."""
    if not greenio_slot_set(cls, cls.__dict__["_endpoint"]):
        raise TypeError(f"{cls!r} has no slot named _endpoint")


cdef Endpoint endpoint_of(object sock):
    """The Endpoint of a socket."""
    cdef PyObject *found = greenio_slot_get(sock)
    return other_endpoint_of(sock) if found == NULL else <Endpoint?> <object> found


cdef Endpoint other_endpoint_of(object sock):
    """The Endpoint of an object that has none in the slot. A socket without an __init__() call counts as closed."""
    try:
        return sock._endpoint
    except AttributeError:
        if isinstance(sock, StandardSocket):
            raise OSError(EBADF, os.strerror(EBADF)) from None
        raise


def finalize(self):
    """The __del__() of sockets: if a socket was not closed, the greenlets that wait for it are woken before it goes."""
    cdef PyObject *found = greenio_slot_get(self)
    if found != NULL:
        if (<Endpoint> found).fd < 0:
            return
        try:
            (<Endpoint> found).forget()
        finally:
            StandardSocket.__del__(self)
    else:
        StandardSocket.__del__(self)
