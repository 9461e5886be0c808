"""A pool of greenlets for celery's worker: hundreds of tasks at once in one process.

    CELERY_CUSTOM_WORKER_POOL=greenio.contrib.celery:TaskPool celery -A app worker -P custom -c 500

Importing this module patches the standard library. With the command above celery imports it before anything else.

Theory
    celery's consumer, its remote control and each task are greenlets of the main thread. A task that is submitted
    waits in line until there is room. When it begins, it is accepted, and acknowledged unless `acks_late` is set.

    A time limit is a timer whose callback throws an exception into the task's greenlet. terminate_job() throws one too.
    Neither can reach a task that computes without ever waiting.

Rules
    1. An exception that ends a task from outside ends that task only. The end of a task is reported to celery once. A
       task that terminate_job() has ended is not reported, because celery knows.
    2. If a task catches the exception that should end it, it gets another one every second.
    3. Only a few tasks at a time report to celery, because celery then sends a message to the broker at once. kombu has
       ten connections to redis, and does not wait for a free one: an acknowledgement without a connection is lost.
    4. An exception that comes too late, when the task's own code has ended, is taken back. Otherwise it would interrupt
       the report.
    5. Tasks that are in line when the worker ends, or loses its connection, are dropped. They are not acknowledged, so
       the broker delivers them again.

See https://docs.celeryq.dev/en/stable/userguide/concurrency/index.html#custom-pool-implementations. Methods that wait
say that they switch; the others do not switch.
"""

# ruff: noqa: E402  (nothing of celery is imported before patching)

from __future__ import annotations

from greenio import monkey

monkey.patch_all()

import itertools
import signal as _signal
import sys
from collections import deque
from time import monotonic

from billiard.einfo import ExceptionInfo
from billiard.exceptions import SoftTimeLimitExceeded, WorkerLostError
from celery.concurrency.base import BasePool
from celery.exceptions import WorkerShutdown, WorkerTerminate
from celery.signals import worker_init
from celery.utils.log import get_logger
from greenlet import GreenletExit, getcurrent
from hub import get_hub
from kombu.asynchronous.timer import Timer as _Timer
from kombu.asynchronous.timer import scheduled

from greenio._tasks.spawning import spawn
from greenio.event import Event
from greenio.greenlet import Greenlet
from greenio.lock import Semaphore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TaskPool", "Timer"]

_logger = get_logger("celery.pool")
_AGAIN = 1.0  # seconds until a task that has caught the exception gets another one
_MAX_REPORTS = 4  # how many tasks report to celery at a time; kombu needs some connections for itself
_COLD_SHUTDOWN_LIMIT = 10.0  # seconds that killed tasks have to end at a cold shutdown


class _TimeLimit(GreenletExit):
    """Thrown into a task whose hard time limit has passed."""


class Timer(_Timer):  # type: ignore[misc]  # kombu may be missing
    """celery's timer. Each entry has a greenlet of its own, so that an entry that waits does not delay others."""

    def __init__(self, max_interval: float | None = None, on_error: Any = None, **options: Any) -> None:
        super().__init__(max_interval, on_error)
        # Entry -> its greenlet, which has not begun, and the `scheduled` tuple that celery shows.
        self._due: dict[Any, tuple[Greenlet, Any]] = {}

    def _enter(self, eta, priority, entry, push=None):
        greenlet = Greenlet.spawn_later(max(0.0, eta - monotonic()), self._fire, entry)
        self._due[entry] = (greenlet, scheduled(eta, priority, entry))
        return entry

    def _fire(self, entry):
        self._due.pop(entry, None)
        if not entry.canceled:
            self.apply_entry(entry)

    def cancel(self, entry: Any) -> None:
        """Cancel an entry. Does not switch."""
        entry.cancel()
        self._forget(entry)

    def _forget(self, entry):
        due = self._due.pop(entry, None)
        if due is not None:
            due[0].kill(block=False)

    def clear(self) -> None:
        """Cancel all entries. Does not switch."""
        for entry in list(self._due):
            self._forget(entry)

    stop = clear

    def __len__(self) -> int:
        return len(self._due)

    @property
    def queue(self) -> list[Any]:
        """The entries that have not fired, in the order of their times (list of `scheduled`)."""
        return sorted(shown for _, shown in self._due.values())


