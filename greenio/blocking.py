"""Calls that may block for ever, each in a thread of its own: the pool's threads are for what comes to an end.

There is no way to interrupt such a call. If the greenlet that waits for it is killed, the thread stays until the call
returns, and what it then has is given back.
"""

from _thread import allocate_lock, start_new_thread

from hub.scheduler import count_idle_thread

from greenio.event import AsyncResult

__all__ = ["call_in_thread"]


class _Call:
    """One call: its result, and whether anybody still wants it."""

    def __init__(self, function, args, undo):
        self.function = function
        self.args = args
        self.undo = undo
        self.result = AsyncResult()
        self.lock = allocate_lock()
        self.succeeded = False
        self.abandoned = False

    def run(self):
        """In the thread."""
        value = error = None
        try:
            value = self.function(*self.args)
        except BaseException as failure:
            error = failure
        with self.lock:
            self.succeeded = error is None
            abandoned = self.abandoned
        if abandoned:
            count_idle_thread(-1)
            if self.succeeded and self.undo is not None:
                self.undo()
        elif error is None:
            self.result.set(value)
        else:
            self.result.set_exception(error)

    def abandon(self):
        """Whoever waited for it does not any more."""
        with self.lock:
            undo = self.succeeded
            if not self.result.ready() and not undo:
                self.abandoned = True
                count_idle_thread(1)  # nothing that a hub should wait for comes from it now
        if undo and self.undo is not None:
            self.undo()


def call_in_thread(function, *args, undo=None):
    """Call ``function(*args)`` in a thread of its own, wait, and return what it returns or raise what it raises.

    `undo`: is called, without arguments, when the call succeeds after the greenlet that wanted it was killed, or
    ran out of time. Switches.
    """
    call = _Call(function, args, undo)
    start_new_thread(call.run, ())
    try:
        return call.result.get()
    except BaseException:
        call.abandon()
        raise
