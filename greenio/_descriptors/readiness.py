"""Waiting for any descriptor until it can be read or written: gevent's wait_read() and its like.

The owner of such a descriptor is unknown, so no registration stays after a wait.

What does not belong here: the waiting of cooperative sockets, which keep a watch from wait to wait (endpoint.pyx).
"""

from __future__ import annotations

import errno

from hub import Wait, get_hub

from greenio._descriptors.bare import wait_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hub.event_loop import child
    from hub.watchers import Watcher

    class HasFileno(Protocol):
        def fileno(self) -> int: ...


__all__ = ["cancel_wait", "wait_read", "wait_readwrite", "wait_write"]

_READ, _WRITE, _CLOSED = 1, 2, 4


def _descriptor(fileno):
    return fileno if isinstance(fileno, int) else fileno.fileno()


def wait_read(
    fileno: int | HasFileno,
    timeout: float | None = None,
    timeout_exc: BaseException | type[BaseException] | None = None,
) -> None:
    """Wait until a descriptor (int, or object with fileno()) is readable. Switches. Returns None.

    `timeout` in seconds (float; None for ever); when it passes first, `timeout_exc` is raised, by default TimeoutError.
    The descriptor's O_NONBLOCK flag is left as it is. Raises OSError(EBADF) if the descriptor is closed meanwhile.
    """
    wait_descriptor(_descriptor(fileno), _READ, timeout, timeout_exc or TimeoutError("timed out"))


def wait_write(
    fileno: int | HasFileno,
    timeout: float | None = None,
    timeout_exc: BaseException | type[BaseException] | None = None,
    event: object = None,
) -> None:
    """Wait until a descriptor is writable. As wait_read(). `event` is accepted for compatibility."""
    wait_descriptor(_descriptor(fileno), _WRITE, timeout, timeout_exc or TimeoutError("timed out"))


def wait_readwrite(
    fileno: int | HasFileno,
    timeout: float | None = None,
    timeout_exc: BaseException | type[BaseException] | None = None,
    event: object = None,
) -> None:
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


def cancel_wait(watcher: Watcher | child, error: BaseException | type[BaseException] | None = None) -> None:
    """Raise `error` (by default OSError(EBADF)) in the greenlet that waits for a watcher with ``hub.wait()``.

    Does not switch.
    """
    watcher.hub.cancel_wait(watcher, error or OSError(errno.EBADF, "the wait was cancelled"))
