"""Waiting for sockets: the receive and send loops, and what a socket keeps between two waits.

Theory
    A call is tried; when it would block, the greenlet waits for the descriptor and tries again. A receive that got
    less than it asked for has drained the socket, so the next one waits first and spares the call that would only
    say EAGAIN.

    The system is asked not to wait in each call (MSG_DONTWAIT). O_NONBLOCK belongs to the open file, which a child
    may have as well: it is set where the standard library sets it, for a socket with a timeout. There is no such
    flag for accept(): a listener is made non-blocking when it is first accepted from, as another process may be
    faster. That is known (`flagged`), and taken back when a child gets it.

Rules
    1. Receives go into one scratch buffer and are copied out: cheaper than a large bytes object that is shrunk
       afterwards. The GIL is held from the call to the copy. Only when much comes it goes into the object at once.
    2. A timeout bounds the whole call, however many waits it takes.
    3. Any number of greenlets may wait in each direction; they are served first come, first served.
    4. Without a timeout the socket is a blocking one: SO_RCVTIMEO and SO_SNDTIMEO count, and MSG_WAITALL waits for all.

What does not belong here: addresses, families, options. greenio.socket builds on this.
"""

import os
import socket as standard
from contextlib import suppress
from weakref import WeakValueDictionary

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from cython cimport final, no_gc_clear
from libc.errno cimport EAGAIN, EBADF, EINTR, errno
from libc.stdint cimport uint64_t

from cpython.ref cimport Py_DECREF, Py_XDECREF
from hub.closing cimport closing_descriptor, leaving_descriptor
from hub.deadlines cimport deadline_drop, deadline_new, deadline_stop, deadline_t
from hub.arguments cimport seconds_of
from hub.core cimport watch_t
from hub.loop cimport due_after
from hub.ready cimport OUTCOME_CLOSED, OUTCOME_READY, OUTCOME_TIMED_OUT
from hub.scheduler cimport Scheduler, be_fair, current_hub, hub_if_any

from hub.errors import HubDestroyed

from greenio._descriptors.holding import Held
from greenio._descriptors.pauses import Pauses, until_there_is_room

__all__ = [
    "Endpoint", "accept_descriptor", "accept_ready", "finalize", "give_all_away", "give_away", "is_listener",
    "keep_endpoints_in", "recv", "recv_into", "send", "sendall", "wait_descriptor",
]

# As it was before patching.
cdef object StandardSocket = standard.socket

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t length) except NULL
    char *bytes_buffer "PyBytes_AS_STRING"(PyObject *)
    int _PyBytes_Resize(PyObject **, Py_ssize_t length) except -1

