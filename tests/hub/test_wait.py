"""Parking and waking by hand: Wait, Waiter, callbacks, hub.join, and LoopExit with its text."""

import gc
import re
import weakref

import greenlet as greenlet_module
import pytest
from hub import (
    BlockingSwitchOutError,
    ConcurrentObjectUseError,
    InvalidSwitchError,
    LoopExit,
    Wait,
    Waiter,
)  # fmt: skip
from waiting import let_others_run, until, until_waiting

from greenio import GreenletExit, Timeout, get_hub, getcurrent, kill, sleep, spawn, spawn_raw
from greenio.socket import socketpair


class TestWait:
    def test_park_returns_the_value_it_is_woken_with(self):
        wait = Wait("news")
        spawn(wait.wake, 5)
        assert not wait.decided and not wait.parked and wait.greenlet is getcurrent()
        assert wait.park() == 5
        assert wait.decided and not wait.parked and wait.greenlet is None

    @pytest.mark.parametrize("thrown", [(KeyError,), (KeyError("a"),), (KeyError, "a"), (KeyError, ("a",), None)])
    def test_park_raises_what_is_thrown(self, thrown):
        wait = Wait()
        spawn(wait.throw, *thrown)
        with pytest.raises(KeyError):
            wait.park()

    def test_the_first_wake_decides(self):
        wait = Wait()
        assert wait.wake(1) is True
        assert wait.wake(2) is False and wait.throw(KeyError) is False
        assert wait.park() == 1
        assert wait.wake(3) is False

    def test_a_wait_is_used_once_only(self):
        wait = Wait()
        wait.wake()
        wait.park()
        with pytest.raises(RuntimeError, match="make a new one"):
            wait.park()

    def test_another_greenlet_may_not_park_on_it(self):
        wait = Wait()
        other = spawn(wait.park)
        get_hub().exception_stream = None
        with pytest.raises(InvalidSwitchError, match="only that greenlet"):
            other.get()
        del get_hub().__dict__["_exception_stream"]

    def test_a_wait_is_initialised_once_only(self):
        wait = Wait()
        with pytest.raises(RuntimeError, match="already"):
            wait.__init__()

    def test_park_raises_after_its_timeout(self):
        with pytest.raises(TimeoutError, match="nothing woke"):
            Wait("nothing").park(timeout=0.001)

    def test_a_timeout_that_is_not_reached(self):
        wait = Wait()
        spawn(wait.wake, 1)
        assert wait.park(timeout=30) == 1

    def test_throw_refuses_what_is_no_exception(self):
        wait = Wait()
        with pytest.raises(TypeError, match="BaseException"):
            wait.throw(5)
        assert not wait.decided

    def test_the_hub_cannot_make_one(self, errors):
        get_hub().run_callback(Wait)
        until(errors.getvalue)
        assert "BlockingSwitchOutError" in errors.getvalue()

    def test_it_is_dropped_with_its_greenlet(self):
        """A wait that is never parked on, or whose greenlet was killed, keeps nothing alive."""
        made = []

        def body():
            wait = Wait(Thing())
            made.append(weakref.ref(wait.what))
            wait.park()

        class Thing:
            pass

        greenlet = spawn(body)
        sleep(0)
        greenlet.kill()
        Wait(Thing())
        del greenlet
        gc.collect()
        assert made[0]() is None

    def test_switching_to_a_greenlet_that_waits(self):
        """The greenlet that waits gets an error, and the one that switched to it gets its turn again."""
        get_hub().exception_stream = None
        waiting = spawn(lambda: Wait("a word").park())
        sleep(0)
        meddler = spawn(waiting.switch)
        with pytest.raises(InvalidSwitchError, match="a word"):
            waiting.get()
        meddler.kill()
        del get_hub().__dict__["_exception_stream"]

    def test_collected_while_parked(self):
        """A bare greenlet ends when the last reference goes, and so does its wait."""
        ended, waits = [], []

        def body():
            waits.append(Wait("never"))
            try:
                waits[0].park()
            finally:
                ended.append(True)

        bare = greenlet_module.greenlet(body, get_hub())
        get_hub().run_callback(bare.switch)
        sleep(0)
        # The hub refers to its last callback, and with it to the greenlet, until it runs another one.
        get_hub().run_callback(int)
        sleep(0)
        assert get_hub().statistics()["parked"] == 1 and waits[0].greenlet is bare
        del bare
        assert ended == [True] and waits[0].greenlet is None and waits[0].wake() is False
        assert get_hub().statistics()["parked"] == 0

    def test_collected_while_parked_on_a_socket(self):
        """Data will wake the greenlet. So it is not collected, though the program has no reference to it."""
        ours, theirs = socketpair()
        received = []
        spawn_raw(lambda: received.append(ours.recv(10)))
        sleep(0)
        gc.collect()
        theirs.sendall(b"here")
        until(lambda: received)
        assert received == [b"here"]
        ours.close()
        theirs.close()


