"""Timeout in all its forms, and with_timeout."""

import gc
import weakref

import greenlet
import pytest
from hub import Wait
from waiting import until

from greenio import Timeout, get_hub, joinall, sleep, spawn, with_timeout


class Custom(Exception):
    pass


class TestForms:
    def test_it_raises_itself(self):
        with pytest.raises(Timeout) as caught, Timeout(0.001) as timeout:
            sleep(60)
        assert caught.value is timeout
        assert str(timeout) == "0.001 seconds"

    @pytest.mark.parametrize("text", ["too slow", ""])
    def test_a_text_is_part_of_its_str(self, text):
        with pytest.raises(Timeout) as caught, Timeout(0.001, text):
            sleep(60)
        assert str(caught.value) == f"0.001 seconds: {text}"

    def test_an_exception_class_is_raised(self):
        with pytest.raises(Custom), Timeout(0.001, Custom):
            sleep(60)

    def test_an_exception_instance_is_raised(self):
        instance = Custom("mine")
        with pytest.raises(Custom) as caught, Timeout(0.001, instance):
            sleep(60)
        assert caught.value is instance

    def test_a_silent_one_is_swallowed_by_its_own_block(self):
        reached = []
        with Timeout(0.001, False):
            sleep(60)
            reached.append(1)
        assert not reached

    def test_a_silent_one_does_not_swallow_another(self):
        with pytest.raises(Timeout) as caught, Timeout(0.001) as outer, Timeout(30, False):
            sleep(60)
        assert caught.value is outer

    def test_none_never_expires(self):
        with Timeout(None) as timeout:
            assert not timeout.pending
            sleep(0.001)

    def test_zero_expires_at_the_first_wait(self):
        with pytest.raises(Timeout), Timeout(0):
            sleep(60)

    def test_an_object_that_cannot_be_raised_is_refused(self):
        with pytest.raises(TypeError, match="not an exception"), Timeout(0.001, 5):
            sleep(60)

    @pytest.mark.parametrize("seconds", ["1", object(), float("nan")])
    def test_what_is_no_number_of_seconds_is_refused(self, seconds):
        with pytest.raises((TypeError, ValueError)):
            Timeout(seconds).start()

    def test_a_timeout_is_no_exception_that_programs_catch(self):
        assert issubclass(Timeout, BaseException) and not issubclass(Timeout, Exception)

    def test_a_subclass_is_raised_as_itself(self):
        class Mine(Timeout):
            pass

        with pytest.raises(Mine), Mine(0.001):
            sleep(60)

    def test_a_subclass_has_arguments_of_its_own(self):
        class TooSlow(Timeout):
            def __init__(self, seconds, limit, *names, unit="s"):
                super().__init__(seconds)
                self.text = f"{limit} {unit} for {', '.join(names)}"

        with pytest.raises(TooSlow) as raised, TooSlow(0.001, 10, "a", "b", "c", "d", unit="ms"):
            sleep(60)
        assert raised.value.text == "10 ms for a, b, c, d"


class TestByHand:
    def test_it_can_be_started_and_cancelled_by_hand(self):
        timeout = Timeout(30)
        assert not timeout.pending
        timeout.start()
        assert timeout.pending
        with pytest.raises(AssertionError, match="already started"):
            timeout.start()
        timeout.cancel()
        timeout.cancel()
        assert not timeout.pending
        timeout.start()
        timeout.close()

    def test_start_new_starts_a_number_or_a_timeout(self):
        timeout = Timeout.start_new(30)
        assert timeout.pending and timeout.seconds == 30
        assert Timeout.start_new(timeout) is timeout
        timeout.cancel()
        assert Timeout.start_new(timeout) is timeout and timeout.pending
        timeout.cancel()
        assert not Timeout.start_new(None).pending

    def test_it_interrupts_the_greenlet_that_started_it(self):
        timeout = Timeout(0.001)
        timeout.start()
        other = spawn(sleep, 0.005)
        with pytest.raises(Timeout) as caught:
            sleep(60)
        assert caught.value is timeout
        other.join()
        assert other.successful()

    def test_another_greenlet_may_cancel_it(self):
        timeout = Timeout.start_new(0.002)
        spawn(timeout.cancel)
        sleep(0.005)

    def test_one_that_is_due_when_its_block_ends_does_not_interrupt(self):
        """A timeout does not interrupt anything after its block."""
        import time

        with Timeout(0.001):
            time.sleep(0.003)
            get_hub().loop.update_now()  # the timeout is due, and has not fired
        sleep(0.002)

    def test_one_that_is_due_interrupts_the_next_wait(self):
        import time

        with pytest.raises(Timeout), Timeout(0.001):
            time.sleep(0.003)
            spawn(sleep, 0)
            sleep(60)

    def test_a_running_one_keeps_the_loop_alive(self):
        with pytest.raises(Timeout), Timeout(0.001):
            Wait("nothing").park()

    def test_one_without_ref_does_not_keep_the_loop_alive(self):
        from hub import LoopExit

        with pytest.raises(LoopExit), Timeout(30, ref=False):
            Wait("nothing").park()

    def test_a_started_one_without_references_expires(self):
        """A timeout that was started by hand expires, though the program has no reference to it any more."""
        Timeout(0.001).start()
        gc.collect()
        with pytest.raises(Timeout):
            sleep(60)

    def test_a_cancelled_one_is_freed(self):
        class Mine(Timeout):
            pass

        timeout = Mine(30)
        reference = weakref.ref(timeout)
        timeout.start()
        timeout.cancel()
        del timeout
        assert reference() is None


