"""greenio.testing.MockClock: time jumps to the next deadline, but not while anything is at work."""

import _thread
import os
import signal
import sys
import threading
import time
from math import inf
from textwrap import dedent
from types import ModuleType

import pytest
from hub import LoopExit, Wait, get_hub
from places import CHECKOUT

import greenio
import greenio.os
import greenio.socket
import greenio.time
from greenio import Timeout, sleep, spawn, spawn_later
from greenio.event import AsyncResult, Event
from greenio.lock import Condition, Semaphore
from greenio.queue import Empty, Queue
from greenio.select import select
from greenio.subprocess import TimeoutExpired, run
from greenio.testing import MockClock, nothing_left_behind
from greenio.threadpool import ThreadPool

pytest_plugins = ["pytester"]

HOUR = 3600


@pytest.fixture
def clock():
    with MockClock() as clock:
        yield clock


@pytest.fixture
def passed(clock):
    """A function: how many seconds have passed on the clock since the test began."""
    begin = clock.monotonic()
    return lambda: round(clock.monotonic() - begin, 6)


def test_an_hour_takes_no_time(passed):
    begin = time.perf_counter()
    for _ in range(24):
        sleep(HOUR)
    assert passed() == 24 * HOUR
    assert time.perf_counter() - begin < 30


def test_time_stands_still_while_a_greenlet_computes(clock):
    before = clock.monotonic(), clock.time()
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end:
        sleep(0)
    assert (clock.monotonic(), clock.time()) == before


def test_greenlets_wake_in_the_order_of_their_deadlines(passed):
    woken = []

    def work(seconds):
        sleep(seconds)
        woken.append((seconds, passed()))

    jobs = [spawn(work, seconds) for seconds in (30, 10, 0.5, 20)]
    spawn_later(15, lambda: woken.append(("later", passed())))
    greenio.joinall(jobs)
    assert woken == [(0.5, 0.5), (10, 10), ("later", 15), (20, 20), (30, 30)]


def waits(pair):
    """Waits with a time of 90 seconds: (name, function, its result or the class of its error)."""
    first, _ = pair
    first.settimeout(90)

    def in_condition():
        condition = Condition()
        with condition:
            return condition.wait_for(bool, 90)

    def in_timeout():
        with Timeout(90):
            Event().wait()

    def in_a_line():
        semaphore = Semaphore(0)
        return semaphore.acquire(timeout=90)

    return [
        ("sleep", lambda: sleep(90), None),
        ("greenio.time.sleep", lambda: greenio.time.sleep(90), None),
        ("Timeout", in_timeout, Timeout),
        ("with_timeout", lambda: greenio.with_timeout(90, Event().wait, timeout_value="late"), "late"),
        ("fail_after", lambda: fail_after(90), TimeoutError),
        ("Event.wait", lambda: Event().wait(90), False),
        ("AsyncResult.get", lambda: AsyncResult().get(timeout=90), Timeout),
        ("Queue.get", lambda: Queue().get(timeout=90), Empty),
        ("Semaphore.acquire", in_a_line, False),
        ("Condition.wait_for", in_condition, False),
        ("Wait.park", lambda: Wait().park(timeout=90), TimeoutError),
        ("socket.recv", lambda: first.recv(1), TimeoutError),
        ("select", lambda: select([first], [], [], 90), ([], [], [])),
        ("Greenlet.join", lambda: joined(90), None),
    ]


def fail_after(seconds):
    with greenio.fail_after(seconds):
        Event().wait()


def joined(seconds):
    job = spawn(Event().wait)
    job.join(seconds)
    job.kill()


@pytest.mark.parametrize("number", range(14))
def test_a_wait_ends_at_its_time_by_the_clock(pair, clock, passed, number):
    name, wait, wanted = waits(pair)[number]
    for times in (1, 2):
        if isinstance(wanted, type) and issubclass(wanted, BaseException):
            with pytest.raises(wanted):
                wait()
        else:
            assert wait() == wanted, name
        assert passed() == times * 90, name


def test_timers_keep_their_rhythm(passed):
    times = []
    with get_hub().loop.timer(10, repeat=60) as timer:
        timer.start(lambda: times.append(passed()))
        sleep(200)
    assert times == [10, 70, 130, 190]


def test_ready_greenlets_run_before_a_deadline(passed):
    queue, got = Queue(), []

    def consume():
        while True:
            got.append(queue.get(timeout=1))

    consumer = spawn(consume)
    consumer.reports_errors = False
    for number in range(5):
        queue.put(number)
        sleep(0.9)
    consumer.join()
    assert got == [0, 1, 2, 3, 4] and isinstance(consumer.exception, Empty) and passed() == 4.6


