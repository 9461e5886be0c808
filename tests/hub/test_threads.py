"""One hub per thread, and the few calls that other threads may make of it."""

import gc
import threading
import time
import weakref

import pytest
from greenlet import getcurrent, greenlet
from hub import HubDestroyed, InvalidThreadUseError, LoopExit, Wait, get_hub_if_exists
from waiting import LIMIT, in_thread, until

from greenio import Greenlet, Timeout, get_hub, joinall, sleep, spawn
from greenio.socket import socketpair


def test_each_thread_has_its_own_hub():
    here = get_hub()
    assert in_thread(get_hub_if_exists) is None
    assert in_thread(lambda: get_hub() is not here and get_hub() is get_hub())
    assert not in_thread(lambda: get_hub().loop.default)


def test_the_hub_ends_with_its_thread():
    hub = in_thread(get_hub)
    assert hub.destroyed
    assert hub.loop.destroyed
    with pytest.raises(HubDestroyed):
        hub.run_callback_threadsafe(print)
    with pytest.raises((HubDestroyed, InvalidThreadUseError)):
        hub.run_callback(print)


def test_greenlets_of_a_thread_are_ended_with_it():
    ended = []

    def waits():
        try:
            sleep(1000)
        finally:
            ended.append(1)

    def work():
        greenlets = [spawn(waits) for _ in range(5)]
        spawn(ended.append, "never")
        sleep(0)
        spawn(ended.append, "never started")
        return greenlets

    greenlets = in_thread(work)
    assert ended.count(1) == 5
    assert "never started" not in ended
    assert all(greenlet.dead for greenlet in greenlets)


def test_current_thread_at_the_end_of_a_thread_leaves_no_dummy():
    seen = []

    def waits():
        try:
            sleep(1000)
        finally:
            seen.append(threading.current_thread())

    def work():
        spawn(waits)
        sleep(0)

    in_thread(work)
    assert seen and seen[0] not in threading.enumerate()


def test_destroy_and_a_new_hub():
    def work():
        first = get_hub()
        first.destroy()
        first.destroy()
        assert get_hub_if_exists() is None
        second = get_hub()
        assert second is not first
        sleep(0.001)
        assert joinall([spawn(sleep, 0.001)])
        with pytest.raises(HubDestroyed):
            first.join()
        return first.destroyed, second.destroyed

    assert in_thread(work) == (True, False)


class TestTimeoutsOfALoopThatHasEnded:
    """Their timers have ended with the loop, and other timers use the memory now."""

    def test_may_be_cancelled_when_the_thread_has_another_loop(self):
        def work():
            old = [Timeout.start_new(60) for _ in range(100)]
            get_hub().destroy()
            sleepers = [spawn(sleep, 0.01) for _ in range(100)]
            sleep(0)
            for each in old:
                each.cancel()
            assert not any(each.pending for each in old)
            return len(joinall(sleepers, timeout=30))

        assert in_thread(work) == 100

    def test_may_be_cancelled_in_another_thread(self):
        old = in_thread(lambda: [Timeout.start_new(60) for _ in range(100)])
        gc.collect()
        sleepers = [spawn(sleep, 0.01) for _ in range(100)]
        sleep(0)
        for each in old:
            each.cancel()
        assert len(joinall(sleepers, timeout=30)) == 100


@pytest.mark.parametrize("seconds, asleep", [(0.02, False), (600, False), (600, True)])
def test_a_timeout_that_another_thread_cancels_does_not_keep_the_hub_waiting(seconds, asleep):
    started, cancelled = threading.Event(), threading.Event()
    timeouts = []

    def cancel():
        started.wait()
        if asleep:
            time.sleep(0.05)
        timeouts[0].cancel()
        cancelled.set()

    def work():
        timeouts.append(Timeout.start_new(seconds))
        started.set()
        if not asleep:
            cancelled.wait()
        return get_hub().join(timeout=20) and get_hub().loop.activecnt == 0

    other = threading.Thread(target=cancel)
    other.start()
    assert in_thread(work)
    other.join()


def test_destroy_is_for_the_main_greenlet():
    def work():
        with pytest.raises(AssertionError, match="main greenlet"):
            spawn(get_hub().destroy).get()

    get_hub().exception_stream = None
    try:

        def quiet():
            get_hub().exception_stream = None
            work()

        in_thread(quiet)
    finally:
        del get_hub().__dict__["_exception_stream"]


def test_callbacks_from_many_threads_all_run_once():
    hub = get_hub()
    ran = []
    wait = Wait("all callbacks")

    def note(number):
        ran.append(number)
        if len(ran) == 4000:
            wait.wake()

    def send(first):
        for number in range(first, first + 1000):
            hub.run_callback_threadsafe(note, number)

    threads = [threading.Thread(target=send, args=(first,)) for first in range(0, 4000, 1000)]
    for thread in threads:
        thread.start()
    wait.park(20)
    for thread in threads:
        thread.join()
    assert sorted(ran) == list(range(4000))


