"""Forks in every situation: in the middle of a wait, in threads with a hub and without, at the limit of descriptors.

In the child the greenlet that forked goes on, with its wait. Nothing of the parent's hubs is used there.
"""

import contextlib
import os
import resource
import signal
import threading
import time

import pytest
from waiting import until

import greenio
from greenio import Timeout, get_hub, sleep, spawn
from greenio.event import Event
from greenio.lock import Semaphore
from greenio.queue import Empty, Queue
from greenio.socket import socketpair


def outcome_of(function):
    try:
        return repr(function())
    except BaseException as error:
        return type(error).__name__


def outcome_of_child(pid, read_end):
    with open(read_end) as pipe:
        text = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return text


def forked_in_a_handler(wait, in_handler=lambda: None):
    """Call wait(), during which a signal handler forks. Returns the outcomes in the parent and in the child."""
    read_end, write_end = os.pipe()
    pids = []

    def handler(*_args):
        pids.append(greenio.fork())
        in_handler()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        outcome = outcome_of(wait)
    finally:
        if pids == [0]:
            os.write(write_end, outcome.encode())
            os._exit(0)
        signal.signal(signal.SIGALRM, before)
        os.close(write_end)
    return outcome, outcome_of_child(pids[0], read_end)


def in_child(function):
    """Run a function in a forked child; return its outcome."""
    read_end, write_end = os.pipe()
    pid = greenio.fork()
    if pid == 0:
        os.write(write_end, outcome_of(function).encode())
        os._exit(0)
    os.close(write_end)
    return outcome_of_child(pid, read_end)


def takes_its_time(function, *args):
    begin = time.monotonic()
    function(*args)
    return time.monotonic() - begin >= 0.1


class TestInTheMiddleOfAWait:
    @pytest.mark.parametrize(
        ("wait", "outcome"),
        [
            (lambda: takes_its_time(sleep, 0.1), "True"),
            (lambda: takes_its_time(Event().wait, 0.1), "True"),
            (lambda: Semaphore(0).acquire(timeout=0.1), "False"),
            (lambda: Queue().get(timeout=0.1), Empty.__name__),
        ],
    )
    def test_with_a_timeout_ends_in_both(self, wait, outcome):
        spawn(sleep, 0.5)  # the child does not have this greenlet
        assert forked_in_a_handler(wait) == (outcome, outcome)

    def test_for_a_socket_goes_on_in_both(self):
        """The handler sends in both processes: each receives one byte."""
        ours, theirs = socketpair()
        ours.settimeout(5)
        with ours, theirs:
            assert forked_in_a_handler(lambda: ours.recv(1), lambda: theirs.sendall(b"x")) == ("b'x'", "b'x'")

    def test_for_a_socket_times_out_in_both(self):
        ours, theirs = socketpair()
        ours.settimeout(0.1)
        with ours, theirs:
            assert forked_in_a_handler(lambda: ours.recv(1)) == ("TimeoutError", "TimeoutError")

    def test_for_a_turn_goes_on_in_both(self):
        def turns():
            end = time.monotonic() + 0.1
            while time.monotonic() < end:
                sleep(0)

        assert forked_in_a_handler(turns) == ("None", "None")

    def test_that_the_handler_ends(self):
        event = Event()
        assert forked_in_a_handler(lambda: event.wait(5), event.set) == ("True", "True")

    def test_that_an_exception_of_the_handler_ends(self):
        def fail():
            raise LookupError

        assert forked_in_a_handler(lambda: sleep(5), fail) == ("LookupError", "LookupError")


class TestTimeouts:
    @pytest.mark.parametrize("run", [lambda function: function(), lambda function: spawn(function).get()])
    def test_timeouts_of_the_greenlet_that_forks_expire_in_the_child_too(self, run):
        def work():
            with Timeout(0.1) as timeout:
                return in_child(lambda: outcome_of(lambda: sleep(5)) if timeout.pending else "not pending")

        assert run(work) == "'Timeout'"

    def test_can_be_cancelled_in_the_child(self):
        def cancel():
            timeout.cancel()
            sleep(0.05)
            return timeout.pending, get_hub().loop.statistics()["references"]

        timeout = Timeout.start_new(0.02)
        try:
            assert in_child(cancel) == "(False, 0)"
        finally:
            timeout.cancel()

    def test_of_others_stay_in_the_parent(self):
        def work():
            with Timeout(0.02):
                sleep(5)

        other = spawn(work)
        other.reports_errors = False
        sleep(0)
        assert in_child(lambda: sleep(0.05)) == "None"
        assert outcome_of(other.get) == "Timeout"


def in_a_thread(function):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(outcome_of(function)))
    thread.start()
    until(lambda: not thread.is_alive())
    return outcomes[0]


