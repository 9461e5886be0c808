"""The slot of signal.set_wakeup_fd(): it lets the main thread's loop wake up for a signal.

CPython's C signal handler writes the number of each signal to the one descriptor in the slot. While the loop sleeps,
the slot has the write end of a pipe that the loop watches.

Rules
    1. Programs may set the slot at any time (asyncio and gunicorn do). So the loop checks it before a sleep.
    2. A program's descriptor is displaced only while the loop sleeps. After that it gets the signals that came during
       the sleep, and no others.

What does not belong here: the handlers of signals (signals.pyx), and watching the pipe (Loop.watch_signals).
"""

from _signal import set_wakeup_fd

from posix.unistd cimport write

from hub.timers cimport end_sleep_by

__all__ = ["WakeupSlot"]

cdef enum:
    # Nanoseconds between two checks of the slot.
    SLOT_CHECK = 50000000


cdef class WakeupSlot:
    """Sets the slot for the main thread's loop, and restores it."""

    def __cinit__(self):
        self.displaced = -2

    cdef bint claim(self) except -1:
        """Make sure that a signal will end the next sleep. True if that displaces a descriptor of the program's.

        Checking the slot costs two system calls, so it is done at most every SLOT_CHECK nanoseconds. If a sleep begins
        earlier than that, a timer ends it for the check.
        """
        cdef core_t *core = self.core
        cdef bint first = self.checked == 0
        core.signal_count = 0
        if self.displaced == -2:
            if core.looked - self.checked < SLOT_CHECK:
                end_sleep_by(&core.timers, core.now + SLOT_CHECK)
                return False
            self.checked = core.looked
        previous = set_wakeup_fd(core.signal_write, warn_on_full_buffer=False)
        if previous == core.signal_write or previous == -1:
            if previous == -1 and not first:
                # Signals that came while the slot was empty were not written anywhere. (asyncio empties it in forked
                # children.)
                handle_signals_next(core)
            self.displaced = -2
            return False
        self.displaced = previous
        return True

    cdef int release(self) except -1:
        """Give the slot back to the program, with the signals that came while it was displaced."""
        cdef int fd = self.displaced
        if fd != -2:
            put_back(fd)
            if read_signals(self.core):  # since the poll
                handle_signals_next(self.core)
            if self.core.signal_count:
                write(fd, self.core.signal_bytes, self.core.signal_count)
        return 0

    cdef bint leave(self) except -1:
        """Take the loop's descriptor out of the slot, but not the program's. Returns whether it was there."""
        previous = set_wakeup_fd(-1)
        if previous not in (self.core.signal_write, -1):
            put_back(previous)
        return previous == self.core.signal_write

    cdef int leave_in_child(self) except -1:
        """In a forked child: leave the slot as the program had it."""
        if self.leave() and self.displaced >= 0:
            put_back(self.displaced)
        self.displaced = -2
        return 0


cdef object put_back(int fd):
    try:
        set_wakeup_fd(fd)
    except (OSError, ValueError):
        # Its owner has closed it: the slot stays empty.
        set_wakeup_fd(-1)
