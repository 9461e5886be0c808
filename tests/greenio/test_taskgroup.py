"""TaskGroup, fail_after and move_on_after."""

import sys

import pytest
from waiting import let_others_run, until, until_waiting

from greenio import (
    Greenlet,
    GreenletExit,
    TaskGroup,
    Timeout,
    fail_after,
    get_hub,
    kill,
    move_on_after,
    sleep,
    spawn,
)
from greenio.event import Event
from greenio.taskgroup import BaseExceptionGroup, ExceptionGroup


def fail(error=None):
    raise error or KeyError("child")


def test_leaving_waits_for_the_children(capsys):
    done = []
    with TaskGroup() as group:
        child = group.spawn(lambda: (sleep(0.002), done.append(1), 7)[2])
        grandchild = group.spawn(lambda: group.spawn(done.append, 2))
        assert "open, 2 children" in repr(group)
    assert sorted(done) == [1, 2] and child.value == 7 and grandchild.value.dead
    assert capsys.readouterr().err == ""


def test_the_first_failure_kills_the_others_and_interrupts_the_block(capsys):
    cleaned = []

    def other():
        try:
            sleep(10)
        finally:
            cleaned.append(1)

    with pytest.raises(ExceptionGroup) as caught:
        with TaskGroup() as group:
            killed = group.spawn(other)
            group.spawn(fail)
            sleep(10)
            cleaned.append("not interrupted")
    assert [type(error) for error in caught.value.exceptions] == [KeyError]
    assert cleaned == [1] and isinstance(killed.value, GreenletExit)
    assert capsys.readouterr().err == "", "a child's error was raised, and printed as well"


def test_a_failure_after_the_block_kills_the_others():
    with pytest.raises(ExceptionGroup):
        with TaskGroup() as group:
            killed = group.spawn(sleep, 10)
            group.spawn(lambda: (sleep(0.001), fail()))
    assert killed.dead


def test_several_failures_come_together():
    def fails_when_killed():
        try:
            sleep(10)
        finally:
            fail(ValueError("cleanup"))

    with pytest.raises(ExceptionGroup) as caught:
        with TaskGroup() as group:
            group.spawn(fails_when_killed)
            group.spawn(fail)
    assert [type(error) for error in caught.value.exceptions] == [KeyError, ValueError]


def test_an_error_in_the_block_kills_the_children():
    with pytest.raises(ExceptionGroup) as caught:
        with TaskGroup() as group:
            child = group.spawn(sleep, 10)
            sleep(0)
            fail(OSError("block"))
    assert [str(error) for error in caught.value.exceptions] == ["block"] and child.dead


@pytest.mark.parametrize("error", [GreenletExit(), Timeout(3), KeyboardInterrupt()])
def test_exits_and_timeouts_of_the_block_are_raised_as_they_are(error):
    with pytest.raises(type(error)) as caught:
        with TaskGroup() as group:
            child = group.spawn(sleep, 10)
            raise error
    assert caught.value is error and child.dead


def test_a_child_that_fails_when_the_block_times_out_is_reported(capsys):
    def fails_when_killed():
        try:
            sleep(10)
        finally:
            fail()

    with pytest.raises(Timeout):
        with TaskGroup() as group:
            group.spawn(fails_when_killed)
            sleep(0)
            raise Timeout(1)
    assert "KeyError: 'child'" in capsys.readouterr().err


def test_a_killed_parent_kills_its_children():
    children = []

    def parent():
        with TaskGroup() as group:
            children.append(group.spawn(sleep, 10))

    job = spawn(parent)
    until_waiting(job)
    job.kill()
    assert isinstance(job.value, GreenletExit) and children[0].dead


def test_a_timeout_kills_the_children():
    with pytest.raises(TimeoutError):
        with fail_after(0.002):
            with TaskGroup() as group:
                child = group.spawn(sleep, 10)
    assert child.dead


def test_a_failure_of_an_inner_group_ends_the_outer_one():
    with pytest.raises(ExceptionGroup) as caught:
        with TaskGroup() as outer:
            waiting = outer.spawn(sleep, 10)
            with TaskGroup() as inner:
                inner.spawn(fail)
                sleep(10)
    assert isinstance(caught.value.exceptions[0], ExceptionGroup) and waiting.dead


def test_the_interrupt_does_not_come_after_the_block():
    """A child fails while the block ends. The interrupt must not come at the parent's next wait."""
    with pytest.raises(ExceptionGroup):
        with TaskGroup() as group:
            child = group.spawn(fail)
            while not child.dead:
                sleep(0)
    sleep(0.001)

    with pytest.raises(ExceptionGroup):
        with TaskGroup() as group:
            event = Event()
            group.spawn(lambda: (event.set(), fail()))
            event.wait()  # wakes in the turn in which the child fails
    sleep(0.001)


def test_the_block_may_swallow_the_interrupt():
    with pytest.raises(ExceptionGroup):
        with TaskGroup() as group:
            group.spawn(fail)
            with pytest.raises(GreenletExit):
                sleep(10)
            with pytest.raises(RuntimeError, match="a child, or the block, has failed"):
                group.spawn(sleep)


def test_nothing_is_spawned_outside_of_the_block():
    group = TaskGroup()
    with pytest.raises(RuntimeError, match="nothing can be spawned into it, as its block has not begun"):
        group.spawn(sleep)
    with group:
        pass
    with pytest.raises(RuntimeError, match="nothing can be spawned into it, as its block has ended"):
        group.spawn(sleep)


