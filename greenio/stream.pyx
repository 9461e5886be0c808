"""Waiting for sockets: the receive and send loops, and what a socket keeps between two waits.

Theory
    The descriptor is non-blocking. A call is tried; when it would block, the greenlet waits for the descriptor
    and tries again. A receive that got less than it asked for has drained the socket, so the next one waits
    first and spares the call that would only say EAGAIN.

Rules
    1. Small receives go into one scratch buffer and are copied out: cheaper than a large bytes object that is
       shrunk afterwards. The GIL is held from the call to the copy.
    2. A timeout bounds the whole call, however many waits it takes.
    3. Any number of greenlets may wait in each direction; they are served first come, first served.

What does not belong here: addresses, families, options. greenio.socket builds on this.
"""

import os
import socket as standard

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EBADF, EINTR, errno
from libc.stdint cimport uint64_t

from cpython.ref cimport Py_DECREF
from hub.loop cimport due_ms, watch_t
from hub.ready cimport OUTCOME_CLOSED, OUTCOME_READY, OUTCOME_TIMED_OUT
from hub.scheduler cimport (
    Scheduler, closing_descriptor, current_hub, deadline_drop, deadline_new, deadline_stop, deadline_t, hub_if_any,
)

__all__ = [
    "Stream", "accept_descriptor", "accept_ready", "recv", "recv_into", "send", "sendall", "wait_descriptor",
]

