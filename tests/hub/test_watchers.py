"""gevent's watchers: each kind fires, stops, closes, and says what it is."""

import gc
import os
import signal
import subprocess
import sys
import threading
import weakref

import pytest
from hub import ConcurrentObjectUseError, InvalidThreadUseError, Wait
from waiting import let_others_run, until

from greenio import Timeout, get_hub, sleep, spawn
from greenio.socket import socketpair


@pytest.fixture
def loop():
    return get_hub().loop


def start_and_wait(watcher, trigger=None):
    """Start a watcher, and wait for its callback. Returns the arguments of the callback."""
    wait = Wait(watcher)
    watcher.start(lambda *args: wait.wake(args), "a", 1)
    assert watcher.active
    if trigger is not None:
        trigger()
    return wait.park(timeout=30)


class TestEachKind:
    def test_a_timer_fires_once(self, loop):
        with loop.timer(0.001) as timer:
            assert start_and_wait(timer) == ("a", 1)
            assert not timer.active

    def test_a_timer_repeats_until_it_is_stopped(self, loop):
        seen = []
        with loop.timer(0.001, 0.001) as timer:
            timer.start(seen.append, 1)
            until(lambda: len(seen) >= 3)
            assert timer.active and timer.repeat == 0.001
            timer.stop()
            count = len(seen)
            sleep(0.005)
            assert len(seen) == count

    def test_again_starts_a_timer_anew(self, loop):
        seen = []
        with loop.timer(30) as timer:
            timer.start(pytest.fail)
            timer.again(seen.append, 1)
            assert timer.active
        with loop.timer(30, 0.001) as timer:
            timer.again(seen.append, 2)
            until(lambda: seen)
        assert 2 in seen

    def test_a_timer_refuses_negative_times(self, loop):
        with pytest.raises(ValueError, match="negative"):
            loop.timer(1, -1)

    def test_io_fires_when_a_descriptor_is_ready(self, loop):
        ours, theirs = socketpair()
        with loop.io(ours.fileno(), 1) as watcher:
            assert start_and_wait(watcher, lambda: theirs.sendall(b"x")) == ("a", 1)
            assert watcher.events_str == "READ" and watcher.fd == ours.fileno()
            assert f"fd={ours.fileno()}" in repr(watcher)
        with loop.io(ours.fileno(), 2) as watcher:
            start_and_wait(watcher)
        ours.close()
        theirs.close()

    def test_io_tells_which_events(self, loop):
        ours, theirs = socketpair()
        theirs.sendall(b"x")
        wait = Wait()
        with loop.io(ours.fileno(), 3) as watcher:
            watcher.start(wait.wake, pass_events=True)
            assert wait.park(timeout=30) == 1 | 2
        ours.close()
        theirs.close()

    def test_io_fires_as_long_as_it_is_ready(self, loop):
        ours, theirs = socketpair()
        theirs.sendall(b"x")
        seen = []
        with loop.io(ours.fileno(), 1) as watcher:
            watcher.start(seen.append, 1)
            until(lambda: len(seen) >= 3)
        ours.close()
        theirs.close()

    def test_io_shares_a_descriptor(self, loop):
        """Two watchers and a greenlet, in both directions, on one descriptor."""
        ours, theirs = socketpair()
        seen = []
        reader = spawn(ours.recv, 1)
        sleep(0)
        with loop.io(ours.fileno(), 1) as first, loop.io(ours.fileno(), 2) as second:
            first.start(seen.append, "read")
            second.start(lambda: (seen.append("write"), second.stop()))
            until(lambda: seen)
            let_others_run()
            assert seen == ["write"]
            theirs.sendall(b"xy")
            assert reader.get(timeout=30) == b"x"
            until(lambda: "read" in seen)
        ours.close()
        theirs.close()

    def test_events_and_descriptor_of_io_can_be_changed(self, loop):
        ours, theirs = socketpair()
        with loop.io(ours.fileno(), 1) as watcher:
            seen = []
            watcher.start(seen.append, 1)
            with pytest.raises(ValueError, match="stop it"):
                watcher.fd = theirs.fileno()
            watcher.events = 2
            until(lambda: seen)
            watcher.stop()
            watcher.fd = theirs.fileno()
            start_and_wait(watcher)
        ours.close()
        theirs.close()

    @pytest.mark.parametrize("arguments", [(-1, 1), (0, 0), (0, 4)])
    def test_io_refuses_bad_descriptors_and_events(self, loop, arguments):
        with pytest.raises(ValueError):
            loop.io(*arguments)

    def test_async_fires_when_a_thread_sends(self, loop):
        with loop.async_() as watcher:
            assert start_and_wait(watcher, lambda: threading.Thread(target=watcher.send).start()) == ("a", 1)
            watcher.send_ignoring_arg(None)

    def test_async_keeps_the_loop_alive_while_started(self, loop):
        with loop.async_() as watcher:
            assert get_hub().join(timeout=1) is True
            watcher.start(int)
            assert get_hub().join(timeout=0.001) is False
            watcher.ref = False
            assert get_hub().join(timeout=1) is True

    def test_signal_fires_and_gives_the_handler_back(self, loop):
        before = signal.getsignal(signal.SIGUSR1)
        with loop.signal(signal.SIGUSR1) as watcher:
            assert start_and_wait(watcher, lambda: os.kill(os.getpid(), signal.SIGUSR1)) == ("a", 1)
            assert "signal=10" in repr(watcher)
        assert signal.getsignal(signal.SIGUSR1) is before

    @pytest.mark.parametrize("number", [0, -1, 65])
    def test_signal_refuses_numbers_of_no_signal(self, loop, number):
        with pytest.raises(ValueError, match="signal"):
            loop.signal(number)

    @pytest.mark.parametrize("kind", ["prepare", "check", "idle"])
    def test_watchers_of_the_loops_turn_fire(self, loop, kind):
        with getattr(loop, kind)() as watcher:
            keeper = spawn(sleep, 0.001)
            assert start_and_wait(watcher) == ("a", 1)
            watcher.stop()
            keeper.join()

    def test_child_fires_with_the_status(self, loop):
        process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
        with loop.child(process.pid) as watcher:
            assert start_and_wait(watcher) == ("a", 1)
            assert watcher.rpid == process.pid and os.waitstatus_to_exitcode(watcher.rstatus) == 3
            assert "ended" in repr(watcher) and not watcher.active
            assert start_late_and_wait(watcher) == ("late",)
        process.returncode = 3

    def test_children_of_others_are_not_reaped(self, loop):
        ours = subprocess.Popen([sys.executable, "-c", ""])
        theirs = subprocess.Popen([sys.executable, "-c", ""])
        with loop.child(ours.pid) as watcher:
            start_and_wait(watcher)
        ours.returncode = 0
        assert theirs.wait(30) == 0

    def test_child_fires_when_somebody_else_reaps_the_process(self, loop):
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        with loop.child(process.pid) as watcher:
            seen = []
            watcher.start(seen.append, 1)
            process.communicate(b"\n", timeout=30)
            until(lambda: seen)
            assert watcher.rpid == process.pid

    @pytest.mark.parametrize("pid", [0, -1])
    def test_a_child_must_be_one_process(self, loop, pid):
        with pytest.raises(ValueError, match="one process"):
            loop.child(pid)

    def test_stat_fires_when_a_file_changes(self, loop, tmp_path):
        path = tmp_path / "file"
        path.write_text("before")
        with loop.stat(str(path), 0.005) as watcher:

            def change():
                while True:  # again and again: a change before the watcher's first look does not count
                    sleep(0.02)
                    with open(path, "a") as file:
                        file.write(", and longer")  # in one step, so that the file is never empty

            changing = spawn(change)
            assert start_and_wait(watcher) == ("a", 1)
            changing.kill()
            assert 6 <= watcher.prev.st_size < watcher.attr.st_size
            assert str(path) in repr(watcher)

    def test_stat_fires_when_a_file_appears(self, loop, tmp_path):
        path = tmp_path / "file"
        (tmp_path / "written").write_text("here")
        for seconds in (0.02, 0.2, 2, 10):
            fired = []
            with loop.stat(str(path), 0.005) as watcher:
                watcher.start(fired.append, 1)
                sleep(seconds)  # until the watcher has looked
                (tmp_path / "written").rename(path)
                with Timeout(10 * seconds, False):
                    until(lambda fired=fired: fired)
                if fired:
                    assert watcher.prev is None and watcher.attr.st_size == 4
                    return
                path.rename(tmp_path / "written")  # on a busy machine, it had not looked
        pytest.fail("the watcher does not fire")

    def test_threads_of_libuv_take_no_signals(self, run_script):
        assert run_script("workers_of_libuv.py") == "0\n"

    def test_fork_fires_in_the_child_only(self, loop):
        seen = []
        with loop.fork() as watcher:
            watcher.start(seen.append, 1)
            assert watcher.active and "active" in repr(watcher)
            pid = os.fork()
            if pid == 0:
                sleep(0)
                os._exit(7 if seen == [1] else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
            assert seen == []


def start_late_and_wait(child_watcher):
    """Start a child watcher whose process was reaped already; return the arguments of its callback."""
    wait = Wait()
    child_watcher.start(lambda *args: wait.wake(args), "late")
    assert child_watcher.pending
    return wait.park(timeout=30)


KINDS = {
    "timer": lambda loop: loop.timer(60),
    "io": lambda loop: loop.io(0, 1),
    "async_": lambda loop: loop.async_(),
    "signal": lambda loop: loop.signal(signal.SIGUSR2),
    "prepare": lambda loop: loop.prepare(),
    "check": lambda loop: loop.check(),
    "stat": lambda loop: loop.stat("/"),
    "fork": lambda loop: loop.fork(),
}


@pytest.fixture(params=sorted(KINDS))
def make(request, loop):
    readable, writable = os.pipe()
    if request.param == "io":
        yield lambda: loop.io(readable, 1)
    else:
        yield lambda: KINDS[request.param](loop)
    os.close(readable)
    os.close(writable)


class TestAllKinds:
    def test_states_from_start_to_close(self, make):
        watcher = make()
        assert not watcher.active and not watcher.pending
        assert "stopped" in repr(watcher)
        watcher.start(int)
        assert watcher.active and watcher.callback is int
        watcher.stop()
        watcher.stop()
        assert not watcher.active and watcher.callback is None
        watcher.start(int)
        watcher.close()
        watcher.close()
        assert not watcher.active

    def test_a_callback_must_be_callable(self, make):
        with make() as watcher:
            with pytest.raises(TypeError, match="callable"):
                watcher.start(5)
            assert not watcher.active and watcher.callback is None

    def test_only_referenced_watchers_keep_join_waiting(self, make):
        with make() as watcher:
            if type(watcher).__name__ == "fork":
                return
            assert watcher.ref
            watcher.start(int)
            assert get_hub().join(timeout=0.001) is False
            watcher.ref = False
            assert not watcher.ref
            assert get_hub().join(timeout=5) is True
            watcher.ref = True
            assert get_hub().join(timeout=0.001) is False

    def test_forgotten_watchers_are_collected(self, make):
        class Callback:
            def __call__(self):
                pass

        callback = Callback()
        watcher = make()
        reference = weakref.ref(callback)
        watcher.start(callback)
        watcher.stop()
        del callback, watcher
        gc.collect()
        assert reference() is None

    def test_another_thread_may_not_start_it(self, make):
        with make() as watcher:
            if type(watcher).__name__ == "fork":
                return
            caught = []

            def use():
                try:
                    watcher.start(int)
                except InvalidThreadUseError as error:
                    caught.append(error)

            thread = threading.Thread(target=use)
            thread.start()
            thread.join()
            assert caught


def test_a_started_watcher_that_nobody_holds_still_fires(loop):
    wait = Wait()
    loop.timer(0.001).start(wait.wake)
    gc.collect()
    wait.park(timeout=30)
    gc.collect()


def test_a_closed_watcher_cannot_be_started(loop):
    watcher = loop.timer(1)
    watcher.close()
    with pytest.raises(ValueError, match="closed"):
        watcher.start(int)


def test_feed_calls_back_at_once(loop):
    seen = []
    with loop.timer(60) as watcher:
        watcher.feed(1, seen.append, "fed")
        sleep(0)
    assert seen == ["fed"]


def test_errors_of_callbacks_are_reported(loop, errors):
    with loop.timer(0.001) as timer:
        timer.start(lambda: 1 / 0)
        until(errors.getvalue)
    assert "ZeroDivisionError" in errors.getvalue() and "timer watcher" in errors.getvalue()


def test_blocking_in_a_callback_is_a_named_error(loop, errors):
    with loop.timer(0.001) as timer:
        timer.start(sleep, 1)
        until(errors.getvalue)
    assert "BlockingSwitchOutError" in errors.getvalue() and "spawn a greenlet" in errors.getvalue()


def test_a_watcher_may_be_closed_in_its_own_callback(loop):
    watcher = loop.timer(0.001, 0.001)
    watcher.start(watcher.close)
    until(lambda: "closed" in repr(watcher))


def test_a_watcher_that_is_stopped_while_pending_does_not_call_back(loop):
    """A stopped watcher does not call back, even if it is queued already."""
    seen = []
    first, second = loop.timer(0.001), loop.timer(0.001)
    first.start(lambda: (seen.append(1), second.stop()))
    second.start(lambda: (seen.append(2), first.stop()))
    sleep(0.01)
    assert len(seen) == 1
    first.close()
    second.close()


class TestHubWait:
    def test_wait_ends_when_the_watcher_fires(self, loop):
        with loop.timer(0.001) as timer:
            get_hub().wait(timer)

    def test_a_second_wait_for_a_watcher_is_refused(self, loop):
        with loop.timer(60) as timer:
            waiting = spawn(get_hub().wait, timer)
            sleep(0)
            with pytest.raises(ConcurrentObjectUseError):
                get_hub().wait(timer)
            waiting.kill()
            assert not timer.active

    def test_cancel_wait_raises_in_the_waiter(self, loop):
        with loop.timer(60) as timer:
            waiting = spawn(get_hub().wait, timer)
            sleep(0)
            get_hub().exception_stream = None
            get_hub().cancel_wait(timer, KeyError("cancelled"))
            with pytest.raises(KeyError, match="cancelled"):
                waiting.get()
            del get_hub().__dict__["_exception_stream"]


def test_the_loop_says_what_it_is(loop):
    assert loop.backend == "libuv" and loop.supported_backends == ["libuv"]
    assert loop.version.startswith("1.")
    assert loop.default and loop.fileno() >= 0 and not loop.destroyed
    assert "libuv" in repr(loop) and "No greenlet of this hub waits" in loop.debug()
    before = loop.now()
    sleep(0.002)
    loop.update_now()
    assert loop.now() > before