cdef extern from "sys/socket.h" nogil:
    ssize_t c_recv "recv"(int fd, void *buffer, size_t length, int flags)
    ssize_t c_send "send"(int fd, const void *buffer, size_t length, int flags)
    int AF_UNIX
    int MSG_DONTWAIT
    int MSG_ERRQUEUE
    int MSG_OOB
    int MSG_PEEK
    int MSG_WAITALL
    int SO_RCVTIMEO
    int SO_SNDTIMEO
    int SOCK_DGRAM
    int SOCK_STREAM

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <netinet/in.h>
    #include <poll.h>
    #include <stddef.h>
    #include <string.h>
    #include <sys/ioctl.h>
    #include <sys/socket.h>
    #include <sys/time.h>
    #include <sys/un.h>

    #ifndef POLLRDHUP
    #define POLLRDHUP 0x2000
    #endif

    static int greenio_make_nonblocking(int fd)
    {
        int on = 1;
        return ioctl(fd, FIONBIO, &on);
    }

    /* SO_RCVTIMEO or SO_SNDTIMEO in seconds; -1 for none, also if there is no such thing. */
    static double greenio_limit(int fd, int option)
    {
        struct timeval limit = {0, 0};
        socklen_t length = sizeof limit;
        if (getsockopt(fd, SOL_SOCKET, option, &limit, &length) || (limit.tv_sec == 0 && limit.tv_usec == 0))
            return -1;
        return (double) limit.tv_sec + (double) limit.tv_usec / 1e6;
    }

    static int greenio_is_listener(int fd)
    {
        int listens = 0;
        socklen_t length = sizeof listens;
        return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens;
    }

    /* Whether nothing more will come, after what has. */
    static int greenio_has_ended(int fd)
    {
        struct pollfd asked = {fd, POLLRDHUP, 0};
        return poll(&asked, 1, 0) > 0;
    }

    /* accept4() with O_CLOEXEC. Sets *address to what Python calls the peer's address: a new reference, or NULL for
       a family that is not known here. Returns the descriptor, or -1. */
    static int greenio_accept(int fd, PyObject **address)
    {
        struct sockaddr_storage storage;
        socklen_t length = sizeof storage;
        char text[INET6_ADDRSTRLEN];
        int accepted;

        memset(&storage, 0, sizeof storage);
        *address = NULL;
        accepted = accept4(fd, (struct sockaddr *) &storage, &length, SOCK_CLOEXEC);
        if (accepted < 0)
            return -1;
        if (storage.ss_family == AF_INET) {
            struct sockaddr_in *in = (struct sockaddr_in *) &storage;
            inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
            *address = Py_BuildValue("(si)", text, (int) ntohs(in->sin_port));
        }
        else if (storage.ss_family == AF_INET6) {
            struct sockaddr_in6 *in = (struct sockaddr_in6 *) &storage;
            /* Scoped addresses carry an interface name in Python: left to the standard library. */
            if (in->sin6_scope_id == 0) {
                inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
                *address = Py_BuildValue("(siII)", text, (int) ntohs(in->sin6_port),
                                         (unsigned int) ntohl(in->sin6_flowinfo), 0u);
            }
        }
        else if (storage.ss_family == AF_UNIX && length <= offsetof(struct sockaddr_un, sun_path))
            *address = PyUnicode_FromString("");
        return accepted;
    }
    """
    int greenio_accept(int fd, PyObject **address)
    bint greenio_is_listener(int fd)
    bint greenio_has_ended(int fd)
    double greenio_limit(int fd, int option)
    int greenio_make_nonblocking(int fd)

cdef extern from *:
    """
    #include <structmember.h>

    /* Where instances of a class, and of its subclasses, keep what is in one of its __slots__. */
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

    /* A borrowed reference, or NULL: it has no such slot, or nothing in it. */
    static inline PyObject *greenio_slot_get(PyObject *self)
    {
        if (greenio_slot_owner == NULL || !PyObject_TypeCheck(self, greenio_slot_owner))
            return NULL;
        return *(PyObject **) ((char *) self + greenio_slot_offset);
    }
    """
    bint greenio_slot_set(object owner, object slot)
    PyObject *greenio_slot_get(object self)

cdef char scratch[SCRATCH]

# The listeners that were made non-blocking here, by device and number of their file.
flagged_listeners = WeakValueDictionary()


cdef char *scratch_buffer() noexcept:
    return scratch


@no_gc_clear  # __dealloc__() needs the loop
cdef class Endpoint:
    """What a socket keeps for waiting: its descriptor, its watch on the hub's loop, its timeout (internal).

    `name` is what reports and errors call it (str).
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
        if self.hub is not hub:
            if self.hub is not None and not self.hub.destroyed:
                return self.open_elsewhere(hub)
            self.adopt(hub)
            if self.fd < 0:
                self.closed()
        if self.watch == NULL or self.epoch != hub.loop.core.epoch or self.generation != self.watch.generation:
            self.watch = hub.loop.watch_open(self.fd)
            self.generation = self.watch.generation
            self.epoch = hub.loop.core.epoch
        return self.watch

    cdef int adopt(self, Scheduler hub) except -1:
        """From now on that is the hub whose watch is remembered: there was none, or it has ended."""
        deadline_stop(self.reading, self.loop)
        deadline_stop(self.writing, self.loop)
        self.watch = NULL
        self.hub = hub
        self.loop = hub.loop
        if self.others is not None:
            self.others.pop(hub, None)
        return 0

    cdef watch_t *open_elsewhere(self, Scheduler hub) except NULL:
        cdef watch_t *watch = hub.loop.watch_of(self.fd)
        cdef dict others = self.others
        if others is None or others.get(hub) != watch.generation:
            # Those that have ended are not kept.
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

        BlockingIOError if what is over is not the socket's timeout, but SO_RCVTIMEO or SO_SNDTIMEO.
        `tried`: a call has just said that it would block.
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
            hub.loop.watch_again(watch)
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
        """Before a call that may find its descriptor ready each time: a fast peer must not keep others from running."""
        self.calls += 1
        if self.calls & 15 == 0 and self.seconds != 0:
            be_fair()
        return 0

    cdef int closed(self) except -1:
        raise OSError(EBADF, os.strerror(EBADF))

    cdef int again(self, int error, int events, int flags, uint64_t *due) except -1:
        """A call failed: raise what is to be raised, or wait and return 0 for another try."""
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
        """Wait at once if the receive to come would only say EAGAIN; else be fair."""
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

    cdef Py_ssize_t receive(self, char *buffer, Py_ssize_t length, int flags) except -1:
        cdef Py_ssize_t count
        cdef uint64_t due = 0
        if length == 0:
            return 0  # as in the standard library, which asks the system for nothing
        if flags & MSG_WAITALL and self.is_for_all(flags):
            return self.receive_all(buffer, length, flags)
        self.begin_receive(flags, &due)
        while True:
            if self.fd < 0:
                self.closed()
            count = c_recv(self.fd, buffer, length, flags | MSG_DONTWAIT)
            if count >= 0:
                self.drained = self.is_stream and 0 < count < length and flags == 0
                return count
            self.again(errno, READ, flags, &due)

    cdef int leave_error(self, int error) noexcept:
        """A call returns what it received before that error, of which the system tells once."""
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

    cdef Py_ssize_t receive_all(self, char *buffer, Py_ssize_t length, int flags) except -1:
        """Receive all of it. Where there is an end or an error before: what came; the next call is told."""
        cdef Py_ssize_t count
        cdef Py_ssize_t done = 0
        cdef uint64_t due = 0
        cdef int error
        if flags & MSG_PEEK:
            return self.peek_all(buffer, length, flags)
        if self.left_error != 0:
            self.raise_left_error()
        self.fair()
        while True:
            if self.fd < 0:
                self.closed()
            count = c_recv(self.fd, buffer + done, length - done, flags | MSG_DONTWAIT)
            error = errno
            if count >= 0:
                done += count
                if count == 0 or done >= length:
                    return done
                continue
            try:
                self.again(error, READ, flags, &due)
            except OSError:
                if done:
                    self.leave_error(error)
                    return done
                raise

    cdef Py_ssize_t peek_all(self, char *buffer, Py_ssize_t length, int flags) except -1:
        """Look at all of it, and leave it there. The system does not tell when there is more than there was."""
        cdef Py_ssize_t count
        cdef uint64_t due = 0
        pauses = None
        while True:
            if self.fd < 0:
                self.closed()
            count = c_recv(self.fd, buffer, length, flags | MSG_DONTWAIT)
            if count < 0:
                self.again(errno, READ, flags, &due)
                continue
            if count == 0 or count >= length or greenio_has_ended(self.fd):
                return count
            if pauses is None:
                pauses = Pauses(0.001, 0.05, None if self.limit(READ) < 0 else self.limit(READ))
            if not pauses.pause():
                return count

    def leave(self, error):
        """The next call that receives is to raise this OSError, unless the system tells of it again."""
        self.leave_error(error.errno or 0)

    def waits_for_all(self, int flags):
        """Whether a call with such flags waits for all that it asks for (bool)."""
        return self.is_for_all(flags)

    def wait_for_peek(self, Py_ssize_t length, int flags):
        """Wait until so many bytes are there to be looked at, or no more will come. Switches."""
        unwanted = bytearray(length)
        cdef char[:] view = unwanted
        if length:
            self.peek_all(&view[0], length, flags)

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

        For those who have tried, and were told that they would block.
        """
        self.wait(events, deadline, True)

    def retry(self, int events, function, *args):
        """Call ``function(*args)``, which does not wait, until it does not raise BlockingIOError. Switches.

        For a Unix socket the system tells of room in its own buffer, but not in the queue of an address it sends to.
        When it says that a datagram could be sent, and it cannot, the call is tried again in growing pauses.
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
                    pauses = until_there_is_room(None if self.limit(events) < 0 else self.limit(events))
                self.wait(events, due, True)
        finally:
            if held is not None:
                held.release()

    def try_again(self):
        """Wake those who wait for something to read, in any thread, as if there were: it may have come elsewhere."""
        if self.hub is not None and self.fd >= 0:
            self.wake_readers_of(self.hub)
            if self.others is not None:
                for hub in list(self.others):
                    self.wake_readers_of(hub)

    cdef int wake_readers_of(self, hub) except -1:
        if hub is hub_if_any():
            hub.loop.wake_readers(self.fd)
        elif not hub.destroyed:
            with suppress(HubDestroyed):
                hub.run_callback_threadsafe(hub.loop.wake_readers, self.fd)
        return 0

    def inherit_limits(self, Endpoint listener):
        """It was accepted from that listener, whose SO_RCVTIMEO and SO_SNDTIMEO it has."""
        self.limits_unknown = listener.limits_unknown or listener.receive_limit >= 0 or listener.send_limit >= 0

    cdef int take_descriptor(self) noexcept:
        """The descriptor, which is this object's no longer, or -1."""
        cdef int fd = self.fd
        self.fd = -1
        if fd >= 0 and self.hub is not None and self.hub is hub_if_any():
            deadline_stop(self.reading, self.loop)
            deadline_stop(self.writing, self.loop)
        return fd

    def leave_open(self):
        """The descriptor is given away: wake everybody who waits for it with this object, with EBADF."""
        cdef int fd = self.take_descriptor()
        cdef dict others = self.others
        if fd < 0:
            return
        self.others = None
        if self.watch != NULL and self.epoch == self.hub.loop.core.epoch:
            leaving_descriptor(self.hub, fd, self.generation)
        if others is not None:
            for hub, generation in others.items():
                leaving_descriptor(hub, fd, generation)

    def forget(self):
        """The descriptor is about to be closed: wake everybody who waits for it, with EBADF."""
        cdef int fd = self.take_descriptor()
        if fd < 0:
            return
        closing_descriptor(fd)
        self.others = None  # last: a hub may go with it, and then any code runs

    def __repr__(self):
        waits = []
        if self.watch != NULL and self.hub is not None and self.epoch == self.hub.loop.core.epoch:
            waits = [f" readers={self.watch.readers.length}", f" writers={self.watch.writers.length}"]
        return f"<{self.name} fd={self.fd} timeout={self.timeout}{''.join(waits)}>"


