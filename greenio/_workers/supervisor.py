"""The supervisor: it forks the workers, checks them, reloads them, and ends them.

Rules
    1. The supervisor has no threads, because a fork copies only one. It does not load the program, except with
       `preload`, because code that was loaded before a fork cannot be loaded anew.
    2. Only the greenlet that called serve() forks. A worker continues on the stack of that greenlet, and not in the
       middle of another greenlet's work.
    3. Signals are blocked during a fork, so that a worker gets none before it has its handlers.
    4. The supervisor does not wait for ever: a worker that should have ended is killed.

What does not belong here: replacing the worker of a slot (slot.py), the work of a worker (worker.py).
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

#: The exit status of a service that could not start.
CANNOT_START = 3
#: Seconds that workers have to end when the service ends at once.
_END_AT_ONCE_LIMIT = 3.0
#: A worker that has been starting for longer than this (seconds) is ended by SIGHUP.
_LONG_START = 10.0
#: Seconds that such a worker has to end before it is killed.
_GRACE = 5.0
#: Seconds until a worker is recycled again, after an attempt that has failed or was made because of its size.
_TRY_AGAIN = 10.0


class Supervisor:
    """Serves at `listeners` with `options.workers` processes.

    `load`: the function that a worker calls; it returns a function that makes a server for a socket. `preloaded`:
    whether the program is loaded already.
    """

    def __init__(
        self, load: Callable[[], Make], listeners: list[Listener], options: Options, *, preloaded: bool = False
    ) -> None:
        self.options = options
        self.tell = options.tell
        self.listeners = listeners
        self.slots = [Slot(number, self) for number in range(1, options.workers + 1)]
        #: The worker processes that have not ended.
        self.processes: set[WorkerProcess] = set()
        #: Set when the service ends.
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
        """Serve until a signal ends the service. Returns the exit status of the process (int). Switches.

        In a worker it does not return.
        """
        if self._preloaded:
            make = self._load()
            self._load = lambda: make
            # The garbage collector writes to the objects that it visits. Memory that workers share would be copied.
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
            for function in (self._announce_start, self._check_workers, self._end_workers):
                self._greenlets.append(SupervisorGreenlet.spawn(function))
            for slot in self.slots:
                self._greenlets.append(SupervisorGreenlet.spawn(slot.run))
            self._handle_fork_requests()
        except BaseException:
            # Such as a Timeout or a kill of the greenlet that called serve().
            self._end_at_once()
            self._end_workers()
            raise
        finally:
            # Never reached in a worker.
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
        """Start a worker in a slot, and return it. Switches, because another greenlet forks."""
        result = AsyncResult()
        self._forks.put((slot, result))
        worker: WorkerProcess = result.get()
        return worker

    def _handle_fork_requests(self):
        while True:
            request = self._forks.get()
            if request is None:
                return
            slot, result = request
            result.set(self._fork(slot))

    def _fork(self, slot):
        worker = WorkerProcess(slot.number, self.options)
        if self.is_ending:
            # _end_workers() has told all workers to end, and would not know of this one.
            worker.fork_failed("the service ends")
            return worker
        start_pipe = -1
        mask = pthread_sigmask(SIG_BLOCK, HANDLED)
        try:
            start_pipe = worker.prepare()
            pid = fork()
            if pid == 0:
                try:
                    self._become_worker(worker, start_pipe, mask)
                finally:
                    os._exit(1)  # whatever has happened: the code below is the supervisor's
        except OSError as error:
            # There are no processes, no memory or no descriptors left. The slot tries again, as after a worker's death.
            worker.fork_failed(f"cannot fork: {error.strerror or error}")
            return worker
        finally:
            pthread_sigmask(SIG_SETMASK, mask)
            if start_pipe >= 0:
                os.close(start_pipe)
        self.processes.add(worker)
        worker.watch(pid, self._worker_ended)
        return worker

    def _become_worker(self, own, start_pipe, mask):
        """Close the descriptors of the supervisor and of other workers, and serve. Does not return."""
        for each in (*self.processes, own):
            each.close_descriptors()
        if self._status_server is not None:
            self._status_server.close_in_child()
        os.close(self._alive[1])
        for listener in self.listeners:
            listener.keep_only(listener.sockets[own.slot - 1])
        Worker(own.slot, self.listeners, own.counts, start_pipe, self._alive[0], self.options).run(self._load, mask)

    def _worker_ended(self, worker):
        self.processes.discard(worker)
        # Before anything switches: the slot takes over the worker's counters, which metrics would miss otherwise.
        self.slots[worker.slot - 1].worker_ended(worker)
        if worker.is_ending and worker.exit_code != 0 and worker.ready_at is not None:
            self.tell(f"{worker.describe()} {worker.describe_end()}")

    # --- the beginning ---

    def _announce_start(self):
        for slot in self.slots:
            slot.begun.wait()
        if not self.is_ending:
            workers = f"{len(self.slots)} workers" if len(self.slots) > 1 else "1 worker"
            for listener in self.listeners:
                name = self.options.name_of(listener.address)
                self.tell(f"listening on {name} (process {os.getpid()}, {workers})")
            notify_ready()

    def first_start_failed(self, worker: WorkerProcess) -> None:
        """End the service, because the first worker of a slot has ended before it was ready. Does not switch."""
        if self.is_ending:
            return
        if worker.failure:
            self.tell(f"a worker cannot start: {worker.failure.rstrip()}")
        else:
            self.tell(f"{worker.describe()} {worker.describe_end()} before it was ready")
        self._status = CANNOT_START
        self._end_at_once()

    # --- checking the workers ---

    def _check_workers(self):
        """Check again and again whether a worker is stuck, has served enough, or is too large."""
        tick = self.options.tick
        before = monotonic()
        while True:
            sleep(tick)
            now = monotonic()
            # Time in which this process was held up does not count: the workers may have been held up as well.
            passed, before = min(now - before, 2 * tick), now
            for worker in list(self.processes):
                if worker.check_beats(passed, self.options.worker_timeout):
                    self.tell(f"{worker.describe()} is stuck: its hub has not turned for {worker.silent_for:.1f} s")
                    SupervisorGreenlet.spawn(worker.kill_stuck)
            if not self.is_ending:
                for slot in self.slots:
                    self._recycle_if_needed(slot, now)

    def _recycle_if_needed(self, slot, now):
        worker = slot.worker
        if worker is None or not worker.is_ready or worker.recycle_not_before > now:
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
        worker.recycle_not_before = float("inf")
        SupervisorGreenlet.spawn(self._recycle, slot, worker, reason, is_too_large)

    def _is_too_large(self, worker, now):
        most = self.options.max_rss
        return most is not None and worker.size_check_not_before <= now and worker.resident_bytes() > most

    def _recycle(self, slot, worker, reason, is_too_large):
        later = monotonic() + _TRY_AGAIN
        if not slot.recycle(reason, worker).get():
            worker.recycle_not_before = later
        elif is_too_large and slot.worker is not None:
            # If every worker is too large, they are not replaced all the time.
            slot.worker.size_check_not_before = later

    # --- signals ---

    def _hang_up(self):
        if self.is_ending:
            return
        for worker in self.processes:
            # A worker that loads the old code might never become ready, and its slot would wait for it.
            if worker.is_starting_for(_LONG_START) and self.slots[worker.slot - 1].begun.is_set():
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
        """End the service when its requests are finished; at the second call, at once. Does not switch."""
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

    def _end_workers(self):
        """Wait until the service ends, and end the workers."""
        self.ending.wait()
        if not self._at_once.is_set():
            self._at_once.wait(self.options.pre_drain)
        # From here on no client can connect. Workers still accept those that have connected already.
        self._close_listeners()
        for worker in list(self.processes):
            worker.end(self.options.longest_end)
        everybody = SupervisorGreenlet.spawn(self._wait_for_all)
        while not everybody.ready() and not self._at_once.is_set():
            everybody.join(0.05)
        if not everybody.ready():
            for worker in self.processes:
                worker.send(SIGQUIT)
            everybody.join(_END_AT_ONCE_LIMIT)
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
    """Return the URLs of the status pages, as text. They are always HTTP without TLS."""
    if not isinstance(address, tuple):
        return f"{address_text(address)}: /healthz and /metrics"
    return f"http://{address_text(address)}/healthz and http://{address_text(address)}/metrics"
