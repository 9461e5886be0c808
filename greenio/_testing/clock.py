"""MockClock: a clock for tests, which jumps to the next deadline when there is nothing to do before it.

Theory
    While a MockClock is active, the hubs' clock (`hub.timers`) stands still. A loop that would sleep until its first
    timer asks the MockClock instead: see `hub.stopped_clock`. If no loop, thread or child process has anything to do,
    the MockClock moves the time on to the first timer of all loops. Otherwise the loop sleeps in real time.

    While a thread or a child process is at work, the clock goes with real time. So it never stands still for ever: a
    Timeout around a call in a thread comes in time.

    A thread has nothing to do if it sleeps in its loop, or waits for a lock without a timeout: only another thread can
    wake it. The system tells which threads do so. Threads that existed before the clock, and were at work then, do not
    count: those of a debugger or of pytest-xdist.

    Data may be under way between sockets. The clock waits `autojump_threshold` seconds of real time for it.

    Some code asks for the time in a loop, without waiting, until a deadline has passed:
    concurrent.futures.as_completed() for one. If the same time was told very often, the clock goes on a little.

What does not belong here: fixtures, and the timers themselves (`hub.timers`).
"""

from __future__ import annotations

import select
import sys
import time
from _thread import get_native_id
from functools import partial
from math import inf, isnan

from hub import get_hub, timers
from hub.forks import in_child
from hub.loop import loops, set_sleep_length, wake_other_loops
from hub.native import original, saved
from hub.signals import call_on_main

from greenio._testing.at_work import Workers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

__all__ = ["MockClock", "active_clock"]

LONGEST = 50_000_000  # nanoseconds of a real sleep, after which everything is checked again
SHORT = 1_000_000  # nanoseconds of a real sleep while another thread is about to run
UNDER_WAY = 0.01  # seconds to wait for data by default
LOOKS = 1000  # how often the same time is told before it goes on by itself
TICK = 1000  # nanoseconds by which the time then goes on, each time
FARTHEST = 2**63  # nanoseconds: the time stays below this, so that sums fit into 64 bits

# Modules that keep real time even in patched programs.
_REAL = ("_pytest", "coverage", "execnet", "hub", "hypothesis", "pluggy", "pytest", "pytest_timeout", "xdist")

_real_ns = time.monotonic_ns
_real_time_ns = time.time_ns
_poll = original("select", "poll")

_active: MockClock | None = None


def active_clock() -> MockClock | None:
    """Return the clock that is active, or None."""
    return _active