def test_data_in_sockets_come_before_a_deadline(tcp, passed):
    client, server = tcp

    def serve():
        while data := server.recv(100):
            server.sendall(data)

    serving = spawn(serve)
    client.settimeout(5)
    for _ in range(50):
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
    assert passed() == 0
    serving.kill()


def test_time_is_real_while_a_thread_works(clock, passed, threadpool):
    with Timeout(HOUR):
        assert threadpool.apply(lambda: time.sleep(0.05) or "done") == "done"
    assert 0.04 < passed() < 60
    with pytest.raises(Timeout), Timeout(0.01):
        threadpool.apply(time.sleep, (0.05,))
    threadpool.join()


def test_idle_threads_of_pools_do_not_hold_the_clock_up(passed):
    pool = ThreadPool(2, idle_task_timeout=60)
    for _ in range(3):
        pool.map(time.sleep, [0, 0.001])
        before = passed()
        sleep(HOUR)
        assert passed() - before == pytest.approx(HOUR)
    assert pool.size == 2
    pool.kill()
    greenio.socket.getaddrinfo("localhost", 80)
    before = passed()
    sleep(HOUR)
    assert passed() - before == pytest.approx(HOUR)


def test_time_does_not_jump_while_a_thread_gets_a_task(clock, passed):
    clock.autojump_threshold = 0
    pool = ThreadPool(1)
    for _ in range(200):
        assert pool.spawn(int).get(timeout=60) == 0
    assert passed() < 60
    pool.kill()


def test_time_does_not_jump_before_a_threads_answer(clock, passed):
    """A native thread waits for a lock, and then sends through a socket."""
    clock.autojump_threshold = 0
    ours, theirs = greenio.socket.socketpair()
    asked = _thread.allocate_lock()
    asked.acquire()

    def answer():
        for _ in range(100):
            asked.acquire()
            os.write(theirs.fileno(), b"x")

    thread = threading.Thread(target=answer)
    thread.start()
    with ours, theirs:
        ours.settimeout(60)
        for _ in range(100):
            asked.release()
            assert ours.recv(1) == b"x"
        assert passed() < 60
    thread.join()


def test_signal_handlers_run_on_the_main_greenlet_and_may_wait(clock, passed):
    """Also while another greenlet runs the loop."""
    ran, main = [], greenio.getcurrent()

    def handle(number, frame):
        ran.append(greenio.getcurrent() is main)
        sleep(10)
        ran.append("waited")
        raise ZeroDivisionError

    before = signal.signal(signal.SIGUSR2, handle)
    try:
        other = spawn(Event().wait)
        sleep(0)
        thread = threading.Thread(target=lambda: (time.sleep(0.02), os.kill(os.getpid(), signal.SIGUSR2)))
        thread.start()
        with pytest.raises(ZeroDivisionError):
            Event().wait(HOUR)
        assert ran == [True, "waited"] and 10 <= passed() < 60
        thread.join()
        other.kill()
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_an_error_of_a_signal_handler_in_the_clocks_code_goes_to_the_main_greenlet(clock, monkeypatch):
    def fail():
        monkeypatch.undo()
        raise ZeroDivisionError

    other = spawn(sleep, HOUR)
    sleep(0)
    spawn(monkeypatch.setattr, clock, "_time_to_sleep", fail)
    with pytest.raises(ZeroDivisionError):
        Event().wait(HOUR)
    other.kill()


def test_time_is_real_while_a_native_thread_computes(clock, passed):
    event = Event()

    def compute():
        end = time.perf_counter() + 0.03
        while time.perf_counter() < end:
            pass
        event.set()

    thread = threading.Thread(target=compute)
    thread.start()
    assert event.wait(HOUR)
    assert passed() < 60
    thread.join()


def test_a_thread_that_waits_for_us_does_not_hold_the_clock_up(clock, passed):
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    sleep(HOUR)
    assert HOUR <= passed() < HOUR + 60
    release.set()
    thread.join()


def test_time_is_real_while_a_child_runs(passed):
    run(["sleep", "0.05"], timeout=HOUR, check=True)
    assert passed() < 60
    with pytest.raises(TimeoutExpired):
        run(["sleep", "100"], timeout=0.05, check=True)
    sleep(HOUR)
    assert passed() >= HOUR


def start_thread(function):
    """Start a thread. Returns a function that waits for its end and lets other greenlets run."""
    end = Event()

    def call():
        try:
            function()
        finally:
            end.set()

    thread = threading.Thread(target=call)
    thread.start()

    def join():
        end.wait()
        thread.join()

    return join