class TaskPool(BasePool):  # type: ignore[misc]  # celery has no types
    """Runs celery's tasks in greenlets of the main thread, at most `limit` at a time.

    celery makes it. The options `timeout` and `soft_timeout` are time limits in seconds.
    """

    Timer = Timer
    signal_safe = False
    is_green = True
    task_join_will_block = False
    body_can_be_buffer = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._line: deque[_Task] = deque()
        self._running: dict[int, _Task] = {}
        self._numbers = itertools.count(1)
        self._is_closed = False
        self._all_ended = Event()
        #: Held while a task reports to celery.
        self.reporting = Semaphore(_MAX_REPORTS)

    # --- tasks ---

    def spawn_n(self, function: Any, *args: Any) -> Any:
        """Call a function of celery's own in a greenlet. Does not switch."""
        return spawn(_logging_errors, function, *args)

    def on_apply(self, target: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Submit a task. It begins as soon as there is room. Does not switch."""
        task = _Task(self, target, args or (), kwargs or {}, options)
        if not self._is_closed:
            self._line.append(task)
            self._start_some()
        return task

    def _start_some(self):
        if _is_ending():
            return  # celery notices it within seconds, and closes the pool
        while self._line and len(self._running) < self.limit:
            task = self._line.popleft()
            task.number = next(self._numbers)
            self._running[task.number] = task
            task.greenlet = Greenlet.spawn(task.run)

    def task_ended(self, task: _Task) -> None:
        """Note that a task has ended, and start the next one. Does not switch."""
        self._running.pop(task.number, None)
        self._start_some()
        if not self._running:
            self._all_ended.set()

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """End the task that was accepted with the number `pid`. Does not switch, except to end the current task.

        SIGUSR1 raises SoftTimeLimitExceeded in the task, as in celery's processes. Any other signal ends it.
        """
        task = self._running.get(pid)
        if task is not None and signal == _signal.SIGUSR1:
            task.throw(SoftTimeLimitExceeded())
        elif task is not None:
            task.end()

    # --- the limit ---

    def grow(self, n: int = 1) -> None:
        """Allow `n` more tasks at a time. Does not switch."""
        self.limit += n
        self._start_some()

    def shrink(self, n: int = 1) -> None:
        """Allow `n` fewer tasks at a time. Running tasks go on. Raises ValueError if the limit would be negative."""
        if n > self.limit:
            raise ValueError(f"a pool for {self.limit} tasks at a time cannot shrink by {n}")
        self.limit -= n

    @property
    def num_processes(self) -> int:
        """How many tasks may run at a time (int)."""
        return self.limit

    def _get_info(self):
        return {
            **super()._get_info(),
            "running": len(self._running),
            "waiting": len(self._line),
            "timeouts": [self.options.get("soft_timeout") or 0, self.options.get("timeout") or 0],
        }

    # --- the end ---

    def flush(self) -> None:
        """Drop the tasks that have not begun. The broker delivers them again. Does not switch."""
        self._line.clear()

    def on_close(self) -> None:
        """Let no more tasks begin. Does not switch."""
        self._is_closed = True
        self.flush()

    def on_stop(self) -> None:
        """Wait until all tasks have ended. At a cold shutdown, end them first. Switches."""
        self.on_close()
        if _state().should_terminate not in (None, False):
            self.on_terminate()
        while self._running:
            self._wait(None)

    def on_terminate(self) -> None:
        """End all tasks, and wait at most ten seconds until they have ended. Switches."""
        self.on_close()
        for task in list(self._running.values()):
            task.end()
        end = monotonic() + _COLD_SHUTDOWN_LIMIT
        while self._running and (left := end - monotonic()) > 0:
            self._wait(left)
        for task in self._running.values():
            _logger.error("A task does not end: %r", task.greenlet)
        self._running.clear()

    def _wait(self, seconds):
        self._all_ended.clear()
        if self._running:
            self._all_ended.wait(seconds)


class _Task:
    """One task, from its submission to its end. celery takes it for the task's result."""

    number = 0
    greenlet: Any = None
    has_begun = False
    is_terminated = False  # whether it was ended from outside, which celery knows
    is_late = False  # whether its hard time limit has passed
    _is_at_work = False  # whether the task's own code runs

    def __init__(self, pool, target, args, kwargs, options):
        self._pool = pool
        self._call: Any = (target, args, kwargs)
        self._options: Any = options
        self._timers: list[Any] = []
        self._thrown: list[BaseException] = []

    def terminate(self, signal):
        """Does nothing: celery calls terminate_job() too, which does the work."""

    # --- in its own greenlet ---

    def run(self):
        """Run the task, and report its end to celery. Switches."""
        self.has_begun = True
        try:
            report, *arguments = self._outcome()
            if report is not None and not self.is_terminated:
                with self._pool.reporting:
                    report(*arguments)
        except GreenletExit:
            pass  # the task was ended during its report
        except Exception:
            _logger.exception("celery could not be told how a task has ended")
        finally:
            self._stop_timers()
            self._call = self._options = None
            self._pool.task_ended(self)

    def _outcome(self):
        """Run the task. Returns the function that reports its end, or None, and the arguments for it."""
        options = self._options
        accepted = options.get("accept_callback")
        # The task may have been revoked while it was in line.
        request = getattr(accepted, "__self__", None)
        if request is not None and request.revoked():
            return (None,)
        try:
            if accepted is not None:
                with self._pool.reporting:
                    accepted(self.number, monotonic())
            if self.is_terminated:
                return (None,)
            outcome = options.get("callback"), self._run_in_time()
        except (WorkerShutdown, WorkerTerminate) as error:
            _end_the_worker(error)
            return (None,)
        except Exception:
            outcome = options.get("error_callback"), ExceptionInfo()
        except BaseException as error:
            outcome = options.get("error_callback"), _lost(error)
        if self.is_late:
            return options.get("timeout_callback"), False, self._limit("timeout")
        return outcome

    def _run_in_time(self):
        target, args, kwargs = self._call
        soft, hard = self._limit("soft_timeout"), self._limit("timeout")
        if soft:
            self._start_timer(soft, 0, self._soft_limit, soft)
        if hard:
            self._start_timer(hard, _AGAIN, self._hard_limit)
        self._is_at_work = True
        try:
            return target(*args, **kwargs)
        finally:
            self._is_at_work = False
            self._stop_timers()
            for error in self._thrown:
                get_hub().take_back(self.greenlet, error)

    def _limit(self, name):
        return self._options.get(name) or self._pool.options.get(name)

    def _start_timer(self, seconds, again, callback, *args):
        timer = get_hub().loop.timer(seconds, again)
        self._timers.append(timer)
        timer.start(callback, *args)

    def _stop_timers(self):
        timers, self._timers = self._timers, []
        for timer in timers:
            timer.close()

    # --- called from other greenlets, and by timers: none of these may wait ---

    def _soft_limit(self, seconds):
        report = self._options.get("timeout_callback")
        if report is not None:
            spawn(_logging_errors, report, True, seconds)
        self.throw(SoftTimeLimitExceeded(seconds))

    def _hard_limit(self):
        self.is_late = True
        self.throw(_TimeLimit())

    def throw(self, error):
        """Raise an exception in the task's code, if that still runs."""
        if self._is_at_work:
            self._thrown.append(error)
            get_hub().throw_soon(self.greenlet, error)

    def end(self):
        """End the task, without a report to celery."""
        if self.is_terminated:
            return
        self.is_terminated = True
        if not self.has_begun:
            self.greenlet.kill(block=False)
            self._pool.task_ended(self)
        elif self.greenlet is not getcurrent():
            self._stop_timers()
            self._start_timer(_AGAIN, _AGAIN, self._end_again)
            self._end_again()

    def _end_again(self):
        error = GreenletExit()
        self._thrown.append(error)
        get_hub().throw_soon(self.greenlet, error)


def _lost(error):
    """Return the error for celery of a task that has ended by an exception that is not an Exception."""
    try:
        raise WorkerLostError(repr(error)).with_traceback(error.__traceback__)
    except WorkerLostError:
        return ExceptionInfo()


def _state():
    # Imported here, because the package celery.worker imports much of celery.
    from celery.worker import state

    return state


def _is_ending():
    """Whether the worker was told to end."""
    state = _state()
    return any(told is not None and told is not False for told in (state.should_stop, state.should_terminate))


def _end_the_worker(error):
    """End the worker, because a task or celery's remote control has raised `error`."""
    state = _state()
    code = error.code if error.code is not None else 0
    if isinstance(error, WorkerTerminate):
        state.should_terminate = code or True
    else:
        state.should_stop = code


def _logging_errors(function, *args):
    try:
        function(*args)
    except (WorkerShutdown, WorkerTerminate) as error:
        _end_the_worker(error)  # remote control has got the command to end
    except Exception:
        _logger.exception("%r has failed", function)


@worker_init.connect(weak=False)  # type: ignore[untyped-decorator]
def _refuse_beat(sender: Any, **_: Any) -> None:
    """Refuse celery -B, which would fork a scheduler in the middle of greenlets."""
    pool = getattr(sender, "pool_cls", None)
    ours = pool in ("custom", f"{__name__}:TaskPool") or (isinstance(pool, type) and issubclass(pool, TaskPool))
    if ours and getattr(sender, "options", {}).get("beat"):
        sys.exit("celery worker: -B does not work with this pool: run `celery -A app beat` as a process of its own")
