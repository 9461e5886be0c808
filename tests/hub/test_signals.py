"""Python's signal handlers run while the process sleeps in the loop."""

import os
import signal

import pytest
from hub import Wait
from processes import signal_from_child
from waiting import until

from greenio import Timeout, get_hub, getcurrent, signal_handler, sleep, spawn


def test_a_signal_is_handled_without_waiting_for_a_timer(run_script):
    """A timer that polls would take up to 300 ms; the limit only tells the two apart."""
    median, count = run_script("signal_latency.py").split()
    assert int(count) == 50
    assert float(median) < 50


@pytest.mark.parametrize("where", ["sleep", "join", "wait", "hub.join", "socket"])
def test_ctrl_c_reaches_the_main_greenlet_wherever_it_waits(run_script, where):
    assert run_script("ctrl_c.py", where) == "KeyboardInterrupt in the main greenlet []\n"


@pytest.mark.parametrize("when", ["none", "before", "after", "late"])
def test_a_wakeup_descriptor_of_the_program_gets_signals(run_script, when):
    received = b"" if when == "none" else bytes([signal.SIGUSR1]) * 3
    assert run_script("wakeup_fd.py", when) == f"handled handled handled {received!r} {when != 'none'}\n"


@pytest.fixture
def usr1():
    before = signal.getsignal(signal.SIGUSR1)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


def send_soon(signum):
    get_hub().run_callback(os.kill, os.getpid(), signum)


def test_an_error_in_a_handler_goes_to_the_main_greenlet(usr1):
    def handler(signum, frame):
        raise LookupError("from the handler")

    signal.signal(usr1, handler)
    other = spawn(sleep, 10)
    sleep(0)
    timer = get_hub().loop.timer(0.01)
    timer.start(lambda: None)
    child = signal_from_child(usr1, after=lambda: sleep(0.02))
    with pytest.raises(LookupError, match="from the handler"):
        sleep(10)
    os.waitpid(child, 0)
    assert not other.dead
    other.kill()
    timer.close()


def test_a_handler_runs_in_a_greenlet_of_its_own(usr1):
    seen = []
    wait = Wait("the handler")

    def handler(word):
        sleep(0.001)  # a handler may wait
        seen.append((word, getcurrent() is get_hub().main))
        wait.wake()

    watched = signal_handler(usr1, handler, "word")
    try:
        assert watched.ref is False
        send_soon(usr1)
        wait.park(5)
    finally:
        watched.cancel()
        watched.cancel()
    assert seen == [("word", False)]


def test_cancel_brings_back_the_handler_before(usr1):
    seen = []
    signal.signal(usr1, lambda *args: seen.append("python"))
    watched = signal_handler(usr1, seen.append, "greenio")
    os.kill(os.getpid(), usr1)
    until(lambda: seen)
    watched.cancel()
    os.kill(os.getpid(), usr1)
    sleep(0)
    assert seen == ["greenio", "python"]


def test_an_error_in_a_greenlets_handler_goes_to_the_main_greenlet(usr1, capsys):
    def handler():
        raise LookupError("from the handler")

    get_hub().exception_stream = None
    watched = signal_handler(usr1, handler)
    try:
        send_soon(usr1)
        with pytest.raises(LookupError), Timeout(5):
            sleep(5)
    finally:
        watched.cancel()
        del get_hub()._exception_stream


@pytest.mark.parametrize("bad", [0, -1, 65, 1000])
def test_bad_signal_numbers_are_refused(bad):
    with pytest.raises((ValueError, OSError)):
        signal_handler(bad, print)


@pytest.mark.parametrize("bad", ["TERM", "SIGTERM", 15.0, None])
def test_a_signal_is_a_number(bad):
    with pytest.raises(TypeError, match=f"a signal is a number, such as signal.SIGTERM, not {bad!r}"):
        signal_handler(bad, print)


def test_a_handler_must_be_callable(usr1):
    with pytest.raises(TypeError, match="callable"):
        signal_handler(usr1, None)
