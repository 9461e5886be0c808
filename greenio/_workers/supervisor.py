"""The supervisor: opens the sockets, forks the workers, looks after them, and ends them.

Rules
    1. It has no threads, and does not load what the workers serve, unless it is told to: a fork copies one thread, and
       what is loaded before it cannot be loaded anew.
    2. Forks are made on the greenlet that called serve(), and nowhere else: a worker begins with its stack, not in the
       middle of one that does something else.
    3. Signals are blocked around a fork, so that a worker gets none before it knows what to do about it.
    4. It waits for nobody for ever: a worker that was told to end is killed after a while.

What does not belong here: which worker comes next in a slot (slot.py), what workers do (worker.py).
"""

from __future__ import annotations

import gc
import os
from signal import SIG_BLOCK, SIG_SETMASK, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, pthread_sigmask
from time import monotonic

from hub import get_hub, sleep

from greenio._servers.addresses import address_text
from greenio._tasks.program import fork
from greenio._tasks.waiting import killall
from greenio._workers.notify import notify_ready, notify_reloading, notify_stopping
from greenio._workers.process import WorkerProcess
from greenio._workers.slot import Slot
from greenio._workers.stacks import SupervisorGreenlet
from greenio._workers.status import StatusServer
from greenio._workers.worker import HANDLED, Worker
from greenio.event import AsyncResult, Event
from greenio.queue import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from greenio._workers.listeners import Listener
    from greenio._workers.options import Options
    from greenio._workers.worker import Make

__all__ = ["Supervisor"]

#: The status of a service that could not start.
CANNOT_START = 3
#: Seconds that workers have to end when nothing is waited for.
_AT_ONCE = 3.0
#: Seconds after which a SIGHUP ends a worker that has not started yet, and those that it has then.
_LONG_START, _GRACE = 10.0, 5.0
#: Seconds before a failed attempt to recycle a worker is repeated, or one that its memory has caused.
_TRY_AGAIN = 10.0


