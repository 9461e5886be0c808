"""Queues, inboxes, callbacks, libuv's thread pool and other threads keep alive what they can still reach.

A fault in this ends the interpreter by a signal, and with it the test run.
"""

import contextlib
import gc
import shutil
import signal
import subprocess
import threading
import time
import weakref

import greenlet as greenlet_module
import pytest
from hub import InvalidSwitchError, InvalidThreadUseError, Wait
from places import CHECKOUT
from waiting import in_thread, until, until_waiting

from greenio import Greenlet, GreenletExit, Timeout, get_hub, sleep, spawn, spawn_later, spawn_raw, wait_any
from greenio.event import Event
from greenio.lock import Lock, RLock, Semaphore
from greenio.queue import Queue
from greenio.socket import socketpair

HEADERS = CHECKOUT / "hub"


def kill_after_grant(wait, grant, gone=True):
    """Kill a greenlet of another thread when `grant` has granted what it waits for, and before it knows."""
    waiting, granted = threading.Event(), threading.Event()

    def thread():
        greenlet = spawn(wait)
        until_waiting(greenlet)
        waiting.set()
        granted.wait(10)
        greenlet.kill(block=gone)
        if gone:
            assert isinstance(greenlet.value, GreenletExit), greenlet
        del greenlet
        gc.collect()
        sleep(0.001)

    thread = threading.Thread(target=thread)
    thread.start()
    waiting.wait(10)
    grant()
    granted.set()
    thread.join(10)
    assert not thread.is_alive()


class TestGrantedToAGreenletThatIsKilled:
    """The grant is in the inbox of a hub when its greenlet is killed and freed. Then the grant is given back."""

    @pytest.mark.parametrize("make", [lambda: Semaphore(0), Lock, RLock], ids=["Semaphore", "Lock", "RLock"])
    def test_a_lock_can_be_acquired_by_others(self, make):
        lock = make()
        if not isinstance(lock, Semaphore):
            lock.acquire()
        kill_after_grant(lock.acquire, lock.release)
        assert lock.acquire(timeout=5)

    def test_an_item_stays_in_its_queue(self):
        queue = Queue()
        queue_of = [queue]
        kill_after_grant(lambda: queue_of[0].get(), lambda: queue.put("item"))
        assert queue.get(timeout=5) == "item"

    def test_an_item_that_was_chosen_stays_in_its_queue(self):
        queue = Queue()
        kill_after_grant(lambda: wait_any(Event(), queue), lambda: queue.put("item"))
        assert queue.get(timeout=5) == "item"

    def test_a_wait_for_an_event_is_freed_without_harm(self):
        event = Event()
        kill_after_grant(event.wait, event.set)

    def test_an_item_that_was_taken_is_not_put_twice(self):
        queue = Queue(1)
        queue.put(1)
        # A put that another thread has taken cannot be undone.
        kill_after_grant(lambda: queue.put(2), queue.get, gone=False)
        assert queue.get(timeout=5) == 2 and queue.empty()


class TestAnExceptionWhileJoiningSeveralLines:
    def test_a_grant_before_the_exception_is_given_back(self):
        """A semaphore is granted, and then the next source fails."""

        class Failing:
            def ready(self):
                return False

            def rawlink(self, callback):
                semaphore.release()
                raise OSError("cannot be watched")

            def unlink(self, callback):
                pass

        semaphore = Semaphore(0)
        with pytest.raises(OSError, match="cannot be watched"):
            wait_any(semaphore, Failing())
        sleep(0)
        assert semaphore.counter == 1


class TestWaitsThatAreNeverParkedOn:
    def test_may_be_woken_when_their_greenlet_has_ended(self):
        waits = []
        for _ in range(100):
            spawn_raw(lambda: waits.append(Wait("never")))
        sleep(0)
        gc.collect()
        for wait in waits:
            assert wait.greenlet is not None and wait.wake()
        waits.clear()
        sleep(0)

    def test_may_be_woken_before_they_are_parked_on(self):
        """The loop may turn in between."""
        wait = Wait("early")
        assert wait.wake(5)
        sleep(0)
        with Timeout(5):
            assert wait.park() == 5
        wait = Wait("early")
        wait.throw(ValueError("early"))
        sleep(0)
        with pytest.raises(ValueError, match="early"):
            wait.park()