# --- methods of greenio.socket.socket: they find their Endpoint in its slot `_endpoint` -------------------------------

def keep_endpoints_in(cls):
    """The class whose instances have their Endpoint in the slot `_endpoint` is `cls`: they are found there in C."""
    if not greenio_slot_set(cls, cls.__dict__["_endpoint"]):
        raise TypeError(f"{cls!r} has no slot named _endpoint")


cdef Endpoint endpoint_of(object self):
    """The Endpoint of a socket."""
    cdef PyObject *found = greenio_slot_get(self)
    return other_endpoint_of(self) if found == NULL else <Endpoint?> <object> found


cdef Endpoint other_endpoint_of(object self):
    """The Endpoint of what is no socket of ours; one that __init__() did not make counts as closed, as C's does."""
    try:
        return self._endpoint
    except AttributeError:
        if isinstance(self, StandardSocket):
            raise OSError(EBADF, os.strerror(EBADF)) from None
        raise


def recv(self, Py_ssize_t bufsize, int flags=0, /):
    """recv(bufsize[, flags]) -> bytes: as in the standard library. Switches while there is nothing to receive."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef Py_ssize_t count
    if bufsize < 0:
        raise ValueError("negative buffersize in recv")
    if endpoint.much or bufsize > SCRATCH or flags & MSG_WAITALL:
        return receive_much(endpoint, bufsize, flags)
    # Other greenlets use it too, but none runs between the call that fills it and the copy.
    count = endpoint.receive(scratch, bufsize, flags)
    if count == SCRATCH:
        endpoint.much = True
    return PyBytes_FromStringAndSize(scratch, count)


cdef bytes receive_much(Endpoint endpoint, Py_ssize_t bufsize, int flags):
    """Receive into a bytes object of that size. While the greenlet waits there is none."""
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    cdef int error
    cdef PyObject *data
    if bufsize == 0:
        return b""
    if endpoint.is_for_all(flags):
        whole = PyBytes_FromStringAndSize(NULL, bufsize)
        count = endpoint.receive_all(PyBytes_AS_STRING(whole), bufsize, flags)
        return whole if count == bufsize else whole[:count]
    endpoint.begin_receive(flags, &due)
    while True:
        if endpoint.fd < 0:
            endpoint.closed()
        data = new_bytes(NULL, bufsize)
        count = c_recv(endpoint.fd, bytes_buffer(data), bufsize, flags | MSG_DONTWAIT)
        error = errno
        if count >= 0:
            endpoint.drained = endpoint.is_stream and 0 < count < bufsize and flags == 0
            endpoint.much = count > SCRATCH // 2
            if count < bufsize:
                _PyBytes_Resize(&data, count)
            result = <bytes> data
            Py_DECREF(result)
            return result
        Py_XDECREF(data)
        endpoint.again(error, READ, flags, &due)


def recv_into(self, buffer, Py_ssize_t nbytes=0, int flags=0):
    """recv_into(buffer[, nbytes[, flags]]) -> number of bytes: as in the standard library. Switches."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef Py_buffer view
    if nbytes < 0:
        raise ValueError("negative buffersize in recv_into")
    try:
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE | PyBUF_SIMPLE)
    except (BufferError, TypeError):
        kind = type(buffer).__name__
        raise TypeError(f"recv_into() argument 1 must be read-write bytes-like object, not {kind}") from None
    try:
        if nbytes == 0:
            nbytes = view.len
        elif nbytes > view.len:
            raise ValueError("buffer too small for requested bytes")
        return endpoint.receive(<char *> view.buf, nbytes, flags)
    finally:
        PyBuffer_Release(&view)