def test_threads_with_hubs_go_by_one_clock(clock, passed):
    woken = []

    def work(name, seconds):
        for _ in range(3):
            sleep(seconds)
            woken.append((name, round(passed(), -1)))

    def main():
        greenio.joinall([spawn(work, "thread", 100), spawn(work, "other", 70)])

    clock.autojump_threshold = inf
    begun = Event()
    jobs = [spawn(work, "main", 90)]
    join = start_thread(lambda: (spawn(begun.set), main()))
    begun.wait()
    clock.autojump_threshold = None
    greenio.joinall(jobs)
    join()
    assert woken == [
        ("other", 70), ("main", 90), ("thread", 100), ("other", 140), ("main", 180), ("thread", 200), ("other", 210),
        ("main", 270), ("thread", 300),
    ]  # fmt: skip


def test_an_item_of_another_thread_comes_before_a_deadline(passed):
    queue = Queue()

    def produce():
        sleep(10)
        queue.put("late")

    join = start_thread(produce)
    assert queue.get(timeout=11) == "late" and 10 <= passed() < 11
    join()


def test_time_is_moved_by_hand(clock, passed):
    clock.autojump_threshold = inf
    job = spawn(sleep, 100)
    sleep(0)
    clock.jump(99)
    let_the_loop_poll()
    assert not job.ready() and passed() == 99
    clock.jump(1)
    job.join()
    assert passed() == 100
    for wrong in (-1, float("nan"), inf):
        with pytest.raises(ValueError, match="time goes forward"):
            clock.jump(wrong)


def let_the_loop_poll():
    """Let the loop poll for I/O and timers many times."""
    for _ in range(300):
        sleep(0)


def test_time_jumps_after_the_threshold(clock, passed):
    clock.autojump_threshold = 0.03
    begin = time.perf_counter()
    sleep(HOUR)
    assert time.perf_counter() - begin >= 0.03 and passed() == HOUR
    for wrong in (-1, float("nan"), "soon"):
        with pytest.raises(ValueError, match="autojump_threshold must be a number of seconds"):
            clock.autojump_threshold = wrong


@pytest.mark.parametrize("seconds", [1e10, 1e300, 2**70, 10**400])
def test_jumps_that_are_too_far_are_refused(clock, passed, seconds):
    with pytest.raises(OverflowError, match="cannot jump so far"):
        clock.jump(seconds)
    sleep(1)
    assert passed() == 1


def test_a_loop_that_waits_until_a_deadline_has_passed_ends():
    """For the standard library, a deadline has not passed at its exact time: its loops wait until it is later."""
    with MockClock(patch_time=True):
        deadline = time.monotonic() + 0.001
        rounds = 0
        while (left := deadline - time.monotonic()) >= 0:
            select([], [], [], left)
            rounds += 1
        assert 0 < rounds < 1000


def test_a_module_that_is_imported_meanwhile_has_the_time_of_each_clock(monkeypatch):
    module = ModuleType("imported_meanwhile")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with MockClock(patch_time=True):
        exec("from time import monotonic", module.__dict__)
    assert module.monotonic() == pytest.approx(time.monotonic(), abs=60)
    with MockClock(patch_time=True):
        begin = module.monotonic()
        sleep(HOUR)
        assert round(module.monotonic() - begin) == HOUR
    with MockClock(patch_time=False):
        begin = module.monotonic()
        sleep(HOUR)
        assert module.monotonic() - begin < HOUR


def test_one_clock_is_active_at_a_time(clock):
    with pytest.raises(RuntimeError, match="<MockClock at .* active> is active already"):
        with MockClock():
            pass
    sleep(HOUR)
    assert "not active" in repr(MockClock())
    with pytest.raises(RuntimeError, match="is not active: it cannot jump"):
        MockClock().jump(1)


def test_time_goes_on_after_a_clock_from_where_it_was():
    with pytest.raises(ZeroDivisionError), MockClock():
        job = spawn(sleep, HOUR)
        late = spawn(sleep, HOUR + 0.01)
        job.join()
        1 / 0  # noqa: B018
    late.join()
    before = time.monotonic()
    assert before - 0.1 <= get_hub().loop.now() <= before
    sleep(0.001)
    assert time.monotonic() - before < 30
    with MockClock() as again:
        assert abs(again.monotonic() - time.monotonic()) < 30
        assert abs(again.time() - time.time()) < 30


def test_the_time_of_greenio_is_the_clocks(clock):
    names = ("time", "monotonic", "time_ns", "monotonic_ns")
    before = [getattr(greenio.time, name)() for name in names]
    sleep(HOUR)
    after = [getattr(greenio.time, name)() for name in names]
    wanted = [HOUR, HOUR, HOUR * 10**9, HOUR * 10**9]
    assert [round(late - early, 3) for early, late in zip(before, after, strict=True)] == wanted
    assert time.time() < before[0] + HOUR / 2