class TestTimeouts:
    def test_cancelled_by_another_thread_when_they_fire(self):
        stop, box = [], []

        def other():
            while not stop:
                if box:
                    timeouts, due = box.pop()
                    while time.monotonic() < due:
                        pass
                    for timeout in timeouts:
                        timeout.cancel()
                    timeouts = timeout = None
                time.sleep(0)

        def victim(timeouts):
            for timeout in timeouts:
                timeout.start()
            with contextlib.suppress(Timeout):
                sleep(0.1)

        thread = threading.Thread(target=other)
        thread.start()
        for turn in range(10):
            timeouts = [Timeout(0.01) for _ in range(2000)]
            greenlet = spawn(victim, timeouts)
            sleep(0)
            box.append((timeouts, time.monotonic() + 0.008 + turn * 0.0004))
            timeouts = None
            greenlet.join(5)
            assert greenlet.ready()
        stop.append(1)
        thread.join()

    def test_one_that_another_thread_cancels_is_not_raised(self):
        """The timeout had fired already, while the greenlet was woken by something else."""
        outcome = []

        def work():
            timeout = Timeout.start_new(0.001)
            waited = Wait("both")
            get_hub().run_callback(time.sleep, 0.005)
            get_hub().run_callback(waited.wake)
            waited.park()
            sleep(0)
            thread = threading.Thread(target=timeout.cancel)
            thread.start()
            thread.join()
            sleep(0.001)
            outcome.append("slept")

        # If it ended an earlier wait, it is raised there.
        greenlet = spawn(work)
        greenlet.join()
        assert outcome == ["slept"] or isinstance(greenlet.exception, Timeout)

    def test_one_that_fires_with_another_exception_is_not_raised_after_its_block(self):
        """The timeout fires together with another exception, which leaves the block."""

        def both_due():
            out = []

            def work():
                try:
                    with Timeout(0.01):
                        sleep(5)
                except ValueError:
                    out.append("ValueError")
                except Timeout:
                    return  # on a busy machine, the timeout was due first
                for _ in range(2):
                    sleep(0.002)
                    out.append("slept")

            def throw():
                sleep(0.001)
                if not worker.dead:
                    worker.throw(ValueError)

            worker = spawn(work)
            sleep(0)
            spawn(throw)
            sleep(0)
            time.sleep(0.02)
            worker.get()
            return out

        assert until(both_due) == ["ValueError", "slept", "slept"]

    @pytest.mark.parametrize("make", [spawn, spawn_raw, lambda work: bare(work)], ids=["Greenlet", "raw", "bare"])
    def test_one_of_a_greenlet_that_has_ended_keeps_nothing_alive(self, make):
        """A timeout keeps nothing alive when its time has passed."""
        greenlets = []
        for _ in range(10):
            greenlet = make(lambda: Timeout(0.001).start() or sleep(0))
            greenlets.append(weakref.ref(greenlet))
            del greenlet

        def are_gone():
            get_hub().run_callback(int)  # the hub no longer refers to an earlier callback
            sleep(0)
            gc.collect()
            return not any(ref() for ref in greenlets)

        until(are_gone)


def bare(function):
    """A greenlet without a scheduler, started by the hub."""
    greenlet = greenlet_module.greenlet(function, get_hub())
    get_hub().run_callback(greenlet.switch)
    return greenlet


class TestWatchersInTheReadyQueue:
    def test_may_be_dropped_while_due(self):
        """The watcher was never started, so nothing else refers to it."""
        loop = get_hub().loop
        held = [loop.async_()]
        dropper = spawn(lambda: sleep(0.001) or held.clear())
        sleep(0)
        held[0].send()
        time.sleep(0.005)
        sleep(0.005)
        assert dropper.ready()

    def test_may_be_sent_before_they_are_started(self):
        loop, fired = get_hub().loop, []
        with loop.async_() as watcher:
            watcher.send()
            watcher.start(fired.append, 1)
            until(lambda: fired == [1])

    @pytest.mark.parametrize("method", ["close", "stop"])
    def test_may_be_closed_or_stopped_while_due(self, method):
        loop, fired = get_hub().loop, []
        first, second = loop.timer(0.001), loop.timer(0.001)
        first.start(lambda: getattr(second, method)())
        second.start(fired.append, "second")
        time.sleep(0.005)
        sleep(0.01)
        assert fired == []
        first.close()
        second.close()

    def test_a_watcher_is_initialised_once_only(self):
        loop = get_hub().loop
        with loop.timer(1) as watcher:
            with pytest.raises(RuntimeError, match="already"):
                watcher.__init__(loop, 2)


