"""Printing what runs, and blocks of code that must switch, or must not."""

import io
import threading
import time

import greenlet
import pytest
from hub import BlockingSwitchOutError
from waiting import let_others_run, until_waiting

from greenio import Timeout, get_hub, getcurrent, sleep, spawn, spawn_raw
from greenio.event import Event
from greenio.local import local
from greenio.lock import Lock
from greenio.queue import Queue
from greenio.util import GreenletTree, assert_switches, format_run_info, no_switch, print_run_info, wrap_errors


def child_of_the_tree():
    sleep(10)


def parent_of_the_tree():
    child = spawn(child_of_the_tree)
    try:
        sleep(10)
    finally:
        child.kill()


def test_run_info_shows_threads_greenlets_and_locals():
    data = local()
    job = spawn(parent_of_the_tree)
    raw = spawn_raw(data.__setattr__, "value", "greenlet-local value")
    finished = spawn(int)
    until_waiting(job)
    let_others_run()
    data.value = "of the main greenlet"
    text = "\n".join(format_run_info())
    assert "* Threads" in text and "* Greenlets" in text and "(CURRENT)" in text and "MainThread" in text
    assert "child_of_the_tree" in text and "parent_of_the_tree" in text and "Spawned at:" in text
    assert repr(job) in text and f"{finished!r}; finished with value 0" in text
    assert "Greenlet-local of local" in text and "of the main greenlet" in text
    assert raw.dead
    short = "\n".join(format_run_info(thread_stacks=False, greenlet_stacks=False))
    assert "stack elided" in short and "Running:" not in short
    stream = io.StringIO()
    print_run_info(file=stream)
    assert "* Greenlets" in stream.getvalue()
    job.kill()


def test_run_info_tells_what_greenlets_wait_for():
    event = Event()

    def wait():
        event.wait()

    job = spawn(wait)
    until_waiting(job)
    tree = GreenletTree(job).format()
    assert f"Waits on: {event!r}" in tree and "Suspended at:" in tree and "in wait" in tree and "Running:" not in tree
    assert "\n |   Running:\n" in "\n" + "\n".join(format_run_info())
    event.set()
    job.join()


def test_run_info_has_values_whose_repr_fails():
    class Bad:
        def __repr__(self):
            raise ValueError("no repr today")

    data = local()
    data.value = Bad()
    finished = spawn(Bad)
    finished.join()
    text = "\n".join(format_run_info())
    assert f"{finished!r}; finished with value <Bad whose repr failed" in text and "<dict whose repr failed" in text


def test_the_tree_shows_which_greenlet_spawned_which():
    job = spawn(parent_of_the_tree)
    until_waiting(job)
    let_others_run()
    tree = GreenletTree.current_tree()
    assert tree.root and tree.is_current_tree and tree.greenlet is getcurrent()
    branch = next(each for each in tree.child_trees if each.greenlet is job)
    assert len(branch.child_trees) == 1 and not branch.root and not branch.is_current_tree
    assert str(branch).count("\n") >= 2 and "+---" in str(branch) and "Running" not in str(branch)
    assert "Suspended at:" in branch.format() and "Spawned" not in branch.format({"spawning_stacks": False})
    job.kill()


def test_the_forest_has_trees_of_other_threads():
    inside, leave = threading.Event(), Event()

    def work():
        job = spawn(leave.wait)
        sleep(0)
        inside.set()
        job.join()

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    assert len(GreenletTree.forest()) >= 2
    assert f"Waits on: {leave!r}" in "\n".join(format_run_info())
    leave.set()
    thread.join()


def test_no_switch_refuses_every_wait():
    lock, queue = Lock(), Queue()
    job = spawn(int)
    with no_switch():
        with lock:
            queue.put(1)
            assert queue.get() == 1
        for function in (sleep, job.join, queue.get, lambda: sleep(1)):
            with pytest.raises(BlockingSwitchOutError, match="no_switch"):
                function()
        with no_switch(), pytest.raises(BlockingSwitchOutError):
            sleep(0)
        with pytest.raises(BlockingSwitchOutError):
            sleep(0)
        assert not job.dead
    sleep(0)
    assert job.dead

    def in_a_greenlet():
        with no_switch(), pytest.raises(BlockingSwitchOutError):
            sleep(0)
        sleep(0)
        return True

    assert spawn(in_a_greenlet).get()


def test_assert_switches_fails_where_no_other_greenlet_ran():
    with assert_switches():
        sleep(0)
    with assert_switches():
        spawn(sleep, 0.001).join()
    with pytest.raises(AssertionError, match="did not let other greenlets run"):
        with assert_switches():
            pass
    with pytest.raises(KeyError):
        with assert_switches():
            raise KeyError
    with pytest.raises(TypeError, match="number of seconds"):
        assert_switches(max_blocking_time="1")
    with assert_switches(max_blocking_time=10, hub_only=True):
        pass
    with pytest.raises(AssertionError, match="at a stretch"):
        with assert_switches(max_blocking_time=0.001):
            sleep(0.003)
            time.sleep(0.003)
    others = spawn(lambda: [(time.sleep(0.003), sleep(0)) for _ in range(3)])
    with assert_switches(max_blocking_time=1):
        with assert_switches():
            sleep(0)
    others.join()


def test_observers_are_told_of_every_return_from_a_wait():
    heard = []
    hub = get_hub()
    hub.observe(heard.append)
    sleep(0)
    with pytest.raises(Timeout):
        with Timeout(0.001):
            sleep(1)
    hub.stop_observing(heard.append)
    hub.stop_observing(print)
    sleep(0)
    assert heard == [False, True] * 2


def test_wrap_errors_returns_the_errors_that_are_given():
    wrapped = wrap_errors((KeyError, ValueError), {}.__getitem__)
    assert isinstance(wrapped(1), KeyError)
    assert wrap_errors(KeyError, len)([1]) == 1
    with pytest.raises(TypeError):
        wrap_errors(KeyError, len)(1)
    assert repr(wrap_errors(KeyError, len)) == repr(len) == str(wrap_errors(KeyError, len))
    assert wrap_errors(KeyError, len).__name__ == "len"


def test_bare_greenlets_are_in_the_forest():
    bare = greenlet.greenlet(lambda: getcurrent().parent.switch())
    bare.switch()
    assert any(bare is each.greenlet for tree in GreenletTree.forest() for each in [tree, *tree.child_trees])
    bare.switch()
