"""Signal handlers run on the main greenlet, whichever greenlet the signal interrupts."""

import os
import signal

import pytest
from processes import signal_from_child
from waiting import until

from greenio import get_hub, getcurrent, sleep, spawn
from greenio._patched import signal_handlers
from greenio.event import Event


@pytest.fixture
def alarm():
    """A function that sets a handler for SIGUSR1."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal_handlers.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGUSR1)
    # A handler runs between two instructions of Python code.
    for _ in range(100):
        pass


def test_it_runs_on_the_main_greenlet_in_the_middle_of_its_wait(alarm):
    ran = []
    alarm(lambda signum, frame: ran.append((getcurrent(), frame.f_code.co_name)))
    other = spawn(lambda: (interrupt(), ran.append("goes on")))
    until(other.ready)
    assert ran == [(getcurrent(), "interrupt"), "goes on"]
    assert other.ready()


def test_it_runs_at_once_in_a_running_main_greenlet(alarm):
    ran = []
    alarm(lambda signum, frame: ran.append(getcurrent()))
    interrupt()
    assert ran == [getcurrent()]


def test_an_error_ends_only_the_wait_of_the_main_greenlet(alarm):
    def handler(signum, frame):
        raise LookupError("from the handler")

    alarm(handler)
    order = []
    other = spawn(lambda: (interrupt(), order.append("the other")))
    with pytest.raises(LookupError, match="from the handler"):
        sleep(10)
    order.append("the main greenlet")
    other.join()
    assert order == ["the main greenlet", "the other"] and other.successful()


def test_a_greenlet_that_computes_is_interrupted_too(alarm):
    def handler(signum, frame):
        raise LookupError

    alarm(handler)
    go_on = [True]

    def compute():
        os.kill(os.getpid(), signal.SIGUSR1)
        while go_on[0]:
            pass

    other = spawn(compute)
    with pytest.raises(LookupError):
        other.join()
    go_on.clear()
    go_on.append(False)
    other.join()


def test_an_error_after_the_main_greenlet_was_woken_comes_at_its_next_wait(alarm):
    def handler(signum, frame):
        raise LookupError

    alarm(handler)
    event = Event()
    other = spawn(lambda: (event.set(), interrupt()))
    assert event.wait()
    with pytest.raises(LookupError):
        sleep(10)
    other.join()


def test_it_may_wait_and_others_run_meanwhile(alarm):
    event, order = Event(), []

    def handler(signum, frame):
        order.append("waits")
        event.wait()
        order.append("has waited")

    alarm(handler)
    other = spawn(lambda: (interrupt(), order.append("goes on"), event.set()))
    other.join()
    sleep(0)
    assert order == ["waits", "goes on", "has waited"]


def test_a_signal_during_a_handler_runs_it_again(alarm):
    depth = []

    def handler(signum, frame):
        depth.append(getcurrent())
        if len(depth) == 1:
            interrupt()
            spawn(interrupt).join()

    alarm(handler)
    spawn(interrupt).join()
    assert depth == [getcurrent()] * 3


def test_it_runs_in_the_middle_of_a_callback_of_the_hub(alarm):
    ran = []
    alarm(lambda signum, frame: ran.append(getcurrent()))
    get_hub().run_callback(lambda: (interrupt(), ran.append(getcurrent())))
    until(lambda: len(ran) == 2)
    assert ran == [getcurrent(), get_hub()]


def test_an_error_during_a_callback_goes_to_the_main_greenlet(alarm):
    def handler(signum, frame):
        raise LookupError

    alarm(handler)
    ran = []
    get_hub().run_callback(lambda: (interrupt(), ran.append(True)))
    with pytest.raises(LookupError):
        sleep(10)
    until(lambda: ran)
    assert ran == [True]


def test_it_runs_while_the_process_sleeps(alarm):
    ran, woken = [], Event()
    alarm(lambda signum, frame: (ran.append(getcurrent()), woken.set()))
    child = signal_from_child(signal.SIGUSR1)
    assert spawn(woken.wait, 60).get() is True
    os.waitpid(child, 0)
    assert ran == [getcurrent()]


def test_getsignal_returns_the_handler_that_was_set(alarm):
    def handler(signum, frame):
        pass

    before = signal.getsignal(signal.SIGUSR1)
    assert alarm(handler) == before
    assert signal_handlers.getsignal(signal.SIGUSR1) is handler
    assert alarm(signal.SIG_IGN) is handler
    assert signal_handlers.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    with pytest.raises(TypeError):
        alarm("no handler")