class MockClock:
    """``with MockClock() as clock: ...``: in the block time stands still, and jumps when everything waits.

    As soon as every greenlet waits, and no thread or child process is at work, the time jumps to the next deadline: an
    hour's sleep or timeout takes no time. While a greenlet computes, no time passes. While threads or child processes
    work, the clock goes with real time. Sleeps, timeouts and timers of all hubs use this clock.

    `autojump_threshold`: for how many seconds of real time nothing must happen before a jump (float; also an
    attribute that may be set). None: 0 or, while a greenlet waits for a descriptor, 0.01, because data may be under
    way. inf: the clock never jumps by itself. `patch_time`: whether `time.time()`, `time.monotonic()` and the like tell
    this clock's time too (bool); None: if `time` is patched. The functions of `greenio.time` always do.
    `time.perf_counter()` keeps real time.

    Only one clock can be active at a time: entering another one raises RuntimeError. No method switches.
    """

    def __init__(self, *, autojump_threshold: float | None = None, patch_time: bool | None = None) -> None:
        self.autojump_threshold = autojump_threshold
        self.patch_time = patch_time
        self._replaced: list[tuple[Any, str, Callable[[], Any], Callable[[], Any]]] = []
        self._everywhere = False  # whether all modules use this clock, or only greenio's
        self._last_told = 0  # the time that was told last
        self._looks = 0  # how often this time was told

    @property
    def autojump_threshold(self) -> float | None:
        """For how many seconds of real time nothing must happen before a jump (float); None: see the class."""
        return self._threshold

    @autojump_threshold.setter
    def autojump_threshold(self, seconds: float | None) -> None:
        if seconds is not None and (not isinstance(seconds, (int, float)) or isnan(seconds) or seconds < 0):
            raise ValueError(f"autojump_threshold must be a number of seconds, 0 or more, or None, not {seconds!r}")
        self._threshold = seconds

    def __enter__(self) -> Self:
        global _active
        if _active is not None:
            raise RuntimeError(f"{_active!r} is active already: only one clock can be active at a time")
        _active = self
        try:
            self._workers = Workers({thread for thread, *_ in loops()})
            self._wall = time.time_ns()
            self._ahead = timers.clock_ahead()
            self._start = timers.monotonic_ns()
            self._replace()
            set_sleep_length(self._before_sleep)
            timers.stop_clock()
            wake_other_loops()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self):
        global _active
        if _active is self:
            _active = None
            timers.resume_clock()
            set_sleep_length(None)
            for module, name, fake, real in self._replaced:
                if module.__dict__.get(name) is fake:
                    setattr(module, name, real)
            self._replaced.clear()
            wake_other_loops()

    def __repr__(self) -> str:
        state = "active" if _active is self else "not active"
        return f"<{type(self).__name__} at {id(self):#x} {state}>"

    # --- the time ---

    def monotonic(self) -> float:
        """Return the clock's time in seconds (float). It goes on from time.monotonic() at the beginning."""
        return self._monotonic_ns() / 1e9

    def time(self) -> float:
        """Return the clock's time in seconds since 1970 (float). It goes on from time.time() at the beginning."""
        return self._time_ns() / 1e9

    def jump(self, seconds: float) -> None:
        """Move the time on by `seconds` (float). Timers that are due then fire when the greenlet waits next.

        Does not switch. Raises ValueError for a negative number, OverflowError for a number that is too large, and
        RuntimeError if the clock is not active.
        """
        if _active is not self:
            raise RuntimeError(f"{self!r} is not active: it cannot jump")
        if not seconds >= 0 or seconds == inf:
            raise ValueError(f"time goes forward: jump() takes a number of seconds, 0 or more, not {seconds!r}")
        if seconds >= FARTHEST / 1e9 or seconds * 1e9 + timers.monotonic_ns() >= FARTHEST:
            raise OverflowError(f"the clock cannot jump so far: {seconds!r} seconds")
        timers.move_clock(timers.monotonic_ns() + round(seconds * 1e9))
        wake_other_loops()

    def _monotonic_ns(self):
        return timers.monotonic_ns() - self._ahead if _active is self else _real_ns()

    def _time_ns(self):
        return self._wall + timers.monotonic_ns() - self._start if _active is self else _real_time_ns()

    def _count_look(self):
        """Note that the time is told. Move it on a little if the same time was told very often."""
        now = timers.monotonic_ns()
        if now != self._last_told:
            self._last_told, self._looks = now, 0
        elif self._looks < LOOKS:
            self._looks += 1
        else:
            self._last_told = now + TICK
            timers.move_clock(self._last_told)
            wake_other_loops()

    def _replace(self):
        """Replace the functions of `time`, also in modules that have imported them by name."""
        everywhere = self.patch_time
        if everywhere is None:
            everywhere = "sleep" in saved.get("time", ())
        self._everywhere = bool(everywhere)
        ours, theirs = {}, {}
        for real, our, their in _FAKES:
            for each in (real, getattr(time, real.__name__)):  # another library may have replaced it
                ours[id(each)] = each, our
                theirs[id(each)] = each, their
        for name, module in list(sys.modules.items()):
            top = name.partition(".")[0]
            fakes = theirs
            if top == "greenio":
                fakes = ours
                if name.startswith("greenio._testing"):
                    continue
            elif not everywhere or top in _REAL:
                continue
            try:
                # Not vars(): lazy modules would load something.
                names = object.__getattribute__(module, "__dict__")
            except AttributeError:
                continue  # an object in place of a module, which has no Python functions
            for attribute, value in list(names.items()):
                if id(value) in fakes:
                    real, fake = fakes[id(value)]
                    setattr(module, attribute, fake)
                    self._replaced.append((module, attribute, fake, real))

    # --- called by loops ---

    def _before_sleep(self):
        """Called by a loop that has nothing to do. Returns for how many nanoseconds it may sleep."""
        try:
            return self._time_to_sleep()
        except BaseException as error:
            # A signal handler has raised it. As always, such an exception is raised on the main greenlet.
            call_on_main(get_hub(), partial(_throw, error))
            return 0

    def _time_to_sleep(self):
        me = get_native_id()
        quiet = timers.quiet_since()
        states = loops()
        due = _first(states)
        left = LONGEST if due is None else due - timers.monotonic_ns()
        if left <= 0:
            wake_other_loops()
            return 0 if _first(each for each in states if each[0] == me) == due else SHORT
        idle = _asleep(states)
        if self._workers.any_at_work({thread for thread, *_ in states}, idle):
            timers.note_work()
            return min(left, LONGEST)
        # No thread was at work a moment ago. If one has woken a loop before that, the loop's epoll shows it now.
        if _has_events(states):
            timers.note_activity()
            return SHORT
        states = loops()
        if _asleep(states) != idle or timers.quiet_since() != quiet:
            return SHORT
        return self._jump(states, me, _first(states))

    def _jump(self, states, me, due):
        """Jump to the time `due`, or wait until nothing has happened for `autojump_threshold`."""
        threshold = self._threshold
        if threshold is None:
            threshold = UNDER_WAY if any(is_waited_for for *_, is_waited_for in states) else 0
        early = threshold * 1e9 - (_real_ns() - timers.quiet_since())
        if early > 0:
            return int(min(early, LONGEST))
        if due is None:
            return LONGEST
        timers.move_clock(due)
        if any(thread != me and first == due for thread, _, _, first, _ in states):
            wake_other_loops()
        return 0

    def after_fork_in_child(self) -> None:
        """Go on in a forked child, which has its own time from now on."""
        self._workers.forget()


