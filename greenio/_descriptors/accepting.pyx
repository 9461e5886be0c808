"""Accepting connections, for which a listener is made non-blocking.

Theory
    accept() has no MSG_DONTWAIT, and another process may take the connection that a listener has reported. So a
    listener is made non-blocking when the first connection is accepted. O_NONBLOCK belongs to the open file, which a
    child may have as well. So this module remembers the listeners that are non-blocking although the program has not
    asked for it (`flagged`), and makes them blocking again before a child gets them.
"""

import os
import socket as standard
from contextlib import suppress
from weakref import WeakValueDictionary

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint64_t

from greenio._descriptors.addresses cimport address_t, family_is_known, object_of_address
from greenio._descriptors.endpoint cimport READ, Endpoint, endpoint_of

__all__ = ["accept_descriptor", "accept_ready", "is_listener", "make_all_blocking_again", "make_blocking_again"]

# The class as it was before patching.
cdef object StandardSocket = standard.socket

cdef extern from *:
    """
    #include <string.h>
    #include <sys/ioctl.h>

    static int greenio_make_nonblocking(int fd)
    {
        int on = 1;
        return ioctl(fd, FIONBIO, &on);
    }

    static int greenio_is_listener(int fd)
    {
        int listens = 0;
        socklen_t length = sizeof listens;
        return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens;
    }

    /* accept4() with O_CLOEXEC. Returns the descriptor, or -1. */
    static int greenio_accept(int fd, greenio_address *peer)
    {
        memset(&peer->storage, 0, sizeof peer->storage);
        peer->length = sizeof peer->storage;
        return accept4(fd, (struct sockaddr *) &peer->storage, &peer->length, SOCK_CLOEXEC);
    }
    """
    int greenio_accept(int fd, address_t *peer)
    bint greenio_is_listener(int fd)
    int greenio_make_nonblocking(int fd)

# The listeners that were made non-blocking here, by device and number of their file.
flagged_listeners = WeakValueDictionary()


cdef int accept_now(Endpoint endpoint, address_t *peer) except -2:
    """accept4(): a descriptor, or -1 and an error number in `errno`. Does not wait."""
    if endpoint.seconds < 0:
        # Each time, as another process with this file may have made it blocking again.
        if not endpoint.flagged:
            endpoint.flagged = True
            status = os.fstat(endpoint.fd)
            flagged_listeners[status.st_dev, status.st_ino] = endpoint
        greenio_make_nonblocking(endpoint.fd)
    return greenio_accept(endpoint.fd, peer)


def make_blocking_again(int fd):
    """If a descriptor is a listener that was made non-blocking here, make it blocking: another program will get it.

    Does not switch. Raises OSError if there is no such descriptor.
    """
    if not flagged_listeners:
        return
    status = os.fstat(fd)
    cdef Endpoint endpoint = flagged_listeners.get((status.st_dev, status.st_ino))
    if endpoint is not None and endpoint.flagged and endpoint.seconds < 0:
        os.set_blocking(fd, True)
        endpoint.flagged = False


def make_all_blocking_again():
    """Make every listener blocking that was made non-blocking here: another program may get it. Does not switch."""
    cdef Endpoint endpoint
    for endpoint in list(flagged_listeners.values()):
        if endpoint.flagged and endpoint.seconds < 0 and endpoint.fd >= 0:
            with suppress(OSError):  # closed behind our back
                os.set_blocking(endpoint.fd, True)
        endpoint.flagged = False


# In the parent, right before the fork: no greenlet accepts in between.
os.register_at_fork(before=make_all_blocking_again)


def accept_descriptor(sock):
    """Wait for a connection; return its descriptor and the peer's address. Switches."""
    cdef Endpoint endpoint = endpoint_of(sock)
    cdef address_t peer
    cdef int fd
    cdef uint64_t due = 0
    endpoint.fair()
    while True:
        if endpoint.fd < 0:
            endpoint.closed()
        fd = accept_now(endpoint, &peer)
        if fd >= 0:
            return fd, address_of_peer(fd, &peer)
        endpoint.again(errno, READ, 0, &due)


def accept_ready(sock):
    """Return the next connection as accept_descriptor() does, or None if there is none yet. Does not switch."""
    cdef Endpoint endpoint = endpoint_of(sock)
    cdef address_t peer
    cdef int fd
    if endpoint.fd < 0:
        endpoint.closed()
    fd = accept_now(endpoint, &peer)
    if fd >= 0:
        return fd, address_of_peer(fd, &peer)
    if errno == EAGAIN or errno == EINTR:
        return None
    raise OSError(errno, os.strerror(errno))


cdef object address_of_peer(int fd, address_t *peer):
    """Python's form of the peer's address that accept4() has filled in. Closes the descriptor if that fails."""
    try:
        if family_is_known(peer.storage.ss_family):
            return object_of_address(peer)
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