class TestWaiter:
    def test_get_returns_a_value_that_came_before(self):
        waiter = Waiter()
        waiter.switch(5)
        assert waiter.ready() and waiter.successful() and waiter.get() == 5

    def test_get_waits_for_the_value(self):
        waiter = Waiter()
        get_hub().run_callback(waiter.switch, "hello")
        assert waiter.get() == "hello"

    def test_get_raises_what_was_thrown_before(self):
        waiter = Waiter()
        waiter.throw(KeyError("no"))
        assert waiter.ready() and not waiter.successful() and waiter.exc_info[0] is KeyError
        with pytest.raises(KeyError):
            waiter.get()

    def test_throw_while_waiting(self):
        waiter = Waiter()
        get_hub().run_callback(waiter.throw, ValueError)
        with pytest.raises(ValueError):
            waiter.get()

    def test_a_cleared_waiter_can_be_used_again(self):
        waiter = Waiter()
        waiter.switch_args(1, 2)
        assert waiter.get() == (1, 2)
        waiter.clear()
        assert not waiter.ready()
        spawn(waiter.switch, 3)
        assert waiter.get() == 3

    def test_a_second_get_is_refused(self):
        waiter = Waiter()
        first = spawn(waiter.get)
        sleep(0)
        with pytest.raises(ConcurrentObjectUseError, match="already"):
            waiter.get()
        waiter.switch(1)
        assert first.get() == 1

    def test_it_is_usable_after_a_kill_of_its_waiter(self):
        waiter = Waiter()
        greenlet = spawn(waiter.get)
        sleep(0)
        greenlet.kill()
        waiter.switch(7)
        assert waiter.get() == 7

    def test_it_can_be_a_link(self):
        waiter = Waiter()
        spawn(lambda: 9).rawlink(waiter)
        assert waiter.get() == 9


class TestHubSwitch:
    def test_a_callback_may_switch_back(self):
        current = getcurrent()
        get_hub().run_callback(current.switch, "back")
        assert get_hub().switch() == "back"

    def test_loop_exit_where_nothing_can_wake_it(self):
        with pytest.raises(LoopExit):
            get_hub().switch()

    def test_a_greenlet_that_switched_to_the_hub_can_be_killed(self):
        greenlet = spawn(lambda: get_hub().switch())
        sleep(0)
        kill(greenlet)
        greenlet.join(timeout=5)
        assert isinstance(greenlet.value, GreenletExit)

    def test_a_timeout_ends_a_wait_of_a_greenlet(self):
        def body():
            with pytest.raises(Timeout), Timeout(0.001):
                sleep(30)
            return "done"

        assert spawn(body).get() == "done"


class TestCallbacks:
    def test_they_run_in_order_on_the_hub(self):
        seen = []
        for number in range(3):
            get_hub().run_callback(lambda n: seen.append((n, getcurrent() is get_hub())), number)
        assert seen == []
        sleep(0)
        assert seen == [(0, True), (1, True), (2, True)]

    def test_a_callback_that_was_stopped_is_not_called(self):
        called = []
        callback = get_hub().run_callback(called.append, 1)
        assert callback.pending and callback
        callback.stop()
        callback.stop()
        assert not callback.pending and "stopped" in repr(callback)
        let_others_run()
        assert not called

    def test_an_earlier_one_may_stop_a_later_one(self):
        seen = []
        get_hub().run_callback(lambda: second.stop())
        second = get_hub().run_callback(seen.append, 1)
        let_others_run()
        assert seen == []

    def test_one_that_schedules_another_does_not_starve_greenlets(self):
        hub, count = get_hub(), []

        def again():
            count.append(1)
            callback[0] = hub.run_callback(again)

        callback = [hub.run_callback(again)]
        until(lambda: len(count) > 5)
        callback[0].stop()

    def test_errors_are_reported_and_the_hub_goes_on(self, errors):
        get_hub().run_callback(lambda: 1 / 0)
        until(errors.getvalue)
        assert "ZeroDivisionError" in errors.getvalue()

    def test_one_that_waits_gets_a_named_error(self, errors):
        get_hub().run_callback(sleep, 1)
        until(errors.getvalue)
        assert "BlockingSwitchOutError" in errors.getvalue() and "spawn a greenlet" in errors.getvalue()

    @pytest.mark.parametrize("method", ["run_callback", "run_callback_threadsafe"])
    def test_an_object_that_cannot_be_called_is_refused(self, method):
        with pytest.raises(TypeError, match="callable"):
            getattr(get_hub(), method)(5)


