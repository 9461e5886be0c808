"""A descriptor that is readable while one of some blocked signals is pending: signalfd(2), which `os` lacks."""

import os
from libc.errno cimport errno

__all__ = ["open_signalfd"]

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int sigemptyset(sigset_t *)
    int sigaddset(sigset_t *, int)

cdef extern from "<sys/signalfd.h>" nogil:
    int signalfd(int, const sigset_t *, int)
    int SFD_CLOEXEC
    int SFD_NONBLOCK


def open_signalfd(signals):
    """Make a descriptor (int) that is readable while one of the signals (an iterable of int) is pending.

    It is only waited for: reading from it would take the signal. Raises OSError if the system refuses it, or if there
    is no such signal. Does not switch.
    """
    cdef sigset_t chosen
    cdef int descriptor
    sigemptyset(&chosen)
    for number in signals:
        if sigaddset(&chosen, number):
            raise OSError(errno, f"{os.strerror(errno)}: {number!r} is not a signal")
    descriptor = signalfd(-1, &chosen, SFD_CLOEXEC | SFD_NONBLOCK)
    if descriptor < 0:
        raise OSError(errno, f"{os.strerror(errno)}: no descriptor for signals could be made")
    return descriptor
