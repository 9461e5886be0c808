"""Waiting for any descriptor until it can be read or written: gevent's wait_read() and its like.

Nobody says who owns such a descriptor: nothing of ours stays behind on it.

What does not belong here: the waiting of cooperative sockets, which keep a watch of their own (see stream.pyx).
"""

import errno

from hub import Wait, get_hub

from greenio._descriptors.endpoint import wait_descriptor

__all__ = ["cancel_wait", "wait_read", "wait_readwrite", "wait_write"]

_READ, _WRITE, _CLOSED = 1, 2, 4


def _descriptor(fileno):
    return fileno if isinstance(fileno, int) else fileno.fileno()


def wait_read(fileno, timeout=None, timeout_exc=None):
    """Wait until a descriptor (int, or object with fileno()) is readable. Switches. Returns None.

    `timeout` in seconds; when it passes first, `timeout_exc` is raised, by default TimeoutError.
    Its O_NONBLOCK flag is left as it is. Raises OSError(EBADF) if it is closed meanwhile.
    """
    wait_descriptor(_descriptor(fileno), _READ, timeout, timeout_exc or TimeoutError("timed out"))


def wait_write(fileno, timeout=None, timeout_exc=None, event=None):
    """Wait until a descriptor is writable. As wait_read(). `event` is accepted for compatibility."""
    wait_descriptor(_descriptor(fileno), _WRITE, timeout, timeout_exc or TimeoutError("timed out"))


def wait_readwrite(fileno, timeout=None, timeout_exc=None, event=None):
    """Wait until a descriptor is readable or writable. As wait_read(). `event` is accepted for compatibility."""
    descriptor = _descriptor(fileno)
    wait = Wait(f"descriptor {descriptor}")
    with get_hub().loop.io(descriptor, _READ | _WRITE) as watcher:
        try:
            watcher.start(wait.wake, pass_events=True)
        except PermissionError:
            return  # a regular file: always ready
        try:
            events = wait.park(timeout)
        except TimeoutError:
            if wait.decided and timeout is not None:
                raise timeout_exc or TimeoutError("timed out") from None
            raise
    if events & _CLOSED:
        raise OSError(errno.EBADF, f"descriptor {descriptor} was closed while this greenlet waited for it")


def cancel_wait(watcher, error=None):
    """Raise `error` (by default OSError(EBADF)) in whoever waits for a watcher with ``hub.wait``. Does not switch."""
    watcher.hub.cancel_wait(watcher, error or OSError(errno.EBADF, "the wait was cancelled"))