def send(self, data, int flags=0, /):
    """send(data[, flags]) -> number of bytes sent: as in the standard library. Switches while nothing can be sent."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return send_once(endpoint, <char *> view.buf, view.len, flags)
    finally:
        PyBuffer_Release(&view)


cdef Py_ssize_t send_once(Endpoint endpoint, char *buffer, Py_ssize_t length, int flags) except -1:
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    endpoint.fair()
    while True:
        if endpoint.fd < 0:
            endpoint.closed()
        count = send_some(endpoint.fd, buffer, length, flags)
        if count >= 0:
            return count
        endpoint.again(errno, WRITE, flags, &due)


def sendall(self, data, int flags=0, /):
    """sendall(data[, flags]): send all of it, within the socket's timeout. Switches while nothing can be sent.

    On an error it is not known how much was sent.
    """
    cdef Endpoint endpoint = endpoint_of(self)
    cdef Py_buffer view
    if type(data) is bytes:
        send_all(endpoint, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), flags)
        return
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        send_all(endpoint, <char *> view.buf, view.len, flags)
    finally:
        PyBuffer_Release(&view)


cdef int send_all(Endpoint endpoint, char *buffer, Py_ssize_t length, int flags) except -1:
    cdef Py_ssize_t count
    cdef Py_ssize_t done = 0
    cdef uint64_t due = 0
    while True:
        endpoint.fair()
        if endpoint.fd < 0:
            endpoint.closed()
        count = send_some(endpoint.fd, buffer + done, length - done, flags)
        if count < 0:
            endpoint.again(errno, WRITE, flags, &due)
            continue
        done += count
        if done >= length:
            return 0


cdef Py_ssize_t send_some(int fd, char *buffer, Py_ssize_t length, int flags) noexcept:
    cdef Py_ssize_t count
    flags |= MSG_DONTWAIT
    if length <= SCRATCH:
        return c_send(fd, buffer, length, flags)
    with nogil:
        count = c_send(fd, buffer, length, flags)
    return count


cdef int accept_now(Endpoint endpoint, PyObject **address) except -2:
    """accept4(): a descriptor, or -1 and an error number in `errno`. Does not wait."""
    if endpoint.seconds < 0:
        # Each time: whoever has this file as well may have made it a blocking one again.
        if not endpoint.flagged:
            endpoint.flagged = True
            status = os.fstat(endpoint.fd)
            flagged_listeners[status.st_dev, status.st_ino] = endpoint
        greenio_make_nonblocking(endpoint.fd)
    return greenio_accept(endpoint.fd, address)


def give_away(int fd):
    """Another program is to get this descriptor: if it is a listener that was made non-blocking here, it is so no more.

    Does not switch. Raises OSError if there is no such descriptor.
    """
    if not flagged_listeners:
        return
    status = os.fstat(fd)
    cdef Endpoint endpoint = flagged_listeners.get((status.st_dev, status.st_ino))
    if endpoint is not None and endpoint.flagged and endpoint.seconds < 0:
        os.set_blocking(fd, True)
        endpoint.flagged = False


def give_all_away():
    """Another program may get any descriptor: no listener is non-blocking that was made so here. Does not switch."""
    cdef Endpoint endpoint
    for endpoint in list(flagged_listeners.values()):
        if endpoint.flagged and endpoint.seconds < 0 and endpoint.fd >= 0:
            with suppress(OSError):  # closed behind our back
                os.set_blocking(endpoint.fd, True)
        endpoint.flagged = False


# In the parent: nobody accepts in between.
os.register_at_fork(before=give_all_away)


def accept_descriptor(self):
    """Wait for a connection; return its descriptor and the peer's address. Switches."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef PyObject *address
    cdef int fd
    cdef uint64_t due = 0
    endpoint.fair()
    while True:
        if endpoint.fd < 0:
            endpoint.closed()
        fd = accept_now(endpoint, &address)
        if fd >= 0:
            return fd, take_address(fd, address)
        endpoint.again(errno, READ, 0, &due)