def test_a_killed_child_is_no_failure():
    with TaskGroup() as group:
        child = group.spawn(sleep, 10)
        other = group.spawn(sleep, 0.001)
        kill(child)
    assert other.successful()
    with TaskGroup() as group:
        children = [group.spawn(sleep, 10) for _ in range(3)]
        sleep(0)
        group.cancel()
    assert all(child.dead for child in children)


def test_a_group_is_used_once_and_only_inside_its_block():
    group = TaskGroup()
    with pytest.raises(RuntimeError):
        group.spawn(sleep)
    with group:
        pass
    with pytest.raises(RuntimeError, match="used already"):
        with group:
            pass
    with pytest.raises(RuntimeError):
        group.spawn(sleep)

    class Mine(Greenlet):
        pass

    with TaskGroup(greenlet_class=Mine) as group:
        assert type(group.spawn(sleep, 0, ref=True)) is Mine


def test_a_system_exit_of_a_child_is_raised_in_a_base_group():
    with pytest.raises(BaseExceptionGroup) as caught:
        with TaskGroup() as group:
            group.spawn(sys.exit, 3)
    assert not isinstance(caught.value, ExceptionGroup)


def test_a_group_waits_for_many_children():
    with TaskGroup() as group:
        children = [group.spawn(lambda n=n: (sleep(0), n)[1]) for n in range(1000)]
    assert sum(child.value for child in children) == 499500


def test_a_group_in_a_callback_is_a_named_error():
    errors = []

    def callback():
        try:
            with TaskGroup() as group:
                group.spawn(sleep)
        except AssertionError as error:
            errors.append(str(error))

    get_hub().run_callback(callback)
    until(lambda: errors)
    assert "on the hub greenlet" in errors[0]


def test_a_group_waits_for_a_child_whose_end_is_interrupted():
    """A finalizer waits after the child has its result, and before the group is told."""
    begun, go_on = Event(), Event()

    class Waits:
        def __del__(self):
            begun.set()
            go_on.wait()

    with TaskGroup() as group:
        child = group.spawn(lambda waits: None, Waits())
        begun.wait()
        assert child.ready() and "1 children" in repr(group)
        get_hub().run_callback(go_on.set)
    assert "0 children" in repr(group)


def test_a_child_may_end_while_the_group_looks_for_one_to_join():
    """A finalizer that waits may run between any two steps."""

    class Children(set):
        def __iter__(self):
            sleep(0.01)
            return super().__iter__()

    with TaskGroup() as group:
        group._children = Children()
        child = group.spawn(sleep, 0)
    assert child.dead


def test_a_failure_is_raised_though_others_run_while_the_group_is_cancelled(capfd):
    """The group does not end before it has been cancelled, though other greenlets run during that."""

    class Slow(TaskGroup):
        def cancel(self):
            super().cancel()
            sleep(0.01)

    def fails():
        raise ValueError("of the child")

    with pytest.raises(ExceptionGroup) as caught:
        with Slow() as group:
            child = group.spawn(fails)
            sleep(0)
    assert child.dead and [str(error) for error in caught.value.exceptions] == ["of the child"]
    let_others_run()
    assert capfd.readouterr().err == ""


# --- deadlines --------------------------------------------------------------------------------------------------


def test_fail_after_raises_when_its_time_is_over():
    with fail_after(1) as deadline:
        sleep(0)
        assert 0 < deadline.remaining <= 1
    assert not deadline.expired
    with pytest.raises(TimeoutError, match="longer than 0.001 seconds"):
        with fail_after(0.001) as deadline:
            sleep(10)
    assert deadline.expired and deadline.remaining == 0 and "expired" in repr(deadline)


def test_move_on_after_ends_its_block_without_an_error():
    with move_on_after(0.001) as deadline:
        sleep(10)
    assert deadline.expired
    with move_on_after(None) as deadline:
        sleep(0)
    assert not deadline.expired and deadline.remaining is None
    with pytest.raises(KeyError):
        with move_on_after(1):
            fail()


@pytest.mark.parametrize("outer, inner", [(0.001, 10), (10, 0.001), (0.001, 0.001)])
def test_the_earlier_of_two_nested_deadlines_expires(outer, inner):
    with move_on_after(outer) as first:
        with move_on_after(inner) as second:
            sleep(10)
    assert first.expired == (outer <= inner and not second.expired) or second.expired
    assert first.expired or second.expired
    sleep(0.002)


def test_an_inner_fail_after_does_not_catch_the_outer():
    with move_on_after(0.001) as outer:
        with fail_after(10):
            sleep(20)
    assert outer.expired


def test_a_child_cannot_end_the_block():
    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        group.spawn(lambda: group.__exit__(None, None, None))
    (error,) = caught.value.exceptions
    assert isinstance(error, RuntimeError) and "wait for itself" in str(error)


def test_a_deadline_can_be_moved_or_removed():
    with move_on_after(10) as deadline:
        deadline.reschedule(0.001)
        sleep(10)
    assert deadline.expired
    with move_on_after(0.001) as deadline:
        deadline.reschedule(None)
        sleep(0.003)
    assert not deadline.expired


def test_a_deadline_is_used_once_and_its_seconds_are_checked():
    deadline = move_on_after(1)
    assert "not begun" in repr(deadline)
    with deadline:
        pass
    with pytest.raises(RuntimeError, match="used already"):
        with deadline:
            pass
    with pytest.raises(TypeError, match="number of seconds"):
        fail_after("1")
