"""Waiting for several greenlets: joinall, wait, iwait; ending several: killall."""

import gc
import weakref

import pytest
from hub import Wait

from greenio import (
    GreenletExit,
    Timeout,
    get_hub,
    iwait,
    joinall,
    killall,
    sleep,
    spawn,
    spawn_raw,
    wait,
)  # fmt: skip


def ended(value=None):
    greenlet = spawn(lambda: value)
    greenlet.join()
    return greenlet


def in_order(order, count=4):
    """Spawn greenlets that end in the given order, one in each turn of the loop."""
    waits = {}

    def run(number):
        waits[number] = Wait(number)
        waits[number].park()
        return number

    greenlets = [spawn(run, number) for number in range(count)]

    def end_all():
        for number in order:
            waits[number].wake()
            greenlets[number].join()

    spawn(end_all)
    return greenlets


class TestOrder:
    def test_joinall_returns_them_as_they_finish(self):
        greenlets = in_order([2, 0, 3, 1])
        assert [g.value for g in joinall(greenlets)] == [2, 0, 3, 1]

    def test_iwait_yields_them_as_they_end(self):
        greenlets = in_order([3, 1, 0, 2])
        assert [g.get() for g in iwait(greenlets)] == [3, 1, 0, 2]

    def test_finished_greenlets_come_first(self):
        late = spawn(sleep, 0.001)
        early = ended()
        assert wait([late, early]) == [early, late]

    def test_waiting_for_nothing_returns_at_once(self):
        assert joinall([]) == [] and wait([]) == [] and list(iwait([])) == []

    def test_joinall_takes_any_iterable(self):
        greenlets = in_order([0, 1])
        killall(greenlets[2:])
        assert len(joinall(g for g in greenlets[:2])) == 2

    def test_a_greenlet_that_is_given_twice_counts_once(self):
        greenlet = spawn(sleep, 0.001)
        assert joinall([greenlet, greenlet]) == [greenlet]
        assert list(iwait([greenlet, greenlet])) == [greenlet]


class TestCount:
    @pytest.mark.parametrize("function", [joinall, wait, lambda *a, **k: list(iwait(*a, **k))])
    def test_no_more_than_the_count_are_waited_for(self, function):
        greenlets = in_order([2, 0, 3, 1])
        assert [g.value for g in function(greenlets, count=2)] == [2, 0]
        assert [g.value for g in function(greenlets, count=4)][:2] == [0, 2]

    def test_a_count_may_be_larger_than_the_number_of_greenlets(self):
        assert len(joinall(in_order([1, 0], 2), count=5)) == 2

    def test_a_count_of_zero_waits_for_none(self):
        greenlets = in_order([0], 1)
        assert joinall(greenlets, count=0) == []
        joinall(greenlets)


class TestTimeout:
    def test_greenlets_that_ended_in_time_are_returned(self):
        quick, slow = ended(), spawn(sleep, 60)
        for function in (joinall, wait):
            assert function([slow, quick], timeout=0.001) == [quick]
        assert list(iwait([slow, quick], timeout=0.001)) == [quick]
        slow.kill()

    def test_a_timeout_of_zero_finds_those_that_have_ended(self):
        slow = spawn(sleep, 60)
        assert joinall([slow], timeout=0) == []
        slow.kill()
        assert joinall([slow], timeout=0) == [slow]

    def test_an_outer_timeout_is_raised(self):
        slow = spawn(sleep, 60)
        with pytest.raises(Timeout) as caught, Timeout(0.001) as outer:
            joinall([slow], timeout=30)
        assert caught.value is outer
        assert not slow.has_links()
        slow.kill()


