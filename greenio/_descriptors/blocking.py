"""Calls that may block for ever, each in a thread of its own: the pool's threads are for calls that come to an end.

There is no way to interrupt such a call. If the greenlet that waits for it is killed, the thread stays until the call
returns, and its result, such as a lock, is given back then.
"""

from __future__ import annotations

from hub.current import count_idle_thread, get_hub
from hub.native import allocate_lock, start_new_thread

from greenio.event import AsyncResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = ["ThreadCall", "call_in_thread"]


class ThreadCall:
    """The call ``function(*args)`` in a thread of its own. wait() may be called once.

    `undo`: a function without arguments, which is called if the call succeeds after its greenlet was killed or ran out
    of time. Making a ThreadCall does not switch. Raises RuntimeError if no thread can be started.
    """

    def __init__(self, function: Callable[..., Any], *args: Any, undo: Callable[[], object] | None = None) -> None:
        self.function = function
        self.args = args
        self.undo = undo
        self.result = AsyncResult()
        self.lock = allocate_lock()
        self.returned = self.succeeded = False
        self.abandoned = False
        start_new_thread(self._run, ())

    def _run(self):
        value = error = None
        try:
            value = self.function(*self.args)
        except BaseException as failure:
            error = failure
        with self.lock:
            self.returned, self.succeeded = True, error is None
            abandoned = self.abandoned
        if abandoned:
            count_idle_thread(-1)
            if self.succeeded and self.undo is not None:
                self.undo()
        elif error is None:
            self.result.set(value)
        else:
            self.result.set_exception(error)

    def wait(self) -> Any:
        """Wait for the call. Returns its result, or raises its exception. Switches."""
        hub = get_hub()
        hub.hold_loop(1)  # the thread may have ended, and its result still be on the way
        try:
            return self.result.get()
        except BaseException:
            self._abandon()
            raise
        finally:
            hub.hold_loop(-1)

    def _abandon(self):
        with self.lock:
            returned = self.returned
            if not returned:
                self.abandoned = True
                count_idle_thread(1)  # no hub needs to wait for this thread any more
        if returned and self.succeeded and self.undo is not None:
            self.undo()


def call_in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call ``function(*args)`` in a thread of its own, and wait for it. Switches.

    Returns the function's result, or raises its exception. Raises RuntimeError if no thread can be started.
    """
    return ThreadCall(function, *args).wait()
