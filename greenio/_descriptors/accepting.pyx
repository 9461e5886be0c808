"""Accepting connections, and the listeners that are non-blocking meanwhile.

Theory
    There is no MSG_DONTWAIT for accept(): a listener is made non-blocking when it is first accepted from, as another
    process may be faster. O_NONBLOCK belongs to the open file, which a child may have as well. So it is known which
    listeners are so although no program has asked for it (`flagged`), and taken back when a child gets one.
"""

import os
import socket as standard
from contextlib import suppress
from weakref import WeakValueDictionary

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint64_t

from greenio._descriptors.addresses cimport address_t, family_is_known, object_of_address
from greenio._descriptors.endpoint cimport READ, Endpoint, endpoint_of

__all__ = ["accept_descriptor", "accept_ready", "give_all_away", "give_away", "is_listener"]

# As it was before patching.
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
    """The next connection that is there already, as accept_descriptor() returns it, or None. Does not switch."""
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
    """What Python calls the address of whom accept4() has told. Closes the descriptor if that fails."""
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
