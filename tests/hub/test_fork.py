"""Forks: the child gets a new loop, and the parent is not disturbed."""

import os
import sys
import threading

import pytest
from hub import Wait
from processes import in_child
from waiting import until

from greenio import get_hub, reinit, sleep, spawn


@pytest.mark.parametrize("how", ["main", "greenlet", "os"])
def test_child_and_parent_go_on(run_script, how):
    assert run_script("fork_child_goes_on.py", how) == "7 b'parent' True True\n"


def test_the_hub_stays_the_same_object():
    hub = get_hub()
    assert in_child(lambda: (get_hub() is hub, hub.destroyed)) == "(True, False)"


def test_the_loop_has_a_descriptor_of_its_own():
    hub = get_hub()
    before = os.fstat(hub.loop.fileno()).st_ino, hub.loop.uv

    def look():
        sleep(0.001)
        return hub.loop.uv is before[1]

    assert in_child(look) == "False"


def test_a_join_in_the_parent_does_not_end_in_the_child():
    """Greenlets that wait for the one that forked stay in the parent, though the child has their memory."""
    pid = spawn(os.fork).get()
    if pid == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_ready_greenlets_stay_in_the_parent():
    ran = []
    ready = spawn(ran.append, 1)

    def look():
        sleep(0.01)
        return ran

    assert in_child(look) == "[]"
    ready.join()
    assert ran == [1]


def test_waits_of_the_parent_can_be_cleaned_up_in_the_child():
    wait = Wait("the parent")
    other = spawn(sleep, 10)
    sleep(0)

    def kill_there():
        other.kill(block=False)
        sleep(0.001)
        return other.dead

    assert in_child(kill_there) == "True"
    assert not other.dead
    other.kill()
    wait.wake()


def test_fork_watchers_fire_in_the_child():
    seen = []
    watcher = get_hub().loop.fork()
    watcher.start(seen.append, "forked")

    def look():
        sleep(0)
        return seen

    try:
        assert in_child(look) == "['forked']"
        assert seen == []
    finally:
        watcher.close()


def test_reinit_is_harmless():
    assert reinit() is None


def test_a_timer_watcher_of_the_parent_does_not_fire_in_the_child():
    fired = []
    watcher = get_hub().loop.timer(0.01)
    watcher.start(fired.append, 1)

    def look():
        sleep(0.03)
        return fired, watcher.active

    assert in_child(look) == "([], False)"
    until(lambda: fired)
    assert fired == [1]
    watcher.close()


def test_children_of_children_can_fork_too():
    def generation(depth):
        sleep(0.001)
        if depth == 0:
            return "the last"
        return in_child(lambda: generation(depth - 1))

    assert "the last" in in_child(lambda: generation(4))


@pytest.mark.parametrize(
    ("how", "told", "error"),
    [
        ("plain", "child ends\n", None),
        ("later", "child ends\nlater\n", None),
        ("signal", "handled there True\nchild ends\n", None),
        ("interrupt", "interrupted\nchild ends\n", None),
        ("error", "", "LookupError: in the child"),
        ("hub", "child ends\n", None),
    ],
)
def test_the_child_ends_when_nothing_is_left_to_do(run_script, how, told, error):
    """The main greenlet did not fork. So it stays in the parent, as the other threads of a process do."""
    assert run_script("fork_child_ends.py", how, stderr=error) == f"{told}0 parent ends\n"


def test_a_child_ends_when_libuv_had_threads_in_the_parent(run_script):
    assert run_script("fork_after_a_stat_watcher.py") == "7\n"


@pytest.mark.parametrize("registered", ["before", "after"])
def test_hooks_of_the_program_use_the_library_in_the_child(run_script, registered):
    assert run_script("hooks_of_forks.py", registered) == "hook\nended with 0\n"


def test_a_finalizer_may_fork_in_the_last_steps_of_a_thread(monkeypatch):
    """When a thread's hub is destroyed, the thread-local data that held the hub are gone already."""
    statuses, unraisable = [], []

    def forks():
        try:
            sleep(1000)
        finally:
            pid = os.fork()
            if pid == 0:
                os._exit(len(unraisable))
            statuses.append(os.waitpid(pid, 0)[1])

    def work():
        spawn(forks)
        sleep(0)

    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert statuses == [0] and unraisable == []
