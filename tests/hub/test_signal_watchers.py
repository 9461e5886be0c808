"""Watchers of signals: several of one signal, in several threads, and the handler that was there before."""

import os
import signal
import threading

import pytest
from waiting import let_others_run, until

from greenio import get_hub, sleep


@pytest.fixture
def hits():
    """What has been told of SIGUSR1; the program's own handler tells "python"."""
    hits = []
    before = signal.signal(signal.SIGUSR1, lambda *_: hits.append("python"))
    yield hits
    signal.signal(signal.SIGUSR1, before)


def watcher(hits, name):
    made = get_hub().loop.signal(signal.SIGUSR1)
    made.start(hits.append, name)
    return made


def told(hits):
    """Send the signal; who was told."""
    hits.clear()
    os.kill(os.getpid(), signal.SIGUSR1)
    until(lambda: hits)
    let_others_run()
    return sorted(hits)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("end", ["close", "stop"])
def test_two_of_one_signal(hits, first, end):
    watchers = [watcher(hits, "0"), watcher(hits, "1")]
    assert told(hits) == ["0", "1"]
    getattr(watchers.pop(first), end)()
    assert told(hits) == [str(1 - first)]
    getattr(watchers.pop(), end)()
    assert told(hits) == ["python"]


def test_a_watcher_that_is_started_again_calls_its_new_callback(hits):
    one = watcher(hits, "one")
    one.start(hits.append, "again")
    assert told(hits) == ["again"]
    one.stop()
    one.stop()
    assert told(hits) == ["python"]
    one.start(hits.append, "anew")
    assert told(hits) == ["anew"]
    one.close()
    assert told(hits) == ["python"]


def test_a_handler_that_the_program_sets_meanwhile_stays(hits):
    one = watcher(hits, "one")
    signal.signal(signal.SIGUSR1, lambda *_: hits.append("set meanwhile"))
    assert told(hits) == ["set meanwhile"]
    two = watcher(hits, "two")  # the one who comes last wins
    assert told(hits) == ["one", "two"]
    two.close()
    one.close()
    assert told(hits) == ["set meanwhile"]
    one = watcher(hits, "one")
    signal.signal(signal.SIGUSR1, lambda *_: hits.append("set again"))
    one.close()
    assert told(hits) == ["set again"]


def test_a_thread_that_ends_with_one(hits):
    def run():
        kept.append(watcher(hits, "thread"))
        sleep(0.001)

    kept = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert told(hits) == ["python"]
    one = watcher(hits, "one")
    assert told(hits) == ["one"]
    one.close()
    assert told(hits) == ["python"]


@pytest.mark.parametrize("forks", ["main", "thread"])
def test_a_child_has_the_handler_and_tells_its_parent_nothing(hits, forks):
    one = watcher(hits, "watcher")
    status = []

    def run():
        sleep(0.001)
        child = os.fork()
        if child == 0:
            found = [told(hits)]
            two = watcher(hits, "child")
            found.append(told(hits))
            two.close()
            found.append(told(hits))
            os._exit(found != [["python"], ["child"], ["python"]])
        status.append(os.waitpid(child, 0)[1])

    if forks == "main":
        run()
    else:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    let_others_run()
    assert status == [0] and hits == []
    assert told(hits) == ["watcher"]
    one.close()
    assert told(hits) == ["python"]


def test_a_signal_that_cannot_be_watched(hits):
    with pytest.raises(OSError, match="cannot be watched"):
        get_hub().loop.signal(signal.SIGKILL).start(print)
    assert told(hits) == ["python"]