cdef extern from "sys/socket.h" nogil:
    ssize_t c_recv "recv"(int fd, void *buffer, size_t length, int flags)
    ssize_t c_send "send"(int fd, const void *buffer, size_t length, int flags)
    int MSG_DONTWAIT
    int SOCK_STREAM

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <netinet/in.h>
    #include <stddef.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/un.h>

    /* accept4() with O_NONBLOCK and O_CLOEXEC. Sets *address to what Python calls the peer's address: a new
       reference, or NULL for a family that is not known here. Returns the descriptor, or -1. */
    static int greenio_accept(int fd, PyObject **address)
    {
        struct sockaddr_storage storage;
        socklen_t length = sizeof storage;
        char text[INET6_ADDRSTRLEN];
        int accepted;

        memset(&storage, 0, sizeof storage);
        *address = NULL;
        accepted = accept4(fd, (struct sockaddr *) &storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
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

cdef enum:
    SCRATCH = 65536
    READ = 1
    WRITE = 2

cdef char scratch[SCRATCH]


cdef class Stream:
    """What a socket keeps for waiting: its descriptor, its watch on the hub's loop, its timeout."""
    cdef int fd                    # -1 once closed
    cdef Scheduler hub             # the hub that waited first; others may too, but without what is cached here
    cdef unsigned long epoch       # of its loop when `watch` was opened
    cdef watch_t *watch            # the descriptor's watch on that hub's loop
    cdef unsigned int generation   # of the watch when it was opened
    cdef double seconds            # the timeout; negative for none
    cdef bint is_stream            # a short receive means drained only for byte streams
    cdef bint drained              # whether the last receive took all there was
    cdef deadline_t *reading       # timers that stay from one wait to the next, or NULL
    cdef deadline_t *writing
    cdef dict others               # hubs of other threads that have waited for it: the watch's generation; or None
    cdef readonly object name      # the socket's class name, for reports

    def __init__(self, int fd, object timeout, int type, str name):
        self.fd = fd
        self.name = name
        self.seconds = -1 if timeout is None else timeout
        self.is_stream = (type & 0xF) == SOCK_STREAM

    def __dealloc__(self):
        if self.reading != NULL:
            deadline_drop(self.reading, self.hub)
        if self.writing != NULL:
            deadline_drop(self.writing, self.hub)

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
        if self.hub is None:
            self.hub = hub
        if self.hub is not hub:
            return self.open_elsewhere(hub)
        if self.watch == NULL or self.epoch != hub.loop.core.epoch or self.generation != self.watch.generation:
            self.watch = hub.loop.watch_open(self.fd)
            self.generation = self.watch.generation
            self.epoch = hub.loop.core.epoch
        return self.watch

    cdef watch_t *open_elsewhere(self, Scheduler hub) except NULL:
        cdef watch_t *watch = hub.loop.watch_of(self.fd)
        if self.others is None:
            self.others = {}
        if self.others.get(hub) != watch.generation:
            watch = hub.loop.watch_open(self.fd)
            self.others[hub] = watch.generation
        return watch

    cdef uint64_t due(self) except? 0:
        """When a call that begins now must be over: a loop time, or 0 for never."""
        return 0 if self.seconds < 0 else due_ms(self.seconds)

    cdef int wait(self, int events, uint64_t due) except -1:
        """Wait until the descriptor is ready, or raise TimeoutError or OSError(EBADF)."""
        cdef Scheduler hub = current_hub()
        cdef watch_t *watch
        cdef deadline_t *deadline = NULL
        cdef int outcome
        self.check()
        watch = self.open_watch(hub)
        if due and self.hub is hub:
            deadline = self.deadline_of(events)
        outcome = hub.wait_descriptor(watch, events, due, deadline, self)
        if outcome == OUTCOME_READY:
            return 0
        if outcome == OUTCOME_TIMED_OUT:
            raise TimeoutError("timed out")
        raise OSError(EBADF, "the socket was closed while this greenlet waited for it")

    cdef int check(self) except -1:
        if self.fd < 0:
            raise OSError(EBADF, os.strerror(EBADF))
        return 0

    cdef int again(self, int error, int events, int flags, uint64_t *due) except -1:
        """A call failed: raise what is to be raised, or wait and return 0 for another try."""
        if error == EINTR:
            PyErr_CheckSignals()
            return 0
        if error != EAGAIN or self.seconds == 0 or (flags & MSG_DONTWAIT and self.seconds < 0):
            raise OSError(error, os.strerror(error))
        if due[0] == 0 and self.seconds > 0:
            due[0] = self.due()
        self.wait(events, due[0])
        return 0

    cdef Py_ssize_t receive(self, char *buffer, Py_ssize_t length, int flags) except -1:
        cdef Py_ssize_t count
        cdef uint64_t due = 0
        if length == 0:
            return 0  # as in the standard library, which asks the system for nothing
        while True:
            if self.drained and flags == 0 and self.seconds != 0:
                self.drained = False
                if self.seconds > 0:
                    due = self.due()
                self.wait(READ, due)
            self.check()
            count = c_recv(self.fd, buffer, length, flags)
            if count >= 0:
                self.drained = self.is_stream and 0 < count < length and flags == 0
                return count
            self.again(errno, READ, flags, &due)

    def wait_for(self, int events, *, bint timed=True):
        """Wait until readable (1) or writable (2), within the socket's timeout unless ``timed=False``. Switches."""
        if self.seconds == 0 and timed:
            raise BlockingIOError(EAGAIN, os.strerror(EAGAIN))
        self.wait(events, self.due() if timed else 0)

    def deadline(self):
        """When a call that begins now must be over, for wait_until() (int)."""
        return self.due()

    def wait_until(self, int events, uint64_t deadline):
        """Wait until readable (1) or writable (2), or raise TimeoutError at the deadline (0 for never). Switches."""
        self.wait(events, deadline)

    def retry(self, int events, function, *args):
        """Call ``function(*args)`` until it does not raise BlockingIOError, waiting in between. Switches."""
        cdef uint64_t due = 0
        while True:
            self.check()
            try:
                return function(*args)
            except BlockingIOError:
                if self.seconds == 0:
                    raise
            if due == 0 and self.seconds > 0:
                due = self.due()
            self.wait(events, due)

    def forget(self):
        """The descriptor is about to be closed or given away: wake everybody who waits for it, with EBADF."""
        cdef int fd = self.fd
        self.fd = -1
        if fd < 0:
            return
        if self.hub is not None and self.hub is hub_if_any():
            deadline_stop(self.reading, self.hub)
            deadline_stop(self.writing, self.hub)
        self.others = None
        closing_descriptor(fd)

    def __repr__(self):
        waits = []
        if self.watch != NULL and self.hub is not None and self.epoch == self.hub.loop.core.epoch:
            waits = [f" readers={self.watch.readers.length}", f" writers={self.watch.writers.length}"]
        return f"<{self.name} fd={self.fd} timeout={self.timeout}{''.join(waits)}>"


# --- methods of greenio.socket.socket: they find their Stream in the attribute `_stream` --------------------------

def recv(self, Py_ssize_t bufsize, int flags=0):
    """recv(bufsize[, flags]) -> bytes: as in the standard library. Switches while there is nothing to receive."""
    cdef Stream stream = self._stream
    cdef Py_ssize_t count
    cdef bytes data
    if bufsize < 0:
        raise ValueError("negative buffersize in recv")
    if bufsize <= SCRATCH:
        # Other greenlets use it too, but none runs between the call that fills it and the copy.
        count = stream.receive(scratch, bufsize, flags)
        return PyBytes_FromStringAndSize(scratch, count)
    data = PyBytes_FromStringAndSize(NULL, bufsize)
    count = stream.receive(PyBytes_AS_STRING(data), bufsize, flags)
    return data if count == bufsize else data[:count]


def recv_into(self, buffer, Py_ssize_t nbytes=0, int flags=0):
    """recv_into(buffer[, nbytes[, flags]]) -> number of bytes: as in the standard library. Switches."""
    cdef Stream stream = self._stream
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
        return stream.receive(<char *> view.buf, nbytes, flags)
    finally:
        PyBuffer_Release(&view)


def send(self, data, int flags=0):
    """send(data[, flags]) -> number of bytes sent: as in the standard library. Switches while nothing can be sent."""
    cdef Stream stream = self._stream
    cdef Py_buffer view
    cdef Py_ssize_t count
    cdef uint64_t due = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        while True:
            stream.check()
            count = send_some(stream.fd, <char *> view.buf, view.len, flags)
            if count >= 0:
                return count
            stream.again(errno, WRITE, flags, &due)
    finally:
        PyBuffer_Release(&view)


def sendall(self, data, int flags=0):
    """sendall(data[, flags]): send all of it, within the socket's timeout. Switches while nothing can be sent.

    On an error it is not known how much was sent.
    """
    cdef Stream stream = self._stream
    cdef Py_buffer view
    cdef Py_ssize_t count
    cdef Py_ssize_t done = 0
    cdef uint64_t due = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        while True:
            stream.check()
            count = send_some(stream.fd, <char *> view.buf + done, view.len - done, flags)
            if count < 0:
                stream.again(errno, WRITE, flags, &due)
                continue
            done += count
            if done >= view.len:
                return
    finally:
        PyBuffer_Release(&view)


cdef Py_ssize_t send_some(int fd, char *buffer, Py_ssize_t length, int flags) noexcept:
    cdef Py_ssize_t count
    if length <= SCRATCH:
        return c_send(fd, buffer, length, flags)
    with nogil:
        count = c_send(fd, buffer, length, flags)
    return count


def accept_descriptor(self):
    """Wait for a connection; return its descriptor, non-blocking, and the peer's address. Switches."""
    cdef Stream stream = self._stream
    cdef PyObject *address
    cdef int fd
    cdef uint64_t due = 0
    while True:
        stream.check()
        fd = greenio_accept(stream.fd, &address)
        if fd >= 0:
            return fd, take_address(fd, address)
        stream.again(errno, READ, 0, &due)


def accept_ready(self):
    """The next connection that is there already, as accept_descriptor() returns it, or None. Does not switch."""
    cdef Stream stream = self._stream
    cdef PyObject *address
    cdef int fd
    stream.check()
    fd = greenio_accept(stream.fd, &address)
    if fd >= 0:
        return fd, take_address(fd, address)
    if errno == EAGAIN or errno == EINTR:
        return None
    raise OSError(errno, os.strerror(errno))


cdef object take_address(int fd, PyObject *address):
    if address != NULL:
        result = <object> address
        Py_DECREF(result)
        return result
    try:
        known = standard.socket(fileno=fd)
        try:
            return known.getpeername()
        except OSError:
            return None
        finally:
            known.detach()
    except BaseException:
        os.close(fd)
        raise


def wait_descriptor(int fd, int events, timeout, timeout_exc):
    """Wait until descriptor `fd` is readable (1), writable (2); the shared part of wait_read and wait_write."""
    cdef Scheduler hub = current_hub()
    cdef watch_t *watch = hub.loop.watch_open(fd)
    cdef unsigned long epoch = hub.loop.core.epoch
    cdef uint64_t due = 0 if timeout is None else due_ms(timeout)
    cdef int outcome
    try:
        outcome = hub.wait_descriptor(watch, events, due, NULL, f"descriptor {fd}")
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
