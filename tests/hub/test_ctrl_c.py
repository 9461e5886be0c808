"""Ctrl-C while a greenlet computes: the main greenlet gets KeyboardInterrupt, and the greenlet that computes goes on.

SIGUSR1 takes the place of SIGINT. It has the same handler, Python's own.
"""

import os
import signal
import subprocess
import sys
import threading
import time

import greenlet as greenlet_module
import pytest

from greenio import Timeout, fork, get_hub, getcurrent, sleep, spawn, spawn_later
from greenio.event import Event


@pytest.fixture(autouse=True)
def ctrl_c():
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    yield
    signal.signal(signal.SIGUSR1, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGUSR1)
    compute()


def compute():
    # A handler runs between two instructions of Python code.
    for _ in range(100):
        pass


def compute_for(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_a_greenlet_that_computes_goes_on_until_it_waits():
    order = []

    def work():
        interrupt()
        order.append("has computed")
        sleep(0)
        order.append("has waited")

    other = spawn(work)
    with pytest.raises(KeyboardInterrupt):
        sleep(10)
    order.append("interrupted")
    other.join()
    assert order == ["has computed", "interrupted", "has waited"]


def test_a_greenlet_that_computes_until_its_end_is_not_interrupted():
    other = spawn(interrupt)
    with pytest.raises(KeyboardInterrupt):
        other.join()
    assert other.successful()


def test_a_second_ctrl_c_interrupts_the_greenlet_that_computes(capsys):
    order = []

    def work():
        interrupt()
        order.append("goes on")
        interrupt()
        order.append("never")

    other = spawn(work)
    with pytest.raises(KeyboardInterrupt):
        sleep(10)
    assert order == ["goes on"] and isinstance(other.exception, KeyboardInterrupt)
    sleep(0)  # no other KeyboardInterrupt is pending


def test_a_greenlet_that_computes_for_a_second_is_interrupted(capsys):
    def work():
        os.kill(os.getpid(), signal.SIGUSR1)
        compute_for(20)

    began = time.monotonic()
    other = spawn(work)
    with pytest.raises(KeyboardInterrupt):
        sleep(10)
    assert isinstance(other.exception, KeyboardInterrupt) and 0.9 < time.monotonic() - began < 15


def test_a_greenlet_that_blocks_for_a_second_is_interrupted(capsys):
    def work():
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(20)  # nothing is patched here

    other = spawn(work)
    with pytest.raises(KeyboardInterrupt):
        sleep(10)
    assert isinstance(other.exception, KeyboardInterrupt)


def test_it_is_raised_only_once():
    other = spawn(interrupt)
    with pytest.raises(KeyboardInterrupt):
        sleep(10)
    compute_for(1.1)
    other.join()


def test_in_the_main_greenlet_it_is_raised_at_once():
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_a_callback_of_the_hub_goes_on():
    ran = []
    get_hub().run_callback(lambda: (interrupt(), ran.append(getcurrent())))
    with pytest.raises(KeyboardInterrupt):
        sleep(10)
    assert ran == [get_hub()]


def test_it_is_raised_in_a_main_greenlet_that_was_woken_already():
    event, results = Event(), []
    other = spawn(lambda: (event.set(), interrupt()))
    with pytest.raises(KeyboardInterrupt):
        results.append(event.wait())
        compute_for(10)
    assert results in ([], [True])  # KeyboardInterrupt may come before the result is appended
    other.join()


def test_it_is_raised_in_a_main_greenlet_whose_timeout_was_due():
    """First the timeout ends the wait, then the signal comes, then the main greenlet goes on."""
    timeouts = []

    def work():
        while not timeout_is_due.ready():
            sleep(0)
        interrupt()

    other = spawn(work)
    with pytest.raises(KeyboardInterrupt), Timeout(0.001) as timeout:
        timeout_is_due = spawn_later(0.002, int)
        try:
            sleep(10)
        except Timeout as error:
            assert error is timeout
            timeouts.append(error)
        compute_for(0.01)
        sleep(10)
    other.join()
    timeout_is_due.join()


def test_it_ends_a_call_that_waits_several_times_in_compiled_code():
    """sendall() waits again and again in compiled code."""
    from greenio.socket import socketpair

    ours, theirs = socketpair()

    def read():
        theirs.recv(100_000)
        interrupt()
        for _ in range(20):
            theirs.recv(100_000)

    other = spawn(read)
    with ours, theirs:
        with pytest.raises(KeyboardInterrupt):
            ours.sendall(bytes(50_000_000))
        ours.close()
        other.join()


def test_it_is_raised_where_the_main_greenlet_has_switched_to_the_hub():
    other = spawn(interrupt)
    with pytest.raises(KeyboardInterrupt):
        get_hub().switch()
    other.join()


def test_it_is_raised_in_a_greenlet_that_the_main_one_has_switched_to():
    """The main greenlet waits in a switch to the greenlet, so the greenlet's error is raised there."""
    bare = greenlet_module.greenlet(lambda: (interrupt(), "never"))
    with pytest.raises(KeyboardInterrupt):
        bare.switch()


def test_it_ends_a_wait_in_another_handler():
    def handler(signum, frame):
        other = spawn(interrupt)
        sleep(10)
        other.join()

    before = signal.signal(signal.SIGUSR2, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGUSR2)
            compute()
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_handler_of_the_program_stays_as_it_is():
    ran = []

    def handler(signum, frame):
        ran.append(getcurrent())
        signal.default_int_handler(signum, frame)
        ran.append("never")

    signal.signal(signal.SIGUSR1, handler)

    def work():
        try:
            interrupt()
        except KeyboardInterrupt:
            ran.append("there")

    other = spawn(work)
    other.join()
    assert ran == [other, "there"]


def test_python_s_own_handler_stays_what_it_is():
    assert signal.getsignal(signal.SIGUSR1) is signal.default_int_handler
    assert signal.default_int_handler.__name__ == "default_int_handler"
    with pytest.raises(KeyboardInterrupt):
        signal.default_int_handler(signal.SIGINT, None)


def test_it_is_raised_while_another_thread_computes():
    stop = threading.Event()

    def work():
        spawn(sleep, 0.001).join()  # the thread has a hub of its own
        while not stop.is_set():
            compute()

    thread = threading.Thread(target=work)
    thread.start()
    began = time.monotonic()
    sender = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        with pytest.raises(KeyboardInterrupt):
            sender.start()  # the signal may come before this returns
            sleep(10)
    finally:
        stop.set()
    assert time.monotonic() - began < 5
    thread.join()
    sender.join()


def test_a_forked_child_does_not_get_its_parents():
    status = []

    def work():
        interrupt()
        child = fork()
        if child == 0:
            try:
                sleep(0.001)
                compute()
            except BaseException:
                os._exit(1)
            os._exit(0)
        status.append(os.waitpid(child, 0)[1])

    other = spawn(work)
    with pytest.raises(KeyboardInterrupt):
        sleep(10)
    other.join()
    assert status == [0]


def test_a_wakeup_descriptor_of_the_program_gets_the_signal():
    reader, writer = os.pipe2(os.O_NONBLOCK)
    before = signal.set_wakeup_fd(writer)
    try:
        other = spawn(interrupt)
        with pytest.raises(KeyboardInterrupt):
            sleep(10)
        other.join()
        assert os.read(reader, 10) == bytes([signal.SIGUSR1])
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("where", ["main", "greenlet"])
def test_asyncio_is_interrupted_by_its_own_handler(where):
    """asyncio's Runner sets a handler of its own while it runs in the main thread, and restores the other one."""
    script = f"""
import asyncio, os, signal, greenio
async def work():
    try:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        await asyncio.sleep(20)
    finally:
        print("ends")
try:
    asyncio.run(work()) if {where!r} == "main" else greenio.spawn(asyncio.run, work()).join()
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )
    assert result.stdout == "ends\ninterrupted True\n", result.stderr


@pytest.mark.parametrize("seed", [1, 1000])
def test_each_arrives_once_at_random_times(run_script, seed):
    assert run_script("ctrl_c_at_random_times.py", seed, 0.5) == "True [] True\n"