class TestJoin:
    def test_join_waits_until_nothing_is_left_to_do(self):
        seen = []
        spawn(lambda: (sleep(0.001), spawn(seen.append, 1)))
        assert get_hub().join() is True and seen == [1]

    def test_join_gives_up_after_its_timeout(self):
        greenlet = spawn(sleep, 60)
        assert get_hub().join(timeout=0.001) is False
        assert get_hub().join(timeout=-1) is False
        greenlet.kill()

    def test_greenlets_that_nothing_can_wake_do_not_count(self):
        stuck = spawn(lambda: Wait("never").park())
        assert get_hub().join() is True
        stuck.kill()

    def test_join_is_for_the_main_greenlet(self):
        get_hub().exception_stream = None
        with pytest.raises(BlockingSwitchOutError):
            spawn(get_hub().join).get()
        del get_hub().__dict__["_exception_stream"]


class TestLoopExit:
    def test_it_names_the_waits_and_who_spawned_them(self):
        stuck = []

        def inner():
            Wait("a value that nobody puts").park()

        def outer():
            stuck.append(spawn(inner))
            stuck[1].join()

        stuck.append(spawn(outer))
        with pytest.raises(LoopExit) as caught:
            stuck[0].join()
        text = str(caught.value)
        assert caught.value.hub is get_hub()
        assert text.startswith("This operation would block forever\n3 greenlets wait:\n  main greenlet\n")
        assert "waits on a value that nobody puts" in text
        places = re.findall(r"at (\S+):\d+ in (\w+)", text)
        assert {function for _, function in places} >= {
            "inner",
            "outer",
            "test_it_names_the_waits_and_who_spawned_them",
        }
        assert all(file == __file__ for file, _ in places)
        assert f"spawned at {__file__}" in text and re.search(r"by <Greenlet .*outer|by <Greenlet ", text)
        stuck[1].kill()
        stuck[0].kill()

    def test_a_wait_in_the_standard_library_is_told_with_the_line_of_the_program(self):
        ours, theirs = socketpair()
        with ours, theirs, ours.makefile("rb") as lines:
            reader = spawn(lambda: lines.readline())
            until_waiting(reader)
            text = get_hub().format_waits()
            theirs.sendall(b"\n")
            reader.join()
        assert re.search(
            rf"at \S+/socket\.py:\d+ in readinto\n +called at {re.escape(__file__)}:\d+ in <lambda>\n", text
        )

    def test_a_program_can_go_on_after_it(self):
        for _ in range(3):
            with pytest.raises(LoopExit):
                Wait("nothing").park()
        sleep(0.001)

    def test_an_open_socket_is_something_to_wait_for(self):
        ours, theirs = socketpair()
        with pytest.raises(Timeout), Timeout(0.002, ref=False):
            ours.recv(1)
        ours.close()
        theirs.close()

    def test_only_the_main_greenlet_gets_it(self):
        """A greenlet that waits for ever is no error as long as the main greenlet has something to wait for."""
        stuck = spawn(lambda: Wait("nothing").park())
        let_others_run()
        assert not stuck.dead
        stuck.kill()

    def test_it_names_an_object_whose_repr_fails(self):
        class Bad:
            def __repr__(self):
                raise ValueError("no repr today")

        with pytest.raises(LoopExit, match="whose repr failed"):
            Wait(Bad()).park()


# --- in the middle of a switch --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        "result_of_a_greenlet", "result_while_others_run_once", "let_others_run_once", "a_sleep", "a_lock", "a_timeout",
        "twice", "a_hub_while_a_hub_is_made",
    ],
)  # fmt: skip
def test_a_finalizer_that_waits_while_its_greenlet_switches_away(run_script, what):
    """Meanwhile, something may wake the greenlet."""
    assert run_script("finalizers_in_switches.py", what) == "done\n"
