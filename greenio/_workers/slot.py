"""A slot: the place of a worker. Who serves there, who comes next, and when.

Rules
    1. One greenlet of the slot decides, and does one thing after the other. What happens meanwhile waits in its inbox.
    2. The next worker is ready before the old one is told to end. If the next one cannot start, the old one goes on.
    3. A worker that dies is replaced at once; one that dies within a second of being ready, or before that, after a
       pause, which doubles.
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

#: Seconds between a worker's death and the next one's start, if it has served no longer than SOON.
FIRST_PAUSE, LONGEST_PAUSE, SOON = 0.1, 5.0, 1.0


class Slot:
    """The place of worker `number` (int, from 1). `supervisor`: forks, and knows what is to be."""

    def __init__(self, number: int, supervisor: Any) -> None:
        self.number = number
        self.supervisor = supervisor
        #: The worker that serves, or is to.
        self.worker: WorkerProcess | None = None
        #: Set when the first one serves, or cannot.
        self.begun = Event()
        #: How many workers were started after the first.
        self.restarts = 0
        #: The numbers of those that have ended, added up.
        self.past: list[int] | None = None
        self._inbox: Queue[Any] = Queue()
        self._pause = 0.0

    # --- what happens to it ---

    def ended(self, worker: WorkerProcess) -> None:
        """A worker of this slot has ended. Does not switch."""
        self._add_up(worker)
        self._inbox.put(worker)

    def recycle(self, reason: str, worker: WorkerProcess | None = None) -> AsyncResult:
        """Have another worker take over from `worker`, or from whoever serves. Does not switch.

        The result is whether another one does.
        """
        done = AsyncResult()
        self._inbox.put((reason, worker, done))
        return done

    def _add_up(self, worker):
        numbers = list(worker.counts.numbers)
        self.past = numbers if self.past is None else [sum(pair) for pair in zip(self.past, numbers, strict=True)]

    # --- what it does about it ---

    def keep(self) -> None:
        """See that a worker serves, for ever. Switches."""
        self._start_first()
        while True:
            what = self._inbox.get()
            if self.supervisor.is_ending:
                continue
            if isinstance(what, tuple):
                reason, worker, done = what
                done.set(self._replace(reason) if worker in (None, self.worker) else True)
            elif what is self.worker:
                self._restart(what)

    def _start_first(self):
        worker = self.supervisor.fork(self)
        self.worker = worker
        worker.started.wait()
        if worker.ready_at is None:
            self.supervisor.first_start_failed(worker)
        self.begun.set()

    def _restart(self, dead):
        """The worker that has served is dead: start others until one serves."""
        while not self.supervisor.is_ending:
            self._tell_end(dead)
            if dead.is_ending or (dead.ready_at is not None and monotonic() - dead.ready_at > SOON):
                self._pause = 0.0
            else:
                self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
                if self.supervisor.ending.wait(self._pause):
                    return
            dead = self.worker = self._start()
            if dead.ready_at is not None:
                return

    def _tell_end(self, worker):
        text = f"{worker.describe()} {worker.describe_end()}"
        if worker.ready_at is None and worker.failure:
            text = f"{text}; it cannot start: {worker.failure.rstrip()}"
        self.supervisor.tell(text)

    def _replace(self, reason):
        old = self.worker
        if old is None or old.ended.is_set():
            return True  # another one comes anyhow
        new = self._start()
        if new.ready_at is None:
            if not self.supervisor.is_ending:
                self._tell_end(new)
                if not old.ended.is_set():
                    self.supervisor.tell(f"{old.describe()} goes on")
            return False
        self.worker = new
        self._pause = 0.0
        self.supervisor.tell(f"{old.describe()} {reason}: {new.describe()} takes over")
        old.end(self.supervisor.options.longest_end)
        return True

    def _start(self):
        """Start a worker, and wait until it serves or has ended."""
        self.restarts += 1
        worker = self.supervisor.fork(self)
        worker.started.wait()
        return worker