class Supervisor:
    """Has `options.workers` processes serve at `listeners`.

    `load`: what a worker calls; it returns a function that makes a server of a socket. `preloaded`: whether it was
    called already, before any fork.
    """

    def __init__(
        self, load: Callable[[], Make], listeners: list[Listener], options: Options, *, preloaded: bool = False
    ) -> None:
        self.options = options
        self.tell = options.tell
        self.listeners = listeners
        self.slots = [Slot(number, self) for number in range(1, options.workers + 1)]
        #: Those that have not ended.
        self.processes: set[WorkerProcess] = set()
        #: Set when the service is to end.
        self.ending = Event()
        self._load = load
        self._preloaded = preloaded or options.preload
        self._forks: Queue[Any] = Queue()
        self._status = 0
        self._at_once = Event()
        self._reloading = False
        self._reload_again = False
        self._status_server: StatusServer | None = None
        self._greenlets: list[SupervisorGreenlet] = []
        self._reloader: SupervisorGreenlet | None = None
        self._alive: tuple[int, ...] = ()

    @property
    def is_ending(self) -> bool:
        """Whether the service ends (bool)."""
        return self.ending.is_set()

    def run(self) -> int:
        """Serve until a signal says otherwise. Returns the status for the process (int). Switches.

        In a worker it does not return.
        """
        if self._preloaded:
            make = self._load()
            self._load = lambda: make
            # The collector writes to what it looks at, and so copies memory that workers could share.
            gc.collect()
            gc.freeze()
        watchers: list[Any] = []
        try:
            self._alive = os.pipe()
            if self.options.status is not None:
                self._status_server = StatusServer(self.options.status, self)
            loop = get_hub().loop
            for number, function in (
                (SIGTERM, self.end), (SIGINT, self.end), (SIGQUIT, self._end_at_once), (SIGHUP, self._hang_up),
                (SIGUSR1, self._ask_for_stacks),
            ):  # fmt: skip
                watchers.append(loop.signal(number))
                watchers[-1].start(function)
            if self._status_server is not None:
                self._status_server.start()
                self.tell(f"status at {_urls(self._status_server.address)}")
            for function in (self._first_start, self._look_after, self._see_to_the_end):
                self._greenlets.append(SupervisorGreenlet.spawn(function))
            for slot in self.slots:
                self._greenlets.append(SupervisorGreenlet.spawn(slot.keep))
            self._fork_as_asked()
        except BaseException:
            # A Timeout, or a kill: whatever runs this is to end.
            self._end_at_once()
            self._see_to_the_end()
            raise
        finally:
            # In a worker this is never reached.
            if self._preloaded:
                gc.unfreeze()
            killall([*self._greenlets, *filter(None, [self._reloader])])
            for watcher in watchers:
                watcher.close()
            self._close_listeners()
            if self._status_server is not None:
                self._status_server.end()
            for descriptor in self._alive:
                os.close(descriptor)
        return self._status

    # --- forks ---

    def fork(self, slot: Slot) -> WorkerProcess:
        """Start a worker in a slot. Switches: the fork is made elsewhere."""
        wanted = AsyncResult()
        self._forks.put((slot, wanted))
        worker: WorkerProcess = wanted.get()
        return worker

    def _fork_as_asked(self):
        while True:
            asked = self._forks.get()
            if asked is None:
                return
            slot, wanted = asked
            wanted.set(self._fork(slot))

    def _fork(self, slot):
        worker = WorkerProcess(slot.number, self.options)
        if self.is_ending:
            # Nobody would tell it to end.
            worker.cannot_be_forked("the service ends")
            return worker
        telling = -1
        mask = pthread_sigmask(SIG_BLOCK, HANDLED)
        try:
            telling = worker.prepare()
            pid = fork()
            if pid == 0:
                try:
                    self._become_worker(worker, telling, mask)
                finally:
                    os._exit(1)  # it ends there; whatever happens, what follows is the supervisor's
        except OSError as error:
            # No processes, no memory, no descriptors. As if it had ended at once: it is tried again.
            worker.cannot_be_forked(f"cannot fork: {error.strerror or error}")
            return worker
        finally:
            pthread_sigmask(SIG_SETMASK, mask)
            if telling >= 0:
                os.close(telling)
        self.processes.add(worker)
        worker.watch(pid, self._ended)
        return worker

    def _become_worker(self, own, telling, mask):
        """In the child: what other processes have is closed. Does not return."""
        for each in (*self.processes, own):
            each.close_descriptors()
        if self._status_server is not None:
            self._status_server.close_in_child()
        os.close(self._alive[1])
        for listener in self.listeners:
            listener.keep_only(listener.sockets[own.slot - 1])
        Worker(own.slot, self.listeners, own.counts, telling, self._alive[0], self.options).run(self._load, mask)

    def _ended(self, worker):
        self.processes.discard(worker)
        # What it has counted is in no other place now. Others may look while this is told.
        self.slots[worker.slot - 1].ended(worker)
        if worker.is_ending and worker.exit_code != 0 and worker.ready_at is not None:
            self.tell(f"{worker.describe()} {worker.describe_end()}")

    # --- the beginning ---

    def _first_start(self):
        for slot in self.slots:
            slot.begun.wait()
        if not self.is_ending:
            workers = f"{len(self.slots)} workers" if len(self.slots) > 1 else "1 worker"
            for listener in self.listeners:
                name = self.options.name_of(listener.address)
                self.tell(f"listening on {name} (process {os.getpid()}, {workers})")
            notify_ready()

    def first_start_failed(self, worker: WorkerProcess) -> None:
        """A slot's first worker has ended before it was ready: so does everything. Does not switch."""
        if self.is_ending:
            return
        if worker.failure:
            self.tell(f"a worker cannot start: {worker.failure.rstrip()}")
        else:
            self.tell(f"{worker.describe()} {worker.describe_end()} before it was ready")
        self._status = CANNOT_START
        self._end_at_once()

    # --- looking after the workers ---

    def _look_after(self):
        """Now and then: is a worker stuck, has it served enough, is it too large?"""
        tick = self.options.tick
        before = monotonic()
        while True:
            sleep(tick)
            now = monotonic()
            # If this process was held up itself, so may the workers have been.
            passed, before = min(now - before, 2 * tick), now
            for worker in list(self.processes):
                if worker.look(passed, self.options.worker_timeout):
                    self.tell(f"{worker.describe()} is stuck: its hub has not turned for {worker.silent_for:.1f} s")
                    SupervisorGreenlet.spawn(worker.end_stuck)
            if not self.is_ending:
                for slot in self.slots:
                    self._see_whether_to_recycle(slot, now)

    def _see_whether_to_recycle(self, slot, now):
        worker = slot.worker
        if worker is None or not worker.is_ready or worker.tries_again_at > now:
            return
        is_too_large = False
        if worker.ends_by_itself():
            reason = "was told to end"
        elif worker.has_served_enough():
            reason = "has served enough"
        elif self._is_too_large(worker, now):
            is_too_large = True
            reason = f"has {worker.resident_bytes() >> 20} MiB of memory"
        else:
            return
        worker.tries_again_at = float("inf")
        SupervisorGreenlet.spawn(self._recycle, slot, worker, reason, is_too_large)

    def _is_too_large(self, worker, now):
        most = self.options.max_rss
        return most is not None and worker.weighed_from <= now and worker.resident_bytes() > most

    def _recycle(self, slot, worker, reason, is_too_large):
        later = monotonic() + _TRY_AGAIN
        if not slot.recycle(reason, worker).get():
            worker.tries_again_at = later
        elif is_too_large and slot.worker is not None:
            # Where no worker is small enough, they would be replaced without end.
            slot.worker.weighed_from = later

    # --- signals ---

    def _hang_up(self):
        if self.is_ending:
            return
        for worker in self.processes:
            # It may wait for ever for what was wrong before, and so would its slot.
            if worker.has_begun_to_start(_LONG_START) and self.slots[worker.slot - 1].begun.is_set():
                self.tell(f"{worker.describe()} has not started yet: another one is tried")
                worker.end(_GRACE)
        if self._reloading:
            self._reload_again = True
            return
        self._reloading = True
        self._reloader = SupervisorGreenlet.spawn(self._reload)

    def _reload(self):
        notify_reloading()
        if self._preloaded:
            self.tell("new workers are started; they reload no code, which was loaded before the first of them")
        try:
            while True:
                self._reload_again = False
                done = all(slot.recycle("finishes").get() for slot in self.slots)
                if not self.is_ending:
                    self.tell("reloaded" if done else "not reloaded")
                if not self._reload_again:
                    return
        finally:
            self._reloading = False
            if not self.is_ending:
                notify_ready()

    def _ask_for_stacks(self):
        for worker in self.processes:
            worker.send(SIGUSR1)

    # --- the end ---

    def end(self) -> None:
        """End when what has begun is finished; the second time, at once. Does not switch."""
        if self.is_ending:
            self._end_at_once()
        else:
            self.tell("ending")
            notify_stopping()
            self.ending.set()

    def _end_at_once(self):
        if not self.is_ending:
            notify_stopping()
        self._at_once.set()
        self.ending.set()

    def _see_to_the_end(self):
        self.ending.wait()
        if not self._at_once.is_set():
            self._at_once.wait(self.options.pre_drain)
        # Nobody else gets in. Workers still have the sockets, and accept those who are there.
        self._close_listeners()
        for worker in list(self.processes):
            worker.end(self.options.longest_end)
        everybody = SupervisorGreenlet.spawn(self._wait_for_all)
        while not everybody.ready() and not self._at_once.is_set():
            everybody.join(0.05)
        if not everybody.ready():
            for worker in self.processes:
                worker.send(SIGQUIT)
            everybody.join(_AT_ONCE)
            for worker in list(self.processes):
                worker.send(SIGKILL)
            everybody.join()
        self._forks.put(None)

    def _wait_for_all(self):
        while self.processes:
            next(iter(self.processes)).ended.wait()

    def _close_listeners(self):
        for listener in self.listeners:
            listener.close()


def _urls(address):
    """Where the status is. It is always HTTP without TLS."""
    if not isinstance(address, tuple):
        return f"{address_text(address)}: /healthz and /metrics"
    return f"http://{address_text(address)}/healthz and http://{address_text(address)}/metrics"