def accept_ready(self):
    """The next connection that is there already, as accept_descriptor() returns it, or None. Does not switch."""
    cdef Endpoint endpoint = endpoint_of(self)
    cdef PyObject *address
    cdef int fd
    if endpoint.fd < 0:
        endpoint.closed()
    fd = accept_now(endpoint, &address)
    if fd >= 0:
        return fd, take_address(fd, address)
    if errno == EAGAIN or errno == EINTR:
        return None
    raise OSError(errno, os.strerror(errno))


def finalize(self):
    """Closed by nobody, but collected: those who wait for the number are told before it is another file's."""
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


cdef object take_address(int fd, PyObject *address):
    if address != NULL:
        result = <object> address
        Py_DECREF(result)
        return result
    try:
        known = StandardSocket(fileno=fd)
        try:
            return known.getpeername()
        except OSError:
            return None
        finally:
            known.detach()
    except BaseException:
        os.close(fd)
        raise


def is_listener(int fd):
    """Whether a descriptor is a socket that listens (bool)."""
    return bool(greenio_is_listener(fd))


def wait_descriptor(int fd, int events, timeout, timeout_exc, check=None):
    """Wait until descriptor `fd` is readable (1), writable (2); the shared part of wait_read and wait_write.

    `check()` raises if the caller has been told that it is closed, or is about to be. From that call on it is noticed
    here.
    """
    cdef Scheduler hub = current_hub()
    cdef watch_t *watch = hub.loop.watch_open(fd)
    cdef unsigned int generation = watch.generation
    cdef unsigned long epoch = hub.loop.core.epoch
    cdef uint64_t due
    cdef int outcome
    if watch.edge:
        hub.loop.watch_again(watch)
    try:
        due = 0 if timeout is None else due_after(seconds_of(timeout))
        if check is not None:
            check()
        outcome = hub.wait_descriptor(watch, generation, events, due, NULL, f"descriptor {fd}")
    finally:
        # Nobody told us who owns this descriptor: nothing of ours stays behind on it.
        if epoch == hub.loop.core.epoch:
            watch.unclaimed = 1000
            hub.loop.watch_update(watch)
            watch.unclaimed = 0
    if outcome == OUTCOME_TIMED_OUT:
        raise timeout_exc
    if outcome == OUTCOME_CLOSED:
        raise OSError(EBADF, f"descriptor {fd} was closed while this greenlet waited for it")