def handler_ran_at_once():
    """Return whether a signal's handler runs while the process sleeps, and not only afterwards."""

    def handler(*_args):
        raise LookupError

    signal.signal(signal.SIGUSR1, handler)
    parent = os.getpid()
    try:
        if os.fork() == 0:
            time.sleep(0.05)  # usually, the parent is asleep by then
            os.kill(parent, signal.SIGUSR1)
            os._exit(0)
        sleep(50)
    except LookupError:
        return True
    finally:
        os.wait()
    return False


def event_queues():
    """Return the kinds of this process's descriptors that are epolls, or wake-ups of a loop (sorted list of str)."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return sorted(name for name in found if name.startswith("anon_inode:"))


class TestInAThread:
    def test_with_a_hub(self):
        def fork():
            sleep(0.001)
            return in_child(lambda: (handler_ran_at_once(), get_hub().loop.default))

        assert in_a_thread(fork) == repr("(True, True)")

    def test_without_a_hub(self):
        assert in_a_thread(lambda: in_child(handler_ran_at_once)) == repr("True")

    @pytest.mark.parametrize("with_hub", [True, False])
    def test_the_child_has_no_descriptor_of_other_threads_hubs(self, with_hub):
        alone = in_child(lambda: (sleep(0), event_queues())[1])

        def fork():
            if with_hub:
                get_hub()
            return in_child(lambda: (sleep(0), event_queues())[1])

        assert eval(in_a_thread(fork)) == alone

    def test_greenlets_of_other_threads_are_over_in_the_child(self):
        other = spawn(sleep, 1)
        sleep(0)

        def look():
            other.join()
            other.kill()
            return other.dead, repr(other.value).split("(")[0]

        assert eval(in_a_thread(lambda: in_child(look))) == "(True, 'HubDestroyed')"
        assert not other.dead
        other.kill()

    def test_a_wakeup_descriptor_of_the_program_s_stays_in_its_place(self, run_script):
        assert run_script("wakeup_fd_in_children.py") == "True\n" * 4


def test_signals_are_handled_when_the_wakeup_descriptor_was_removed():
    """asyncio removes the hub's wake-up descriptor in forked children. The hub checks that every 50 ms."""

    def child():
        def handler(*_args):
            raise LookupError

        signal.signal(signal.SIGALRM, handler)
        signal.set_wakeup_fd(-1)
        begin = time.monotonic()
        with pytest.raises(LookupError):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            sleep(60)
        return time.monotonic() - begin < 50

    assert in_child(child) == "True"


def test_a_child_of_a_child_of_a_thread():
    def deeper(depth):
        sleep(0.001)
        return in_child(lambda: deeper(depth - 1)) if depth else "the last"

    assert "the last" in in_a_thread(lambda: in_child(lambda: deeper(3)))


class TestWhereNoDescriptorIsLeft:
    """The child closes the parent's descriptors before it makes its own. It never uses the parent's."""

    def lower_the_limit(self):
        """Have each child of this process begin with four free descriptors. This cannot be undone: for a child only."""
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)

        def lower():
            used = set(map(int, os.listdir("/proc/self/fd")))
            few = [number for number in range(1000) if number not in used][4]
            resource.setrlimit(resource.RLIMIT_NOFILE, (few, limits[1]))

        os.register_at_fork(before=lower)
        os.register_at_fork(after_in_parent=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits))
        return limits

    def at_the_limit(self, function, then=None):
        """In a child without free descriptors, call a function; then lift the limit and call `then`."""

        def child():
            limits = self.lower_the_limit()
            read_end, write_end = os.pipe()
            pid = os.fork()
            if pid == 0:
                outcomes = [outcome_of(function)]
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                if then is not None:
                    outcomes.append(outcome_of(then))
                os.write(write_end, repr(outcomes).encode())
                os._exit(0)
            os.close(write_end)
            sleep(0.01)
            return eval(outcome_of_child(pid, read_end))

        return eval(in_child(child))

    def test_a_wait_names_the_limit(self):
        def wait():
            with pytest.raises(OSError, match="RLIMIT_NOFILE"):
                sleep(0.01)
            with pytest.raises(OSError, match="RLIMIT_NOFILE"):
                Event().wait(0.01)
            get_hub().exception_stream = None
            with Timeout(5), pytest.raises(OSError, match="RLIMIT_NOFILE"):
                spawn(sleep, 0.01).get()

        assert self.at_the_limit(wait) == ["None"]

    def test_the_next_wait_makes_a_loop_when_the_limit_is_lifted(self):
        def wait():
            sleep(0.01)
            return len(event_queues()) > 0

        assert self.at_the_limit(lambda: sleep(0.01), wait) == ["OSError", "True"]

    def test_in_the_middle_of_a_wait(self):
        def child():
            self.lower_the_limit()
            forked = Event()
            return forked_in_a_handler(lambda: forked.wait(30) and None, forked.set)

        assert in_child(child) == "('None', 'OSError')"