def test_a_hub_that_ends_while_libuv_s_threads_work_for_it(run_script):
    assert run_script("hub_ends_with_requests.py") == "ended\n"


class TestGreenletsOwnMethods:
    """Methods of greenlet's own class, called on a greenlet of the library."""

    @pytest.mark.parametrize("make", [lambda: Greenlet(int), lambda: spawn(int), lambda: spawn_later(60, int)])
    def test_switch_before_it_has_begun(self, make):
        greenlet = make()
        with pytest.raises(InvalidSwitchError, match="start"):
            greenlet.switch()
        greenlet.kill()
        del greenlet

    @pytest.mark.parametrize("make", [Greenlet, spawn, lambda run: spawn_later(60, run), spawn_raw])
    def test_switch_of_the_base_class_before_it_has_begun(self, make):
        ran = []
        for _ in range(10):
            greenlet = make(lambda: ran.append(1))
            get_hub().run_callback(greenlet_module.greenlet.switch, greenlet)
            sleep(0)
            assert greenlet.dead
            greenlet = None
        gc.collect()
        sleep(0)
        assert len(ran) == 10
        assert not get_hub().statistics()["references"]

    def test_switch_after_a_kill_before_it_began_runs_nothing(self):
        ran = []
        greenlet = spawn(ran.append, 1)
        greenlet.kill()
        get_hub().run_callback(greenlet_module.greenlet.switch, greenlet)
        sleep(0)
        assert ran == []

    @pytest.mark.parametrize("make", [Greenlet, spawn, spawn_raw])
    def test_run_is_refused_and_the_greenlet_runs_later(self, make):
        ran = []
        greenlet = make(lambda: ran.append(1))
        with pytest.raises(InvalidSwitchError, match="start"):
            greenlet.run()
        if make is Greenlet:
            greenlet.start()
        sleep(0)
        assert ran == [1]

    def test_run_within_the_greenlet_is_refused(self, errors):
        greenlet = spawn(lambda: greenlet.run())
        with pytest.raises(InvalidSwitchError, match="start"):
            greenlet.get()

    def test_init_after_the_start_is_refused(self):
        ran = []
        for start in (Greenlet.start, lambda greenlet: greenlet.start_later(60)):
            greenlet = Greenlet(ran.append, 1)
            greenlet.__init__(ran.append, 2)  # allowed before the start
            start(greenlet)
            with pytest.raises(RuntimeError, match="started"):
                greenlet.__init__(ran.append, 3)
            sleep(0)
            greenlet.kill()
        assert ran == [2]

    def test_frames_may_outlive_the_greenlet(self):
        greenlet = spawn_raw(lambda text: sleep(0) or sleep(0), "kept")
        sleep(0)
        frame = greenlet.gr_frame
        sleep(0)
        sleep(0)
        del greenlet
        gc.collect()
        assert frame is None or frame.f_locals

    def test_a_greenlet_may_end_in_another_that_waits(self, errors):
        """The greenlet in which it ends gets an error, as nobody woke it. The others go on."""
        waiting = spawn(lambda: Wait("long").park())
        sleep(0)
        stray = Greenlet(int)
        stray.parent = waiting
        stray.start()
        with pytest.raises(InvalidSwitchError, match="long"):
            waiting.get()
        sleep(0)
        assert stray.value == 0

    def test_the_dict_may_be_emptied_while_it_waits(self):
        """A bare greenlet has its waits in its __dict__."""
        ended = []

        def body():
            Timeout.start_new(0.002)
            greenlet_module.getcurrent().__dict__.clear()
            try:
                sleep(1)
            except Timeout:
                ended.append(True)

        made = [bare(body) for _ in range(10)]
        sleep(0)
        for greenlet in made:
            greenlet.__dict__.clear()
        gc.collect()
        sleep(0.02)
        assert len(ended) <= 10
        for greenlet in made:
            if not greenlet.dead:
                get_hub().throw_soon(greenlet, GreenletExit)
        until(lambda: all(greenlet.dead for greenlet in made))


