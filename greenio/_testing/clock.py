"""A clock for tests, which jumps to the next deadline when nothing is left to do before it.

Theory
    While a MockClock is active the hubs' clock (`hub.timers`) stands still. A loop that would sleep until its first
    timer asks the MockClock what to do, see `hub.standing`. If no loop, thread or child process has anything to do, the
    MockClock moves the time on to the first timer of all loops. Else the loop sleeps for real.

    The time that a thread or a child takes is real, and so the clock goes as real time does while one is at work. It
    never stands still for ever: a Timeout around a call in a thread comes in time.

    A thread has nothing to do if it sleeps in its loop, or waits in the system for a lock without a timeout: only
    somebody else can wake it. The system knows that, whatever the thread waits for. Threads that were there before, and
    did something else, do not count: a debugger's, or those of pytest-xdist.

    For data that may be under way between sockets the clock waits a little, `autojump_threshold`, in real time.

    Some loops end when a deadline has passed, and not when it is there: concurrent.futures.as_completed() for one. Who
    asks for the time again and again meanwhile, and does not wait, is given a time that goes on.

What does not belong here: fixtures. Timers are compiled, in `hub`.
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
from hub.loop import loops, set_sleep_by, wake_other_loops
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

LONGEST = 50_000_000  # nanoseconds of a real sleep, after which everything is looked at again
SHORT = 1_000_000  # nanoseconds of one while another thread comes to its turn
UNDER_WAY = 0.01  # seconds to wait for data, unless told otherwise
LOOKS = 1000  # how often the time is told before it goes on
TICK = 1000  # nanoseconds by which it does so then, each time
FARTHEST = 2**63  # nanoseconds: where the time cannot go, so that sums stay within 64 bits

# Modules that go by real time even in patched programs.
_REAL = ("_pytest", "coverage", "execnet", "hub", "hypothesis", "pluggy", "pytest", "pytest_timeout", "xdist")

_real_ns = time.monotonic_ns
_real_time_ns = time.time_ns
_poll = original("select", "poll")

_active: MockClock | None = None


def active_clock() -> MockClock | None:
    """The clock that is active, or None."""
    return _active


class MockClock:
    """``with MockClock() as clock: ...``: inside, time stands still, and jumps when everything waits.

    As soon as every greenlet waits, and neither a thread nor a child process is at work, the time is that of the next
    deadline: an hour's sleep or timeout takes no time. While a greenlet computes, no time passes. While threads or
    child processes work, time goes as it really does. All hubs go by it: sleeps, timeouts of any kind, timers.

    `autojump_threshold` (seconds of real time, float; assignable): for how long nothing must happen before a jump. None
    means 0 or, while somebody waits for a descriptor, 0.01, as data may be under way. inf: the clock never jumps by
    itself. `patch_time`: whether `time.time()`, `time.monotonic()` and their likes tell this clock's time, too; None:
    if `time` is patched. Those of `greenio.time` always do. `time.perf_counter()` stays what it is.

    One clock can be active at a time, or a RuntimeError is raised. None of its methods switches.
    """

    def __init__(self, *, autojump_threshold: float | None = None, patch_time: bool | None = None) -> None:
        self.autojump_threshold = autojump_threshold
        self.patch_time = patch_time
        self._replaced: list[tuple[Any, str, Callable[[], Any], Callable[[], Any]]] = []
        self._everywhere = False  # whether all modules go by this clock, or greenio's only
        self._told = 0  # the time that was told last
        self._looks = 0  # how often since it is that time

    @property
    def autojump_threshold(self) -> float | None:
        """For how many seconds of real time nothing must happen before a jump; None: see the class."""
        return self._threshold

    @autojump_threshold.setter
    def autojump_threshold(self, seconds: float | None) -> None:
        if seconds is not None and (not isinstance(seconds, (int, float)) or isnan(seconds) or seconds < 0):
            raise ValueError(f"autojump_threshold is a number of seconds, 0 or more, or None, and not {seconds!r}")
        self._threshold = seconds

    def __enter__(self) -> Self:
        global _active
        if _active is not None:
            raise RuntimeError(f"{_active!r} is active already: there can be one clock at a time")
        _active = self
        try:
            self._workers = Workers({thread for thread, *_ in loops()})
            self._wall = time.time_ns()
            self._ahead = timers.clock_ahead()
            self._start = timers.monotonic_ns()
            self._replace()
            set_sleep_by(self._before)
            timers.stand_still()
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
            timers.go_on()
            set_sleep_by(None)
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
        """The clock's time in seconds (float), going on from time.monotonic()'s when it was entered."""
        return self._monotonic_ns() / 1e9

    def time(self) -> float:
        """The clock's time in seconds since the epoch (float), going on from time.time()'s when it was entered."""
        return self._time_ns() / 1e9

    def jump(self, seconds: float) -> None:
        """Move the time on by `seconds` (float). What is due then comes when the greenlet waits. Does not switch.

        Raises ValueError for a negative number, and RuntimeError if the clock is not active.
        """
        if _active is not self:
            raise RuntimeError(f"{self!r} is not active: it cannot jump")
        if not seconds >= 0 or seconds == inf:
            raise ValueError(f"time goes forward: jump() takes a number of seconds, 0 or more, not {seconds!r}")
        if seconds >= FARTHEST / 1e9 or seconds * 1e9 + timers.monotonic_ns() >= FARTHEST:
            raise OverflowError(f"the clock cannot jump so far: {seconds!r} seconds")
        timers.move_to(timers.monotonic_ns() + round(seconds * 1e9))
        wake_other_loops()

    def _monotonic_ns(self):
        return timers.monotonic_ns() - self._ahead if _active is self else _real_ns()

    def _time_ns(self):
        return self._wall + timers.monotonic_ns() - self._start if _active is self else _real_time_ns()

    def _let_pass(self):
        """Somebody is told the time. It goes on a little if it was the same very often."""
        now = timers.monotonic_ns()
        if now != self._told:
            self._told, self._looks = now, 0
        elif self._looks < LOOKS:
            self._looks += 1
        else:
            self._told = now + TICK
            timers.move_to(self._told)
            wake_other_loops()

    def _replace(self):
        """Have the functions of `time` tell this clock's time, in modules that have taken them by name, too."""
        everywhere = self.patch_time
        if everywhere is None:
            everywhere = "sleep" in saved.get("time", ())
        self._everywhere = bool(everywhere)
        ours, theirs = {}, {}
        for real, our, their in _FAKES:
            for each in (real, getattr(time, real.__name__)):  # somebody else may have replaced it
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
                # Not vars(): some modules load something when they are asked.
                names = object.__getattribute__(module, "__dict__")
            except AttributeError:
                continue  # what stands for a module there: it has no Python functions
            for attribute, value in list(names.items()):
                if id(value) in fakes:
                    real, fake = fakes[id(value)]
                    setattr(module, attribute, fake)
                    self._replaced.append((module, attribute, fake, real))

    # --- what loops ask ---

    def _before(self):
        """A loop of this thread would sleep, and has nothing to do; for how many nanoseconds it may."""
        try:
            return self._sleep()
        except BaseException as error:
            # It is a signal handler's, and the main greenlet's, as always.
            call_on_main(get_hub(), partial(_throw, error))
            return 0

    def _sleep(self):
        me = get_native_id()
        quiet = timers.quiet_since()
        states = loops()
        due = _first(states)
        left = LONGEST if due is None else due - timers.monotonic_ns()
        if left <= 0:
            wake_other_loops()
            return 0 if _first(each for each in states if each[0] == me) == due else SHORT
        idle = _asleep(states)
        if self._workers.are_there({thread for thread, *_ in states}, idle):
            timers.somebody_works()
            return min(left, LONGEST)
        # Nobody was at work a moment ago. What anybody has done before that, loops have been told of.
        if _has_something(states):
            timers.something_happens()
            return SHORT
        states = loops()
        if _asleep(states) != idle or timers.quiet_since() != quiet:
            return SHORT
        return self._jump(states, me, _first(states))

    def _jump(self, states, me, due):
        """Nobody has anything to do before the time `due`: be there, unless it is too early to say that."""
        threshold = self._threshold
        if threshold is None:
            threshold = UNDER_WAY if any(is_waited_for for *_, is_waited_for in states) else 0
        early = threshold * 1e9 - (_real_ns() - timers.quiet_since())
        if early > 0:
            return int(min(early, LONGEST))
        if due is None:
            return LONGEST
        timers.move_to(due)
        if any(thread != me and first == due for thread, _, _, first, _ in states):
            wake_other_loops()
        return 0

    def after_fork_in_child(self) -> None:
        """The child has its own time from now on. It jumps there as it does here."""
        self._workers.forget()


def _throw(error):
    raise error


def _fake(real, method, always):
    """What tells the active clock's time, in place of one of `time`'s functions, and real time without a clock.

    A module that is imported while a clock is active may take it by name, and keep it for good. `always`: also by a
    clock that is for greenio only.
    """

    def tell():
        clock = _active
        if clock is None or not (always or clock._everywhere):
            return real()
        clock._let_pass()
        return method(clock)

    tell.__name__ = tell.__qualname__ = real.__name__
    return tell


# time's functions, and what replaces each in greenio's modules, and elsewhere.
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
    """The threads whose loops sleep, or are about to."""
    return {thread for thread, asleep, *_ in states if asleep}


def _has_something(states):
    """Whether a loop that sleeps has something to do, and only has to come to its turn."""
    poll = _poll()
    for _, asleep, epoll, _, _ in states:
        if asleep:
            poll.register(epoll, select.POLLIN)
    return bool(poll.poll(0))


def _after_fork_in_child():
    if _active is not None:
        _active.after_fork_in_child()


in_child(_after_fork_in_child)