class TestErrors:
    def test_joinall_raises_the_first_error(self):
        get_hub().exception_stream = None
        slow = spawn(sleep, 60)
        failing = spawn(lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            joinall([slow, failing], raise_error=True)
        assert not slow.dead and not slow.has_links()
        slow.kill()
        assert joinall([failing]) == [failing]  # without raise_error, an error counts as an end
        del get_hub().__dict__["_exception_stream"]

    def test_without_an_error_all_are_returned(self):
        greenlets = in_order([1, 0], 2)
        assert [g.value for g in joinall(greenlets, raise_error=True)] == [1, 0]

    def test_a_killed_waiter_takes_its_links_back(self):
        slow = spawn(sleep, 60)
        waiting = spawn(joinall, [slow])
        sleep(0)
        assert slow.has_links() == 1
        waiting.kill()
        assert not slow.has_links() and not slow.dead
        slow.kill()

    def test_an_object_that_cannot_be_waited_for_is_refused(self):
        slow = spawn(sleep, 60)
        with pytest.raises(TypeError):
            wait([slow, 5])
        assert not slow.has_links()
        slow.kill()


class TestIwait:
    def test_leaving_early_takes_the_links_back(self):
        greenlets = in_order([1, 0, 2, 3])
        with iwait(greenlets) as finished:
            assert next(finished).value == 1
        assert [g.has_links() for g in greenlets] == [0, 0, 0, 0]
        joinall(greenlets)

    def test_the_loop_body_may_wait(self):
        greenlets = in_order([0, 1, 2, 3])
        seen = []
        for greenlet in iwait(greenlets):
            seen.append(greenlet.value)
            sleep(0.001)
        assert seen == [0, 1, 2, 3]

    def test_it_keeps_nothing_alive(self):
        greenlet = spawn(sleep, 0)
        finished = iwait([greenlet])
        assert list(finished) == [greenlet]
        reference = weakref.ref(greenlet)
        del greenlet
        gc.collect()
        assert reference() is None
        assert list(finished) == []

    def test_any_object_with_rawlink_can_be_waited_for(self):
        class Source:
            def __init__(self):
                self.links = []

            def rawlink(self, link):
                self.links.append(link)

            def unlink(self, link):
                self.links.remove(link)

        first, second = Source(), Source()
        get_hub().run_callback(lambda: first.links[0](first))
        assert wait([first, second], count=1) == [first]
        assert second.links == []


class TestWithoutObjects:
    def test_wait_runs_until_nothing_is_left(self):
        done = []
        spawn(lambda: (sleep(0.001), done.append(1)))
        assert wait() is True and done == [1]

    def test_wait_times_out(self):
        slow = spawn(sleep, 60)
        assert wait(timeout=0.001) is False
        slow.kill()

    def test_iwait_yields_once(self):
        assert list(iwait()) == [True]


class TestKillall:
    def test_greenlets_in_every_state_are_killed(self):
        """Running, waiting, ready, not begun, finished, and bare greenlets."""
        reached = []

        def body():
            try:
                sleep(60)
            except GreenletExit:
                reached.append(1)
                raise

        finished, waiting, raw = ended(), spawn(body), spawn_raw(body)
        sleep(0)
        unbegun, unbegun_raw = spawn(body), spawn_raw(body)
        killall([waiting, raw, unbegun, unbegun_raw, finished])
        assert all(g.dead for g in (waiting, raw, unbegun, unbegun_raw))
        assert reached == [1, 1]

    def test_killall_throws_the_exception_that_is_given(self):
        get_hub().exception_stream = None
        greenlets = [spawn(sleep, 60) for _ in range(3)]
        sleep(0)
        killall(greenlets, KeyError("over"))
        assert [str(g.exception) for g in greenlets] == ["'over'"] * 3
        del get_hub().__dict__["_exception_stream"]

    def test_killall_without_block_returns_at_once(self):
        greenlets = [spawn(sleep, 60) for _ in range(3)]
        sleep(0)
        killall(greenlets, block=False)
        assert not any(g.dead for g in greenlets)
        joinall(greenlets)

    def test_a_greenlet_may_kill_all_and_itself(self):
        greenlets = []

        def suicidal():
            killall(greenlets, block=False)
            sleep(60)

        greenlets += [spawn(sleep, 60), spawn(suicidal)]
        assert joinall(greenlets, timeout=10) and all(g.dead for g in greenlets)


def test_objects_may_end_while_the_links_are_taken_back():
    """unlink() may be Python code, and other objects may end while it runs."""

    class Source:
        def rawlink(self, callback):
            self.callback = callback

        def unlink(self, callback):
            for other in sources:
                other.callback(other)

    sources = [Source(), Source(), Source()]
    assert wait(sources, timeout=0.001) == []