class TestTheHub:
    def test_running_the_hub_is_refused(self, errors):
        hub = get_hub()
        with pytest.raises(InvalidSwitchError, match="not for users"):
            hub.run()
        hub.run_callback(hub.run)
        sleep(0)
        assert "not for users" in errors.getvalue()

    def test_throwing_into_the_hub_is_refused(self):
        with pytest.raises(InvalidSwitchError, match="thrown into"):
            get_hub().throw(ValueError)
        sleep(0)

    def test_initialising_the_hub_again_is_refused(self):
        with pytest.raises(RuntimeError, match="already"):
            get_hub().__init__()
        sleep(0.001)


class TestInTheWrongThread:
    """Objects that only their own thread may use, which changes them without the GIL."""

    @staticmethod
    def refused(function, *args):
        def attempt():
            with pytest.raises(InvalidThreadUseError):
                function(*args)
            return True

        assert in_thread(attempt)

    def test_calls_of_the_loop_are_refused(self):
        loop = get_hub().loop
        self.refused(loop.closing_fd, 0)
        self.refused(loop.update_now)
        for make in (loop.async_, loop.prepare, lambda: loop.timer(1), lambda: loop.io(0, 1), lambda: loop.stat("/")):
            self.refused(make)

    def test_calls_of_watchers_are_refused(self, pair):
        loop = get_hub().loop
        with loop.timer(1) as timer, loop.async_() as asynchronous, loop.io(pair[0].fileno(), 1) as io:
            for watcher in (timer, asynchronous, io):
                watcher.start(int)
                self.refused(setattr, watcher, "ref", False)
                self.refused(watcher.start, int)
                self.refused(watcher.stop)
                self.refused(watcher.close)
            self.refused(setattr, io, "events", 2)
            assert timer.ref and asynchronous.ref and io.ref and io.active

    def test_calls_of_greenlets_and_waits_are_refused(self):
        greenlet = Greenlet(int)
        self.refused(greenlet.start)
        self.refused(greenlet.throw)
        self.refused(greenlet.throw_or_die, ValueError())
        self.refused(get_hub().throw_soon, greenlet, ValueError)
        wait = Wait("mine")
        self.refused(wait.wake)
        self.refused(wait.throw, ValueError)
        self.refused(wait.park)
        assert not greenlet.dead

    def test_sockets_with_a_timeout_may_be_freed(self):
        """The timer of such a socket's wait still runs in this thread. It frees the rest when it fires."""
        pairs = [socketpair() for _ in range(50)]
        for ours, _theirs in pairs:
            ours.settimeout(0.02)
            spawn(ours.recv, 1)
        sleep(0)
        for _ours, theirs in pairs:
            theirs.send(b"x")
        sleep(0.001)
        closed = [end.close() for both in pairs for end in both]
        assert closed
        held = [pairs]
        del pairs, ours, theirs, _ours, _theirs
        in_thread(lambda: held.clear() or gc.collect())
        sleep(0.03)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("checking", [True, False])
def test_a_check_that_fails_aborts_where_it_is_compiled_in(tmp_path, checking):
    """A check that fails prints its text and place, and aborts. A build without checks does not evaluate them."""
    source, program = tmp_path / "checked.c", tmp_path / "checked"
    source.write_text('#include "checks.h"\nint main(void) { hub_check(1 > 2, "one is greater"); return 0; }\n')
    defines = ["-DHUB_DEBUG=1"] if checking else []
    subprocess.run(["cc", *defines, "-I", str(HEADERS), str(source), "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    if checking:
        assert done.returncode == -signal.SIGABRT
        assert "one is greater" in done.stderr and "checked.c:2: 1 > 2" in done.stderr
    else:
        assert done.returncode == 0 and not done.stderr