def test_modules_have_the_monotonic_time_by_name():
    """A clock replaces the name `monotonic` in greenio's modules, and not the one in `time`."""
    for path in (CHECKOUT / "greenio").rglob("*.py*"):
        if path.suffix in (".py", ".pyx") and path.parent.name != "_testing":
            assert "time.monotonic()" not in path.read_text(), f"{path} must say: from time import monotonic"


def test_the_time_module_is_restored_after_a_clock():
    functions = time.time, time.monotonic, time.time_ns, time.monotonic_ns
    with MockClock(patch_time=True) as clock:
        begin = time.monotonic()
        sleep(HOUR)
        assert time.monotonic() - begin == pytest.approx(HOUR) and time.time() == clock.time()
    assert functions == (time.time, time.monotonic, time.time_ns, time.monotonic_ns)
    assert greenio.time.monotonic is time.monotonic


def test_a_forked_child_has_a_time_of_its_own(passed):
    pid = os.fork()
    if pid == 0:
        try:
            sleep(HOUR)
            os._exit(7 if passed() == HOUR else 8)
        except BaseException:
            os._exit(9)
    assert os.waitstatus_to_exitcode(greenio.os.waitpid(pid, 0)[1]) == 7
    assert passed() < HOUR


def test_a_wait_without_a_deadline_still_ends_with_loop_exit(clock):
    with pytest.raises(LoopExit):
        Event().wait()


PATCHED = """
from greenio import monkey
monkey.patch_all()
import concurrent.futures, multiprocessing, queue, sched, threading, time
from time import monotonic as bound
import greenio
from greenio.testing import MockClock

def timed(function, *args, **kwargs):
    begin = time.monotonic(), bound(), time.time()
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        result = type(error).__name__
    print(result, *(round(end - start) for start, end in zip(begin, (time.monotonic(), bound(), time.time()))))

def wait_for():
    condition = threading.Condition()
    with condition:
        return condition.wait_for(bool, 3600)

def schedule():
    scheduler = sched.scheduler(time.monotonic, time.sleep)
    scheduler.enter(3600, 1, int)
    scheduler.run()

def thread():
    threads = [threading.Thread(target=time.sleep, args=(3600,)) for _ in range(10)]
    for each in threads: each.start()
    for each in threads: each.join()

def as_completed():
    return [*concurrent.futures.as_completed([concurrent.futures.Future()], 3600)]

def poll():
    ours, theirs = multiprocessing.Pipe()
    return ours.poll(0), ours.poll(3600)

real = time.perf_counter()
with MockClock():
    timed(as_completed)
    timed(poll)
    timed(time.sleep, 3600)
    timed(queue.Queue().get, timeout=3600)
    timed(wait_for)
    timed(threading.Event().wait, 3600)
    timed(schedule)
    timed(thread)
print(time.perf_counter() - real < 60, time.time.__module__)
"""


def test_patched_programs_go_by_the_clock(tmp_path):
    from subprocess import run as run_native

    path = tmp_path / "program.py"
    path.write_text(PATCHED)
    result = run_native([sys.executable, path], capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert (result.stdout, result.stderr) == (
        "TimeoutError 3600 3600 3600\n(False, False) 3600 3600 3600\n"
        "None 3600 3600 3600\nEmpty 3600 3600 3600\nFalse 3600 3600 3600\nFalse 3600 3600 3600\nNone 3600 3600 3600\n"
        "None 3600 3600 3600\nTrue time\n",
        "",
    )


def test_the_fixture_works_and_a_forgotten_clock_is_an_error(pytester):
    pytester.makepyfile(
        dedent("""
        import unittest
        import pytest
        from greenio import sleep
        from greenio.testing import MockClock

        def test_fixture(greenio_clock):
            begin = greenio_clock.monotonic()
            sleep(3600)
            assert greenio_clock.monotonic() - begin == pytest.approx(3600)

        def test_fails(greenio_clock):
            sleep(3600)
            assert False

        class TestCase(unittest.TestCase):
            def test_case(self):
                with MockClock():
                    sleep(3600)

        def test_forgets():
            MockClock().__enter__()

        def test_next(greenio_clock):
            sleep(3600)
        """)
    )
    plugins = ("-p", "pytest_greenio", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(*plugins, "--greenio-leaks", timeout=60)
    result.assert_outcomes(passed=4, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_forgets*", "a clock is still active: <MockClock*"])


def test_a_clock_leaves_nothing_behind():
    with nothing_left_behind(), MockClock():
        sleep(HOUR)
