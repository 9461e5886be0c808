"""A slot: the place of one worker, and the decisions when it is replaced.

Rules
    1. One greenlet of the slot makes all decisions, one after the other. Events wait in its inbox meanwhile.
    2. A worker is told to end when the next one is ready. If the next one cannot start, the old one goes on.
    3. A worker that dies is replaced at once. If it dies within a second of being ready, or before it is ready, it is
       replaced after a pause, which doubles each time.
"""

from __future__ import annotations

from time import monotonic

from greenio.event import AsyncResult, Event
from greenio.queue import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio._workers.process import WorkerProcess

__all__ = ["FIRST_PAUSE", "LONGEST_PAUSE", "SOON", "Slot"]

#: Seconds between a worker's death and the next one's start, if it has served no longer than SOON (seconds).
FIRST_PAUSE, LONGEST_PAUSE, SOON = 0.1, 5.0, 1.0


class Slot:
    """The place of worker `number` (int, from 1). `supervisor`: the Supervisor, which forks."""

    def __init__(self, number: int, supervisor: Any) -> None:
        self.number = number
        self.supervisor = supervisor
        #: The worker that serves, or is starting to serve.
        self.worker: WorkerProcess | None = None
        #: Set when the first worker is ready, or could not start.
        self.begun = Event()
        #: How many workers were started after the first.
        self.restarts = 0
        #: The counters of workers that have ended, added up.
        self.past: list[int] | None = None
        self._inbox: Queue[Any] = Queue()
        self._pause = 0.0

    # --- events ---

    def worker_ended(self, worker: WorkerProcess) -> None:
        """Note that a worker of this slot has ended. Does not switch."""
        self._add_up(worker)
        self._inbox.put(worker)

    def recycle(self, reason: str, worker: WorkerProcess | None = None) -> AsyncResult:
        """Have another worker take over from `worker`, by default the one that serves. Does not switch.

        `reason`: for the message (str). The value of the result is whether another worker has taken over (bool).
        """
        done = AsyncResult()
        self._inbox.put((reason, worker, done))
        return done

    def _add_up(self, worker):
        numbers = list(worker.counts.numbers)
        self.past = numbers if self.past is None else [sum(pair) for pair in zip(self.past, numbers, strict=True)]

    # --- decisions ---

    def run(self) -> None:
        """Start the first worker, and handle the slot's events for ever. Switches."""
        self._start_first()
        while True:
            event = self._inbox.get()
            if self.supervisor.is_ending:
                continue
            if isinstance(event, tuple):
                reason, worker, done = event
                done.set(self._replace(reason) if worker in (None, self.worker) else True)
            elif event is self.worker:
                self._restart(event)

    def _start_first(self):
        worker = self.supervisor.fork(self)
        self.worker = worker
        worker.started.wait()
        if worker.ready_at is None:
            self.supervisor.first_start_failed(worker)
        self.begun.set()

    def _restart(self, dead):
        """Replace a worker that has died. Starts others until one is ready."""
        while not self.supervisor.is_ending:
            self._report_end(dead)
            if dead.is_ending or (dead.ready_at is not None and monotonic() - dead.ready_at > SOON):
                self._pause = 0.0
            else:
                self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
                if self.supervisor.ending.wait(self._pause):
                    return
            dead = self.worker = self._start()
            if dead.ready_at is not None:
                return

    def _report_end(self, worker):
        text = f"{worker.describe()} {worker.describe_end()}"
        if worker.ready_at is None and worker.failure:
            text = f"{text}; it cannot start: {worker.failure.rstrip()}"
        self.supervisor.tell(text)

    def _replace(self, reason):
        old = self.worker
        if old is None or old.ended.is_set():
            return True  # another one is started because it has ended
        new = self._start()
        if new.ready_at is None:
            if not self.supervisor.is_ending:
                self._report_end(new)
                if not old.ended.is_set():
                    self.supervisor.tell(f"{old.describe()} goes on")
            return False
        self.worker = new
        self._pause = 0.0
        self.supervisor.tell(f"{old.describe()} {reason}: {new.describe()} takes over")
        old.end(self.supervisor.options.longest_end)
        return True

    def _start(self):
        """Start a worker, and wait until it is ready or has ended."""
        self.restarts += 1
        worker = self.supervisor.fork(self)
        worker.started.wait()
        return worker
