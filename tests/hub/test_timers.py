"""Time: nothing happens early, timers fire in the order of their times, and more exactly than by the millisecond."""

import os
import platform
import random
import signal
import threading
import time

import hub.loop
import pytest
from waiting import let_others_run, until

import greenio
from greenio import Timeout, get_hub, select, sleep, spawn, spawn_later
from greenio.event import Event
from greenio.socket import socketpair

#: Seconds that are no whole number of milliseconds. The last is longer than the kernel is asked to sleep at once.
SHORT = [0.0001, 0.00037, 0.0011, 0.0025, 0.0308]
KERNEL = tuple(int("".join(filter(str.isdigit, part))) for part in platform.release().split(".")[:2])


def by_sleep(seconds):
    sleep(seconds)


def by_timeout(seconds):
    with pytest.raises(Timeout), Timeout(seconds):
        sleep(60)


def by_event(seconds):
    assert not Event().wait(seconds)


def by_event_in_a_thread(seconds):
    """Wait in a thread that has no hub."""
    thread = threading.Thread(target=by_event, args=(seconds,))
    thread.start()
    thread.join()


def by_settimeout(seconds):
    ours, theirs = socketpair()
    with ours, theirs:
        ours.settimeout(seconds)
        with pytest.raises(TimeoutError):
            ours.recv(1)


def by_select(seconds):
    reader, writer = os.pipe()
    try:
        assert select.select([reader], [], [], seconds) == ([], [], [])
    finally:
        os.close(reader)
        os.close(writer)


def by_spawn_later(seconds):
    spawn_later(seconds, int).join()


def by_joining(seconds):
    sleeper = spawn(sleep, 60)
    sleeper.join(seconds)
    assert not sleeper.dead
    sleeper.kill()


def by_timer(seconds):
    fired = Event()
    with get_hub().loop.timer(seconds) as timer:
        timer.start(fired.set)
        fired.wait()


WAYS = [
    by_sleep, by_timeout, by_event, by_event_in_a_thread, by_settimeout, by_select, by_spawn_later, by_joining,
    by_timer,
]  # fmt: skip


@pytest.mark.parametrize("wait", WAYS)
def test_no_wait_ends_early_by_the_clock(wait):
    for seconds in SHORT:
        begun = time.monotonic()
        wait(seconds)
        assert time.monotonic() - begun >= seconds


@pytest.mark.skipif(
    not hub.loop.LIBUV_VERSION.startswith("1.13.") or KERNEL < (5, 11),
    reason="the libuv of the system, and kernels before 5.11, count milliseconds",
)
@pytest.mark.parametrize("wait", [by_sleep, by_timeout, by_settimeout, by_timer])
def test_waits_are_shorter_than_a_millisecond(wait):
    def once():
        begun = time.monotonic()
        wait(0.0001)
        return time.monotonic() - begun

    # A busy machine makes some of them late.
    assert min(once() for _ in range(100)) < 0.0009


@pytest.mark.parametrize("error", ["ENOSYS", "EPERM"])
def test_waits_end_by_the_millisecond_without_epoll_pwait2(run_script, error):
    assert run_script("sleep_in_milliseconds.py", error) == "ended, none early\n"


class Due:
    """Starts timers, and keeps for each the earliest and the latest time at which it is due."""

    def __init__(self):
        self.due, self.fired, self.timers = {}, [], {}

    def start(self, name, seconds):
        timer = self.timers.get(name) or self.timers.setdefault(name, get_hub().loop.timer(seconds))
        begun = time.monotonic()
        timer.start(self.fire, name)
        self.due[name] = begun + seconds, time.monotonic() + seconds

    def fire(self, name):
        assert time.monotonic() >= self.due[name][0]
        self.fired.append(name)

    def check(self, expected):
        assert sorted(self.fired) == sorted(expected)
        latest = 0.0
        for name in self.fired:
            earliest_due, latest_due = self.due[name]
            assert latest_due >= latest
            latest = max(latest, earliest_due)
        for timer in self.timers.values():
            timer.close()


def test_timers_fire_in_the_order_in_which_they_are_due():
    numbers, due = random.Random(1), Due()
    seconds = [numbers.random() / 50 for _ in range(3000)]
    for name, each in enumerate(seconds):
        due.start(name, each)
    stopped = set(numbers.sample(range(3000), 1000))
    for name in stopped:
        due.timers[name].stop()
    again = set(numbers.sample(sorted(stopped), 300))
    for name in again:
        due.start(name, seconds[name])
    left = {name for name in range(3000) if name not in stopped or name in again}
    until(lambda: len(due.fired) >= len(left))
    sleep(0.02)
    due.check(left)