class TestNesting:
    def test_the_inner_one_may_be_first(self):
        with Timeout(30) as outer:
            with pytest.raises(Timeout) as caught, Timeout(0.001) as inner:
                sleep(60)
            assert caught.value is inner and caught.value is not outer

    def test_the_outer_one_may_be_first(self):
        with pytest.raises(Timeout) as caught, Timeout(0.001) as outer, Timeout(30):
            sleep(60)
        assert caught.value is outer

    def test_two_that_are_due_at_once_are_raised_in_turn(self):
        seen = []
        with Timeout(0.002) as first, Timeout(0.002) as second:
            for _ in range(2):
                try:
                    sleep(60)
                except Timeout as error:
                    seen.append(error)
        assert sorted(map(id, seen)) == sorted([id(first), id(second)])

    def test_each_of_many_greenlets_gets_its_own(self):
        def body(number):
            try:
                with Timeout(0.001 * (number % 5 + 1)) as mine:
                    sleep(60)
            except Timeout as error:
                return error is mine

        greenlets = [spawn(body, number) for number in range(200)]
        joinall(greenlets)
        assert all(g.value for g in greenlets)


class TestWithTimeout:
    def test_a_function_that_ends_in_time_returns_its_result(self):
        assert with_timeout(30, lambda a, b: a + b, 1, b=2) == 3

    def test_a_function_that_takes_too_long_raises(self):
        with pytest.raises(Timeout):
            with_timeout(0.001, sleep, 60)

    def test_timeout_value_is_returned_instead(self):
        assert with_timeout(0.001, sleep, 60, timeout_value="late") == "late"

    def test_another_timeout_is_raised(self):
        with pytest.raises(Timeout) as caught, Timeout(0.001) as mine:
            with_timeout(30, sleep, 60, timeout_value="late")
        assert caught.value is mine

    def test_an_error_of_the_function_is_raised(self):
        with pytest.raises(Custom):
            with_timeout(30, raise_custom, timeout_value=1)
        sleep(0.001)


def raise_custom():
    raise Custom


class TestText:
    def test_str_tells_the_seconds(self):
        assert str(Timeout(None)) == ""
        assert str(Timeout(1)) == "1 second"
        assert str(Timeout(2, False)) == "2 seconds (silent)"

    def test_repr_tells_whether_it_runs(self):
        timeout = Timeout(5, "x")
        assert "seconds=5" in repr(timeout) and "(stopped)" in repr(timeout)
        with timeout:
            assert "(stopped)" not in repr(timeout)

    def test_timeouts_order_by_their_seconds(self):
        assert Timeout(1) < Timeout(2) < Timeout(None)
        assert Timeout(1) < 2
        assert sorted([Timeout(None), Timeout(3), Timeout(1)])[0].seconds == 1


class TestInASwitchOfItsOwn:
    """A greenlet that has switched away by itself, so that the library does not know what it waits for."""

    @staticmethod
    def switched_away():
        try:
            with Timeout(0.01):
                get_hub().switch()
        except Timeout as timeout:
            return timeout.seconds
        return None

    def test_a_greenlet_is_interrupted(self):
        assert spawn(self.switched_away).get(timeout=5) == 0.01

    def test_a_greenlet_without_a_scheduler_is_interrupted(self):
        ends = []
        bare = greenlet.greenlet(lambda: ends.append(self.switched_away()), get_hub())
        get_hub().run_callback(bare.switch)
        until(lambda: bare.dead)
        assert ends == [0.01]

    def test_the_main_greenlet_is_interrupted(self):
        helper = spawn(sleep, 5)
        assert self.switched_away() == 0.01
        helper.kill()

    def test_a_parent_is_interrupted_while_its_child_waits(self):
        def parent():
            child = greenlet.greenlet(lambda: sleep(0.05))
            with pytest.raises(Timeout), Timeout(0.01):
                child.switch()
            assert not child.dead
            while not child.dead:
                get_hub().switch()  # the child switches back here when it ends

        spawn(parent).get(timeout=5)

    def test_a_greenlet_that_is_switched_back_in_time_is_not_interrupted(self):
        main = greenlet.getcurrent()
        with Timeout(5):
            get_hub().run_callback(main.switch, "woken")
            assert get_hub().switch() == "woken"