def _throw(error):
    raise error


def _fake(real, method, always):
    """Return a replacement for a function of `time`, which tells the active clock's time; without one, real time.

    It works without a clock because a module that is imported while a clock is active may keep it for good. `always`:
    whether it uses a clock that is for greenio's modules only.
    """

    def tell_time():
        clock = _active
        if clock is None or not (always or clock._everywhere):
            return real()
        clock._count_look()
        return method(clock)

    tell_time.__name__ = tell_time.__qualname__ = real.__name__
    return tell_time


# The functions of `time`, with the replacement for greenio's modules and the one for all others.
_FAKES = [
    (real, _fake(real, method, True), _fake(real, method, False))
    for real, method in (
        (time.time, MockClock.time),
        (time.time_ns, MockClock._time_ns),
        (time.monotonic, MockClock.monotonic),
        (time.monotonic_ns, MockClock._monotonic_ns),
    )
]


def _first(states):
    return min((due for _, _, _, due, _ in states if due is not None), default=None)


def _asleep(states):
    """Return the threads whose loops sleep, or are about to sleep."""
    return {thread for thread, asleep, *_ in states if asleep}


def _has_events(states):
    """Whether the epoll of a sleeping loop has events, which will wake the loop."""
    poll = _poll()
    for _, asleep, epoll, _, _ in states:
        if asleep:
            poll.register(epoll, select.POLLIN)
    return bool(poll.poll(0))


def _after_fork_in_child():
    if _active is not None:
        _active.after_fork_in_child()


in_child(_after_fork_in_child)
