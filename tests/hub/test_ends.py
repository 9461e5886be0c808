"""How a hub ends, with its thread or by destroy(): all of its greenlets end, and nobody waits for them for ever."""

import contextlib
import threading
import warnings

import greenlet as greenlets
import pytest
from hub import HubDestroyed, InvalidThreadUseError, Wait

from greenio import Greenlet, get_hub, joinall, kill, sleep, spawn, spawn_later, spawn_raw
from greenio.event import AsyncResult, Event
from greenio.lock import Semaphore
from greenio.queue import Queue
from greenio.socket import socketpair


def run_thread(function, meanwhile=None):
    """Run a function in a thread and wait for its end; return its result. `meanwhile()` is called in this thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    if meanwhile is not None:
        meanwhile()
    thread.join(30)
    assert not thread.is_alive()
    return results[0]


def sleeps():
    sleep(1000)


def lets_others_run():
    while True:
        sleep(0)


def stands_in_line():
    Semaphore(0).acquire()


def waits_for_a_socket():
    ours, theirs = socketpair()
    with ours, theirs:
        ours.recv(1)


def waits_for_an_item():
    Queue().get(timeout=1000)


WAITS = [sleeps, lets_others_run, stands_in_line, waits_for_a_socket, waits_for_an_item]


class TestEachGreenlet:
    @pytest.mark.parametrize("wait", WAITS)
    @pytest.mark.parametrize("start", [spawn, spawn_raw])
    def test_runs_its_finally_block_and_releases_its_lock(self, wait, start):
        lock, ended = Semaphore(1), []

        def work():
            with lock:
                try:
                    wait()
                finally:
                    for _ in range(20):  # each of these tries to wait
                        try:
                            sleep(0.001)
                        finally:
                            ended.append(1)

        def thread():
            made = start(work)
            sleep(0.001)
            return made

        made = run_thread(thread)
        assert len(ended) >= 1 and lock.acquire(timeout=1) and made.dead

    def test_nested_ends_all_run(self):
        ended = []

        def nested(depth):
            try:
                sleep(1000)
            finally:
                try:
                    if depth:
                        nested(depth - 1)
                finally:
                    ended.append(depth)

        def thread():
            spawn(nested, 20)
            sleep(0)

        run_thread(thread)
        assert ended == list(range(21))

    def test_gets_a_lock_that_another_thread_granted_to_it(self):
        lock, stands, log = Semaphore(0), threading.Event(), []

        def work():
            with lock:
                log.append("granted")
                try:
                    sleep(1)
                finally:
                    log.append("finally")

        released = threading.Event()

        def thread():
            spawn(work)
            sleep(0)
            stands.set()
            released.wait()

        def release():
            stands.wait()
            lock.release()
            released.set()

        run_thread(thread, release)
        assert log == ["granted", "finally"] and lock.acquire(timeout=1)

    def test_gets_pending_exceptions_before_its_end(self):
        caught = []

        def work():
            wait = Wait("a value")
            wakes.append(wait)
            wait.park()
            for _ in range(3):
                try:
                    sleep(1000)
                except BaseException as error:
                    caught.append(type(error))

        wakes = []

        def thread():
            made = spawn(work)
            sleep(0)
            wakes[0].wake()
            made.kill(ValueError, block=False)
            made.kill(KeyError, block=False)

        run_thread(thread)
        assert caught == [ValueError, KeyError, HubDestroyed]

    @pytest.mark.parametrize(
        "start", [spawn, spawn_raw, lambda function: spawn_later(0.001, function), lambda f: spawn_later(9, f)]
    )
    def test_that_has_not_begun_ends_without_running(self, start):
        began = []

        def thread():
            get_hub()
            return start(lambda: began.append(1))

        made = run_thread(thread)
        assert not began and made.dead
        if isinstance(made, Greenlet):
            made.join()
            assert isinstance(made.get(), HubDestroyed)

    def test_that_was_never_started_is_not_waited_for(self):
        made = run_thread(lambda: Greenlet(print))
        made.kill()
        assert made.dead
        made = run_thread(lambda: Greenlet(print))
        made.join()
        assert made.dead
        with pytest.raises(HubDestroyed):
            run_thread(lambda: Greenlet(print)).start()


class TestWaitersForItsGreenlets:
    @pytest.mark.parametrize("unfinished", ["waits", "not begun", "later"])
    def test_in_another_thread_are_woken(self, unfinished):
        result, linked, made, ready = AsyncResult(), Event(), [], threading.Event()

        def thread():
            one = spawn_later(1000, sleeps) if unfinished == "later" else spawn(sleeps)
            if unfinished == "waits":
                sleep(0)
            one.link(result)
            one.rawlink(lambda _: linked.set())
            made.append(one)
            ready.set()
            goes.wait()

        goes = threading.Event()

        def wait():
            ready.wait()
            joiners = [spawn(made[0].join), spawn(made[0].get)]
            sleep(0)
            goes.set()
            assert len(joinall(joiners, timeout=10)) == 2
            assert linked.wait(10) and isinstance(result.get(timeout=10), HubDestroyed)

        run_thread(thread, wait)

    def test_may_come_afterwards(self):
        def thread():
            made = spawn(sleeps)
            sleep(0)
            return made

        made = run_thread(thread)
        called = []
        made.rawlink(called.append)
        assert joinall([made, made], timeout=10) == [made]
        kill(made)
        sleep(0)
        assert called == [made]


class TestGreenletsThatRefuseToEnd:
    @pytest.mark.parametrize("wait", [sleeps, lets_others_run, stands_in_line, waits_for_an_item])
    @pytest.mark.parametrize("start", [spawn, spawn_raw])
    def test_are_named_and_joined(self, wait, start):
        tries = []

        def stubborn():
            while True:
                try:
                    wait()
                except BaseException:
                    tries.append(1)

        def thread():
            made = start(stubborn)
            sleep(0.001)
            with pytest.warns(RuntimeWarning, match="stubborn|RawGreenlet|Greenlet-0"):
                get_hub().destroy()
            return made

        made = run_thread(thread)
        assert 10 < len(tries) < 1000
        if start is spawn:
            made.join(10)
            assert made.dead and isinstance(made.value, HubDestroyed)

    def test_many_of_them(self):
        def stubborn():
            while True:
                with contextlib.suppress(BaseException):
                    sleep(1)

        def thread():
            made = [spawn(stubborn) for _ in range(30)]
            sleep(0)
            with pytest.warns(RuntimeWarning, match="and 20 more") as warned:
                get_hub().destroy()
            return made, len(warned)

        made, count = run_thread(thread)
        assert count == 1 and len(joinall(made, timeout=10)) == 30


class TestCallbacks:
    def test_that_were_scheduled_run(self):
        ran = []

        def thread():
            hub = get_hub()
            hub.run_callback(ran.append, 1)
            hub.run_callback_threadsafe(ran.append, 2)
            hub.run_callback(hub.run_callback, ran.append, 3)

        run_thread(thread)
        assert sorted(ran) == [1, 2, 3]

    def test_that_schedule_themselves_for_ever_are_ended(self):
        def again():
            get_hub().run_callback(again)

        run_thread(again)

    def test_a_callback_cannot_wait_as_the_hub_ends(self):
        caught = []

        def waits():
            try:
                sleep(1)
            except BaseException as error:
                caught.append(type(error))

        run_thread(lambda: get_hub().run_callback(waits) and None)
        assert caught == [HubDestroyed]

    def test_from_other_threads_run_or_are_refused(self):
        """No callback is accepted and then forgotten."""

        def once():
            ran, taken, hubs, ready = [], [], [], threading.Event()

            def thread():
                hubs.append(get_hub())
                ready.set()
                sleep(0.001)

            def ask():
                ready.wait()
                with contextlib.suppress(HubDestroyed):
                    while True:
                        hubs[0].run_callback_threadsafe(ran.append, 1)
                        taken.append(1)

            run_thread(thread, ask)
            return len(ran) - len(taken)

        assert [once() for _ in range(20)] == [0] * 20


class TestDestroy:
    def test_raises_an_exit_for_the_main_greenlet(self):
        def ends_the_program():
            try:
                sleep(1000)
            finally:
                raise SystemExit(3)

        def thread():
            spawn(ends_the_program)
            kill(get_hub().main, KeyError("to be raised"))
            sleep_once()
            with pytest.raises(SystemExit) as raised:
                get_hub().destroy()
            return raised.value.code

        def sleep_once():
            with pytest.raises(KeyError):
                sleep(0)
            sleep(0)

        assert run_thread(thread) == 3

    def test_raises_all_that_is_pending(self):
        def thread():
            main = get_hub().main
            kill(main, KeyError("first"))
            kill(main, ValueError("second"))
            with pytest.raises(ValueError, match="second") as raised:
                get_hub().destroy()
            return type(raised.value.__context__)

        assert run_thread(thread) is KeyError

    def test_is_harmless_in_a_callback_of_its_own(self):
        def thread():
            hub = get_hub()
            hub.run_callback(hub.destroy)
            hub.destroy()
            return hub.destroyed

        assert run_thread(thread)

    def test_what_is_spawned_meanwhile_ends_too(self):
        made = []

        def work():
            try:
                sleep(1000)
            finally:
                made.append(spawn(made.append, "never"))
                made.append(spawn_later(1, made.append, "never"))

        def thread():
            spawn(work)
            sleep(0)

        run_thread(thread)
        assert len(made) == 2 and all(each.dead for each in made)


class TestKillOfABareGreenletOfAnotherThread:
    def bare(self):
        return spawn_raw(self.work)

    def plain(self):
        made = greenlets.greenlet(self.work, get_hub())
        get_hub().run_callback(made.switch)
        return made

    def main(self):
        return get_hub().main

    def work(self):
        try:
            sleep(30)
        except LookupError as error:
            self.caught.append(error)

    @pytest.mark.parametrize("kind", ["bare", "plain", "main"])
    def test_arrives_at_once(self, kind):
        self.caught, made, ready = [], [], threading.Event()

        def thread():
            made.append(getattr(self, kind)())
            spawn(ready.set)
            if kind == "main":
                self.work()
            else:
                while not self.caught:
                    sleep(0.001)

        def throw():
            ready.wait()
            kill(made[0], LookupError("thrown"))

        run_thread(thread, throw)
        assert [str(error) for error in self.caught] == ["thrown"]

    def test_that_has_not_begun(self):
        made, ready, killed = [], threading.Event(), threading.Event()

        def thread():
            made.append(spawn_raw(print, "never"))
            ready.set()
            killed.wait()
            sleep(0)
            return made[0].dead

        def throw():
            ready.wait()
            kill(made[0])
            killed.set()

        assert run_thread(thread, throw)

    def test_in_a_thread_without_a_hub(self):
        made, ready, done = [], threading.Event(), threading.Event()

        def thread():
            one = greenlets.greenlet(lambda: one.parent.switch())
            one.switch()
            made.append(one)
            ready.set()
            done.wait()
            one.switch()

        def throw():
            ready.wait()
            try:
                with pytest.raises(InvalidThreadUseError, match="has no hub"):
                    kill(made[0])
            finally:
                done.set()

        run_thread(thread, throw)


def test_no_warning_is_given_where_all_greenlets_end():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_thread(lambda: [spawn(wait) for wait in WAITS] and sleep(0.001))