def test_a_failing_callback_from_a_thread_is_reported():
    hub = get_hub()
    reported = []
    hub.handle_error = lambda *args: reported.append(args[1])
    try:
        in_thread(lambda: hub.run_callback_threadsafe(lambda: 1 / 0))
        until(lambda: reported)
    finally:
        del hub.handle_error
    assert reported == [ZeroDivisionError]


def test_calls_that_other_threads_may_not_make_say_so():
    hub = get_hub()
    wait = Wait("something")
    greenlet = Greenlet(print)
    for function in (
        lambda: hub.run_callback(print),
        lambda: wait.wake(),
        lambda: wait.throw(ValueError),
        lambda: hub.throw_soon(hub.main, ValueError),
        greenlet.start,
        lambda: greenlet.start_later(1),
    ):
        with pytest.raises(InvalidThreadUseError, match="run_callback_threadsafe"):
            in_thread(function)
    wait.wake()
    greenlet.kill()


def test_kill_and_join_from_another_thread():
    greenlet = spawn(sleep, 100)
    sleep(0)
    done = []

    def work():
        greenlet.kill(timeout=10)
        done.append(greenlet.dead)
        assert greenlet.get() == greenlet.value

    thread = threading.Thread(target=work)
    thread.start()
    greenlet.join(10)
    until(lambda: done)
    thread.join()
    assert done == [True]


def test_wait_in_a_thread_for_a_greenlet_of_another():
    hub, waits, results = get_hub(), [], []

    def work():
        waits.append(Wait("the other thread"))
        return waits[0].park(10)

    greenlet = spawn(work)
    sleep(0)

    def wake_and_get():
        assert greenlet.join(0.01) is None
        hub.run_callback_threadsafe(waits[0].wake, "value")
        results.append(greenlet.get(timeout=10))

    thread = threading.Thread(target=wake_and_get)
    thread.start()
    until(lambda: results or not thread.is_alive())
    thread.join()
    assert results == ["value"]


def test_a_socket_shared_by_two_threads():
    ours, theirs = socketpair()

    def read():
        return ours.recv(10)

    received = []
    thread = threading.Thread(target=lambda: received.append(read()))
    thread.start()
    theirs.sendall(b"x")
    mine = spawn(read)
    sleep(0)
    theirs.sendall(b"y")
    until(lambda: len(received) + mine.ready() == 2)
    thread.join()
    assert sorted([*received, mine.value]) == [b"x", b"y"]
    ours.close()
    theirs.close()


def test_closing_a_socket_wakes_waiters_in_other_threads():
    ours, theirs = socketpair()
    waiting = threading.Event()
    errors = []

    def read():
        spawn(waiting.set)
        try:
            ours.recv(1)
        except OSError as error:
            errors.append(error.errno)

    reader = threading.Thread(target=read)
    reader.start()
    waiting.wait(10)
    ours.close()
    reader.join(10)
    assert not reader.is_alive()
    theirs.close()
    assert errors == [9]


def test_loop_exit_is_per_thread():
    def work():
        with pytest.raises(LoopExit):
            Wait("for ever").park()
        return "done"

    keep = spawn(sleep, 0.05)
    assert in_thread(work) == "done"
    keep.join()


def test_many_threads_with_many_greenlets():
    def work():
        greenlets = [spawn(sleep, 0.001 * (i % 5)) for i in range(200)]
        return len(joinall(greenlets))

    results = []
    threads = [threading.Thread(target=lambda: results.append(work())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 8


def test_a_socket_does_not_keep_the_hubs_of_threads_that_have_ended():
    ours, theirs = socketpair()
    ours.settimeout(0.001)

    def run():
        with pytest.raises(TimeoutError):
            ours.recv(1)
        return weakref.ref(get_hub())

    hubs = [in_thread(run) for _ in range(10)]
    gc.collect()
    assert sum(hub() is not None for hub in hubs) < 3

    # The socket remembers a watch of a hub that has ended. It takes another one, with other timers.
    theirs.sendall(b"x")
    assert in_thread(ours.recv, 1) == b"x"
    with pytest.raises(TimeoutError):
        ours.recv(1)
    ours.close()
    theirs.close()


def test_a_bare_greenlet_that_another_thread_drops_waits_at_its_end():
    """greenlet ends it in its next call in this thread. No greenlet loses its turn, whichever runs the loop then."""
    ended = []

    def bare(back):
        try:
            back.switch()
        finally:
            sleep(0.03)
            ended.append(1)

    def drop(box, may_drop):
        with may_drop:
            box.clear()

    def run_the_loop(may_drop):
        may_drop.release()  # the other thread goes on when this one releases the GIL, which is in the loop
        sleep(0.02)

    for rounds in range(1, 4):
        made = greenlet(bare, get_hub())
        made.switch(getcurrent())
        box, may_drop = [made], threading.Lock()
        del made
        may_drop.acquire()
        thread = threading.Thread(target=drop, args=(box, may_drop))
        thread.start()
        with Timeout(LIMIT):
            joinall([spawn(sleep, 0.01), spawn(run_the_loop, may_drop)])
        thread.join()
        until(lambda rounds=rounds: len(ended) == rounds)
