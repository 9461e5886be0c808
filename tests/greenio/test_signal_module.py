"""greenio.signal: waiting for signals while other greenlets go on."""

import os
import signal as standard
import sys
import threading
import time

import pytest
from processes import signal_from_child
from waiting import let_others_run, until, until_waiting

import greenio
from greenio import Timeout, get_hub, signal, sleep, spawn

ONE, TWO = standard.SIGUSR1, standard.SIGUSR2
BOTH = {ONE, TWO}


@pytest.fixture
def handled():
    """A list of the signals that a handler was called for."""
    seen = []
    before = {number: standard.signal(number, lambda number, frame: seen.append(number)) for number in BOTH}
    yield seen
    for number, handler in before.items():
        standard.signal(number, handler)


def takes_signals(task):
    """Return whether a thread takes signals. The thread of pycares has blocked all of them."""
    try:
        with open(f"/proc/self/task/{task}/status") as status:
            blocked = next(int(line.split()[1], 16) for line in status if line.startswith("SigBlk"))
    except FileNotFoundError:
        return False  # the thread has ended
    return not blocked & 1 << ONE - 1


@pytest.fixture
def blocked():
    """Block signals in the main thread, which is the only one that could take them. Only calls that wait get them."""
    get_hub().threadpool.kill()
    until(lambda: sum(map(takes_signals, os.listdir("/proc/self/task"))) == 1)
    standard.pthread_sigmask(standard.SIG_BLOCK, BOTH)
    yield
    while standard.sigtimedwait(BOTH, 0) is not None:
        pass
    standard.pthread_sigmask(standard.SIG_UNBLOCK, BOTH)


def send(number):
    os.kill(os.getpid(), number)


def test_other_names_are_the_standard_librarys():
    for name in dir(standard):
        if not name.startswith("_") and name not in signal.__all__:
            assert getattr(signal, name) is getattr(standard, name), name


# --- pause --------------------------------------------------------------------------------------------------------


def pausing(count):
    """Spawn greenlets, and wait until they are in pause(): an earlier signal would not count."""
    jobs = [spawn(signal.pause) for _ in range(count)]
    until(lambda: signal._handlers_run.waiting >= count)
    return jobs


def test_pause_returns_after_a_handler_ran(handled, ticks):
    (waiting,) = pausing(1)
    pid = signal_from_child(ONE)
    assert waiting.get(timeout=10) is None
    assert handled == [ONE] and ticks
    os.waitpid(pid, 0)


def test_pause_does_not_count_earlier_signals(handled):
    send(ONE)
    assert handled == [ONE]
    (waiting,) = pausing(1)
    with Timeout(0.12, False):  # longer than between two looks of the hub at the wake-up slot
        waiting.join()
    assert not waiting.ready()
    send(TWO)
    waiting.get(timeout=5)
    assert handled == [ONE, TWO]


def test_a_signal_ends_the_pause_of_all_greenlets(handled):
    *waiting, killed = pausing(4)
    killed.kill()
    pid = signal_from_child(ONE)
    greenio.joinall(waiting, timeout=5, raise_error=True)
    assert handled == [ONE]
    os.waitpid(pid, 0)


def test_an_ignored_signal_does_not_end_a_pause(handled):
    standard.signal(TWO, standard.SIG_IGN)
    (waiting,) = pausing(1)
    send(TWO)
    let_others_run()
    assert not waiting.ready()
    waiting.kill()


def test_pause_leaves_the_users_descriptor_in_its_place(handled):
    read_end, write_end = os.pipe2(os.O_NONBLOCK)
    before = standard.set_wakeup_fd(write_end)
    try:
        (waiting,) = pausing(1)
        pid = signal_from_child(ONE)
        waiting.get(timeout=10)
        os.waitpid(pid, 0)
        assert os.read(read_end, 100) == bytes([ONE])
        send(TWO)
        assert os.read(read_end, 100) == bytes([TWO])
    finally:
        assert standard.set_wakeup_fd(before) == write_end
        os.close(read_end)
        os.close(write_end)