def test_sleeps_that_are_due_at_once_end_in_the_order_of_their_begin():
    order = []

    def sleeper(number, until):
        # The time has passed already, so that every sleep is due at once.
        sleep(max(until - time.monotonic(), 1e-9))
        order.append(number)

    until = time.monotonic() + 0.002
    time.sleep(0.003)
    greenio.joinall([spawn(sleeper, number, until) for number in range(50)])
    assert order == list(range(50))


def test_thousands_of_sleeps_all_end_and_none_early():
    """There are so many timers that the loop serves them in batches: all of them end, some late, none early."""
    numbers = random.Random(2)

    def sleeper(seconds):
        begun = time.monotonic()
        sleep(seconds)
        return time.monotonic() - begun - seconds

    jobs = [spawn(sleeper, numbers.random() / 20) for _ in range(4000)]
    greenio.joinall(jobs)
    assert min(job.get() for job in jobs) >= 0


def test_a_repeated_timer_keeps_its_rhythm():
    times, done = [], Event()
    begun = time.monotonic()

    def beat():
        times.append(time.monotonic())
        if len(times) == 2:
            time.sleep(0.01)  # misses beats
        if len(times) == 20:
            timer.stop()
            done.set()

    with get_hub().loop.timer(0.0015, 0.0007) as timer:
        timer.start(beat)
        with Timeout(30):
            done.wait()
    for number, at in enumerate(times):
        assert at >= begun + 0.0015 + number * 0.0007
    assert times[2] >= times[1] + 0.01  # the missed beats are not made up for


def test_a_timer_keeps_the_loop_alive_while_it_runs():
    loop = get_hub().loop
    before = loop.activecnt
    with loop.timer(60) as timer, loop.timer(60, ref=False) as other:
        assert timer.ref and not other.ref and loop.activecnt == before
        timer.start(int)
        other.start(int)
        assert loop.activecnt == before + 1
        timer.start(int)  # once more
        assert loop.activecnt == before + 1
        timer.ref, other.ref = False, True
        assert not timer.ref and other.ref and loop.activecnt == before + 1
        timer.ref = True
        assert loop.activecnt == before + 2
        timer.stop()
        assert loop.activecnt == before + 1 and not timer.active and other.active
        timer.start(int)
    assert loop.activecnt == before  # closed while they ran
    fired = Event()
    with loop.timer(0.0001) as timer:
        timer.start(fired.set)
        assert loop.activecnt == before + 1
        fired.wait()
        assert loop.activecnt == before


def test_the_loops_time_is_the_monotonic_clocks():
    loop = get_hub().loop
    loop.update_now()
    assert 0 <= time.monotonic() - loop.now() < 30
    begun = loop.now()
    sleep(0.0123)
    assert loop.now() - begun >= 0.0123


def test_running_timers_end_with_their_hub():
    ends = []

    def run():
        timer = get_hub().loop.timer(60, 60)
        timer.start(int)
        spawn(sleep, 60)
        spawn_later(60, int)
        sleep(0.0001)
        get_hub().destroy()
        ends.append((timer.active, timer.ref))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ends == [(False, False)]


def test_a_forked_child_has_timers_of_its_own():
    timer = get_hub().loop.timer(0.0001, 0.0001)
    timer.start(int)
    sleeper = spawn(sleep, 60)
    sleep(0.001)
    child = greenio.fork()
    if child == 0:
        try:
            begun = time.monotonic()
            greenio.joinall([spawn(sleep, 0.0002 * number) for number in range(200)])
            os._exit(0 if time.monotonic() - begun >= 0.0398 and not timer.active else 1)
        finally:
            os._exit(2)
    timer.close()
    sleeper.kill()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_signals_do_not_end_a_sleep_early():
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
        test_no_wait_ends_early_by_the_clock(by_sleep)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen


@pytest.mark.parametrize("again", [False, True])
def test_a_timer_that_is_restarted_while_pending_fires_once(again):
    calls, pending = [], []
    loop = get_hub().loop

    def start_again():
        pending.append(timer.pending)
        (timer.again if again else timer.start)(calls.append, "second")

    with loop.timer(0.001) as other, loop.timer(0.002) as timer:
        other.start(start_again)
        timer.start(calls.append, "first")
        end = time.monotonic() + 0.005
        while time.monotonic() < end:
            pass  # so that both timers are due in the same turn
        until(lambda: calls)
        let_others_run()
        assert pending == [True] and calls == ["second"]
        assert not timer.pending
