"""A worker process, as the supervisor sees it.

Rules
    1. A worker has started when it has said so on its pipe. It has ended when the system says so, and not when its pipe
       ends: children of its own may have that too.
    2. Whether a worker is stuck is told by its beats alone. They are counted against the supervisor's own time, of
       which only the part counts in which the supervisor was not held up itself.

What does not belong here: which worker is to be started, and when (slot.py).
"""

from __future__ import annotations

import os
import signal as _signal
from contextlib import suppress
from os import waitstatus_to_exitcode
from random import randrange
from time import monotonic

from greenio._descriptors.readiness import wait_read
from greenio._servers.counts import BEATS, CLOSED, DONE, ENDING, REQUESTS, STACKS, Counts
from greenio._workers.stacks import SupervisorGreenlet
from greenio._workers.worker import FAILED, READY
from greenio.event import Event
from greenio.os import read, waitpid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio._workers.options import Options

__all__ = ["WorkerProcess"]

#: Seconds that a stuck worker has to print its stacks, in each of the two ways.
_TO_PRINT = 2.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class WorkerProcess:
    """A worker of one slot (int)."""

    def __init__(self, slot: int, options: Options) -> None:
        self.slot = slot
        #: What it counts.
        self.counts = Counts()
        self.pid = 0
        #: Set when it serves or has ended.
        self.started = Event()
        self.ended = Event()
        #: Whether it has ever served, and since when.
        self.ready_at: float | None = None
        #: Whether it was told to end.
        self.is_ending = False
        #: What it has said of why it cannot start.
        self.failure = ""
        #: How it has ended: a status, or minus a signal.
        self.exit_code: int | None = None
        self.tries_again_at = 0.0  # to recycle it
        self.weighed_from = 0.0  # whether it is too large is asked from then on
        self._forked_at = monotonic()
        self._told = -1  # a pipe on which it says how it starts
        self._pidfd = -1
        self._has_ended = False
        self._beats = 0
        self._silent_for = 0.0
        self._is_stuck = False
        self._most: int | None = None
        if options.max_requests is not None:
            self._most = options.max_requests + randrange(options.max_requests_jitter + 1)

    def prepare(self) -> int:
        """Before the fork: the descriptor to which the worker writes how it starts. Raises OSError. Does not switch."""
        self.counts.share()
        self._told, telling = os.pipe()
        return telling

    def watch(self, pid: int, ended: Any) -> None:
        """It runs, with this number. ``ended(worker)`` is called when it has ended. Does not switch."""
        self.pid = pid
        SupervisorGreenlet.spawn(self._wait, ended, SupervisorGreenlet.spawn(self._listen))

    def close_descriptors(self) -> None:
        """Close what a worker that is forked later inherits. Does not switch."""
        for descriptor in (self._told, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._told = self._pidfd = -1

    def _listen(self):
        """What it says: a line when it is ready; otherwise why it cannot start."""
        text = b""
        try:
            while data := read(self._told, 65536):
                text += data
                if text == READY:
                    self.ready_at = monotonic()
                    self.started.set()
                    text = b""
        finally:
            self.failure = text.removeprefix(FAILED).decode("utf-8", "replace")
            told, self._told = self._told, -1
            os.close(told)

    def _wait(self, ended, listening):
        self._wait_for_pidfd()
        # If other code of the program has taken the status, nobody knows it.
        with suppress(ChildProcessError):
            self.exit_code = waitstatus_to_exitcode(waitpid(self.pid, 0)[1])
        self._has_ended = True
        # What it has said last is in the pipe. Its children may keep that open.
        listening.join(1)
        listening.kill()
        self.ended.set()
        self.started.set()
        self.counts.close()
        ended(self)

    def _wait_for_pidfd(self):
        """waitpid() has one as well, but keeps it to itself, and later workers would inherit it."""
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            return  # refused in a sandbox, or not there: waitpid() does without
        try:
            wait_read(self._pidfd)
        finally:
            pidfd, self._pidfd = self._pidfd, -1
            os.close(pidfd)

    def cannot_be_forked(self, reason: str) -> None:
        """There is no process. Does not switch."""
        self.close_descriptors()
        self.failure = reason
        self.exit_code = 1
        self.ended.set()
        self.started.set()

    @property
    def is_ready(self) -> bool:
        """Whether it serves: it is not stuck, and was not told to end (bool)."""
        return self.ready_at is not None and not (self.is_ending or self._is_stuck or self.ended.is_set())

    def has_begun_to_start(self, seconds: float) -> bool:
        """Whether it has been starting for longer than so many seconds (bool)."""
        return bool(self.pid) and not self.started.is_set() and monotonic() - self._forked_at > seconds

    def describe(self) -> str:
        """Its name in what is told."""
        return f"worker {self.slot} (process {self.pid})"

    def describe_end(self) -> str:
        """How it has ended, as words."""
        code = self.exit_code
        if code is not None and code < 0:
            try:
                return f"was killed by {_signal.Signals(-code).name}"
            except ValueError:
                return f"was killed by signal {-code}"
        return "has ended" if code is None else f"has ended with status {code}"

    # --- signals ---

    def send(self, number: int) -> None:
        """Send it a signal. Does nothing if it has ended. Does not switch."""
        if self.pid and not self._has_ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self, seconds: float | None) -> None:
        """Tell it to finish, and kill it after so many seconds (None: never). Does not switch."""
        if not self.is_ending:
            self.is_ending = True
            if not self.ends_by_itself():  # a second signal would end it at once
                self.send(_signal.SIGTERM)
            SupervisorGreenlet.spawn(self._kill_after, seconds)

    def _kill_after(self, seconds):
        if not self.ended.wait(seconds):
            self.send(_signal.SIGKILL)

    # --- how it does ---

    def look(self, seconds: float, timeout: float | None) -> bool:
        """Look for a beat; `seconds` have passed since the last look. Whether it is found to be stuck, now (bool)."""
        beats = self.counts.numbers[BEATS]
        if beats != self._beats:
            self._beats = beats
            self._silent_for = 0.0
        else:
            self._silent_for += seconds
        if timeout is None or self._is_stuck or self._silent_for < timeout:
            return False
        self._is_stuck = True
        return True

    @property
    def silent_for(self) -> float:
        """Seconds for which no beat was seen."""
        return self._silent_for

    def end_stuck(self) -> None:
        """Have it print what it does, and kill it. Switches."""
        before = self.counts.numbers[STACKS]
        self.send(_signal.SIGUSR1)
        end = monotonic() + _TO_PRINT
        while self.counts.numbers[STACKS] == before and monotonic() < end:
            if self.ended.wait(0.02):
                return
        if self.counts.numbers[STACKS] == before:
            # It runs no Python code, in which greenlets could be asked. What C can tell are the threads' stacks.
            self.send(_signal.SIGABRT)
            if self.ended.wait(_TO_PRINT):
                return
        self.send(_signal.SIGKILL)
        self.ended.wait()

    def has_served_enough(self) -> bool:
        """Whether it has served `max_requests` (bool)."""
        if self._most is None:
            return False
        numbers = self.counts.numbers
        done = DONE if numbers[REQUESTS] else CLOSED
        return bool(numbers[done] >= self._most)

    def ends_by_itself(self) -> bool:
        """Whether it accepts nothing more, though nobody here has told it to end (bool)."""
        return bool(self.counts.numbers[ENDING])

    def resident_bytes(self) -> int:
        """How much memory it has (int); 0 if that cannot be found out. Does not switch."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * _PAGE
        except (OSError, IndexError, ValueError):
            return 0
