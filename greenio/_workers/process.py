"""In the supervisor: one worker process, from the fork to its end.

Rules
    1. A worker has started when it says so on its pipe. It has ended when the system says so. The end of the pipe does
       not count, because children of the worker may have the pipe as well.
    2. Only missing beats show that a worker is stuck. Time in which the supervisor itself was held up does not count.

What does not belong here: when a worker is started or replaced (slot.py).
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

#: Seconds that a stuck worker has to print its stacks, for each of the two ways to do so.
_PRINT_LIMIT = 2.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class WorkerProcess:
    """One worker process. `slot`: the number of its slot (int). Times are the monotonic clock's."""

    def __init__(self, slot: int, options: Options) -> None:
        self.slot = slot
        self.counts = Counts()
        self.pid = 0
        #: Set when it is ready or has ended.
        self.started = Event()
        self.ended = Event()
        #: When it became ready; None before.
        self.ready_at: float | None = None
        #: Whether it was told to end.
        self.is_ending = False
        #: Why it could not start, in its own words.
        self.failure = ""
        #: Its exit status, or minus the signal that has killed it.
        self.exit_code: int | None = None
        #: It is not recycled before this time.
        self.recycle_not_before = 0.0
        #: Its size is not checked before this time.
        self.size_check_not_before = 0.0
        self._forked_at = monotonic()
        self._start_pipe = -1  # on which it says that it is ready, or why it cannot start
        self._pidfd = -1
        self._has_ended = False
        self._beats = 0
        self._silent_for = 0.0
        self._is_stuck = False
        self._max_requests: int | None = None
        if options.max_requests is not None:
            self._max_requests = options.max_requests + randrange(options.max_requests_jitter + 1)

    def prepare(self) -> int:
        """Prepare for the fork. Returns the worker's end of the start pipe. Raises OSError. Does not switch."""
        self.counts.share()
        self._start_pipe, workers_end = os.pipe()
        return workers_end

    def watch(self, pid: int, ended: Any) -> None:
        """Watch the process `pid` after the fork. ``ended(worker)`` is called when it has ended. Does not switch."""
        self.pid = pid
        SupervisorGreenlet.spawn(self._wait, ended, SupervisorGreenlet.spawn(self._listen))

    def close_descriptors(self) -> None:
        """Close the descriptors of this object, in a worker that has inherited them. Does not switch."""
        for descriptor in (self._start_pipe, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._start_pipe = self._pidfd = -1

    def _listen(self):
        """Read the start pipe: a line when the worker is ready; otherwise the reason why it cannot start."""
        text = b""
        try:
            while data := read(self._start_pipe, 65536):
                text += data
                if text == READY:
                    self.ready_at = monotonic()
                    self.started.set()
                    text = b""
        finally:
            self.failure = text.removeprefix(FAILED).decode("utf-8", "replace")
            pipe, self._start_pipe = self._start_pipe, -1
            os.close(pipe)

    def _wait(self, ended, listening):
        self._wait_for_pidfd()
        # ChildProcessError: other code of the program has taken the status.
        with suppress(ChildProcessError):
            self.exit_code = waitstatus_to_exitcode(waitpid(self.pid, 0)[1])
        self._has_ended = True
        # The pipe may still have the reason of a failure. Children of the worker may keep it open for ever.
        listening.join(1)
        listening.kill()
        self.ended.set()
        self.started.set()
        self.counts.close()
        ended(self)

    def _wait_for_pidfd(self):
        """Wait until the process ends, with a descriptor that close_descriptors() knows. waitpid()'s own is hidden."""
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            return  # refused in a sandbox, or not supported: waitpid() works without
        try:
            wait_read(self._pidfd)
        finally:
            pidfd, self._pidfd = self._pidfd, -1
            os.close(pidfd)

    def fork_failed(self, reason: str) -> None:
        """Note that there is no process, and why (str). Does not switch."""
        self.close_descriptors()
        self.failure = reason
        self.exit_code = 1
        self.ended.set()
        self.started.set()

    @property
    def is_ready(self) -> bool:
        """Whether it serves: it is not stuck, and was not told to end (bool)."""
        return self.ready_at is not None and not (self.is_ending or self._is_stuck or self.ended.is_set())

    def is_starting_for(self, seconds: float) -> bool:
        """Whether it was forked longer ago than so many seconds, and is not ready yet (bool)."""
        return bool(self.pid) and not self.started.is_set() and monotonic() - self._forked_at > seconds

    def describe(self) -> str:
        """Return its name for messages (str)."""
        return f"worker {self.slot} (process {self.pid})"

    def describe_end(self) -> str:
        """Return how it has ended, for messages (str)."""
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
        """Tell it to end, and kill it after so many seconds (float; None: never). Does not switch."""
        if not self.is_ending:
            self.is_ending = True
            if not self.ends_by_itself():  # a second signal would end it at once
                self.send(_signal.SIGTERM)
            SupervisorGreenlet.spawn(self._kill_after, seconds)

    def _kill_after(self, seconds):
        if not self.ended.wait(seconds):
            self.send(_signal.SIGKILL)

    # --- checking it ---

    def check_beats(self, seconds: float, timeout: float | None) -> bool:
        """Check for a beat. Returns whether it is found to be stuck, and was not before (bool). Does not switch.

        `seconds`: the time since the last check. `timeout`: the seconds without a beat after which it is stuck; None:
        never.
        """
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
        """The seconds since its last beat (float)."""
        return self._silent_for

    def kill_stuck(self) -> None:
        """Have it print its stacks, and kill it. Switches."""
        before = self.counts.numbers[STACKS]
        self.send(_signal.SIGUSR1)
        end = monotonic() + _PRINT_LIMIT
        while self.counts.numbers[STACKS] == before and monotonic() < end:
            if self.ended.wait(0.02):
                return
        if self.counts.numbers[STACKS] == before:
            # It is in C code, so the handler that prints greenlets does not run. faulthandler prints the threads.
            self.send(_signal.SIGABRT)
            if self.ended.wait(_PRINT_LIMIT):
                return
        self.send(_signal.SIGKILL)
        self.ended.wait()

    def has_served_enough(self) -> bool:
        """Whether it has served `max_requests` (bool)."""
        if self._max_requests is None:
            return False
        numbers = self.counts.numbers
        done = DONE if numbers[REQUESTS] else CLOSED
        return bool(numbers[done] >= self._max_requests)

    def ends_by_itself(self) -> bool:
        """Whether it has begun to end, perhaps because of a signal from elsewhere (bool)."""
        return bool(self.counts.numbers[ENDING])

    def resident_bytes(self) -> int:
        """Return how many bytes of memory it uses (int); 0 if that cannot be found out. Does not switch."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * _PAGE
        except (OSError, IndexError, ValueError):
            return 0