def test_a_forked_child_may_pause_while_its_parent_does(handled):
    (waiting,) = pausing(1)
    child = os.fork()
    if child == 0:
        (own,) = pausing(1)
        signal_from_child(ONE)
        own.join(timeout=10)
        os._exit(7 if own.ready() and handled == [ONE] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    let_others_run()
    assert not waiting.ready()
    waiting.kill()


def test_an_error_in_a_handler_during_a_pause_goes_to_the_main_greenlet(handled):
    def handler(number, frame):
        raise LookupError("from the handler")

    standard.signal(ONE, handler)
    (other,) = pausing(1)
    pid = signal_from_child(ONE)
    with pytest.raises(LookupError, match="from the handler"):
        sleep(5)
    os.waitpid(pid, 0)
    other.kill()


# --- signals that are blocked ---------------------------------------------------------------------------------------


def test_sigwait_returns_the_signal(blocked, ticks):
    pid = signal_from_child(ONE)
    number = signal.sigwait(BOTH)
    assert number is ONE and isinstance(number, standard.Signals) and ticks
    os.waitpid(pid, 0)
    send(TWO)  # this signal is pending when sigwait() is called
    assert signal.sigwait([TWO]) is TWO


def test_sigwaitinfo_returns_the_sender(blocked):
    pid = signal_from_child(TWO)
    found = signal.sigwaitinfo(BOTH)
    assert found.si_signo == TWO and found.si_uid == os.getuid()
    os.waitpid(pid, 0)


def test_sigtimedwait_ends_with_its_timeout(blocked, ticks):
    assert signal.sigtimedwait(BOTH, 0) is None and not ticks
    assert signal.sigtimedwait(BOTH, 0.01) is None and ticks
    pid = signal_from_child(ONE)
    assert signal.sigtimedwait(BOTH, 10).si_signo == ONE
    os.waitpid(pid, 0)


def test_sigwait_gets_a_signal_that_is_sent_to_its_thread(blocked):
    get_hub().run_callback(standard.pthread_kill, threading.get_ident(), ONE)
    assert signal.sigwait(BOTH) is ONE


def test_pthread_kill_finds_a_thread_whose_hub_runs_the_loop(handled, threadpool):
    """The thread has no Python frame then."""
    main = threading.get_ident()

    def send_to_main():
        while main in sys._current_frames():
            time.sleep(0.001)
        signal.pthread_kill(main, ONE)

    spawn(int)  # when it has ended, the hub is left with the loop
    threadpool.apply(send_to_main)
    until(lambda: handled == [ONE])


def test_a_killed_waiter_takes_no_signal(blocked):
    waiting = spawn(signal.sigwait, BOTH)
    until_waiting(waiting)
    waiting.kill()
    send(ONE)
    let_others_run()
    assert standard.sigtimedwait(BOTH, 0).si_signo == ONE


def test_each_signal_wakes_one_greenlet(blocked):
    waiting = [spawn(signal.sigwait, BOTH) for _ in range(2)]
    until_waiting(*waiting)
    send(ONE)
    send(TWO)
    greenio.joinall(waiting, timeout=5, raise_error=True)
    assert {job.value for job in waiting} == BOTH


def test_sigwait_waits_in_another_thread(blocked):
    found = []
    thread = threading.Thread(target=lambda: found.append(signal.sigwait(BOTH)))
    thread.start()
    send(ONE)
    until(lambda: not thread.is_alive())
    assert found == [ONE]


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("sigwait", (5,)), ("sigwait", ([0],)), ("sigwait", ([100000],)), ("sigwait", (["x"],)),
        ("sigwaitinfo", ([-1],)), ("sigtimedwait", ([ONE], -1)),
        ("sigtimedwait", ([ONE], "x")), ("sigtimedwait", ([ONE],)), ("pause", (1,)),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_as_the_standard_functions_do(name, arguments):
    with pytest.raises(Exception) as expected:
        getattr(standard, name)(*arguments)
    with pytest.raises(type(expected.value)):
        getattr(signal, name)(*arguments)


def test_a_timer_of_the_system_ends_a_pause(handled, ticks):
    before = standard.signal(standard.SIGALRM, lambda number, frame: handled.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        with Timeout(10):  # pytest's own limit uses the system's timer, too
            signal.pause()
        assert standard.SIGALRM in handled and ticks
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        standard.signal(standard.SIGALRM, before)
