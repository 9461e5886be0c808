"""Watchers of signals: several of one signal, in several threads, and the program's own handler."""

import os
import signal
import threading

import pytest
from waiting import let_others_run, until

from greenio import get_hub, sleep


@pytest.fixture
def hits():
    """The names of the watchers that were called for SIGUSR1; "python" for the program's own handler."""
    hits = []
    before = signal.signal(signal.SIGUSR1, lambda *_: hits.append("python"))
    yield hits
    signal.signal(signal.SIGUSR1, before)


def watcher(hits, name):
    made = get_hub().loop.signal(signal.SIGUSR1)
    made.start(hits.append, name)
    return made


def called_by_signal(hits):
    """Send the signal; return the names of the watchers and handlers that are called (sorted list)."""
    hits.clear()
    os.kill(os.getpid(), signal.SIGUSR1)
    until(lambda: hits)
    let_others_run()
    return sorted(hits)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("end", ["close", "stop"])
def test_two_watchers_of_one_signal_are_both_called(hits, first, end):
    watchers = [watcher(hits, "0"), watcher(hits, "1")]
    assert called_by_signal(hits) == ["0", "1"]
    getattr(watchers.pop(first), end)()
    assert called_by_signal(hits) == [str(1 - first)]
    getattr(watchers.pop(), end)()
    assert called_by_signal(hits) == ["python"]


def test_a_watcher_that_is_started_again_calls_its_new_callback(hits):
    one = watcher(hits, "one")
    one.start(hits.append, "again")
    assert called_by_signal(hits) == ["again"]
    one.stop()
    one.stop()
    assert called_by_signal(hits) == ["python"]
    one.start(hits.append, "anew")
    assert called_by_signal(hits) == ["anew"]
    one.close()
    assert called_by_signal(hits) == ["python"]


def test_a_handler_that_the_program_sets_meanwhile_stays(hits):
    one = watcher(hits, "one")
    signal.signal(signal.SIGUSR1, lambda *_: hits.append("set meanwhile"))
    assert called_by_signal(hits) == ["set meanwhile"]
    two = watcher(hits, "two")  # a watcher that starts later replaces the handler
    assert called_by_signal(hits) == ["one", "two"]
    two.close()
    one.close()
    assert called_by_signal(hits) == ["set meanwhile"]
    one = watcher(hits, "one")
    signal.signal(signal.SIGUSR1, lambda *_: hits.append("set again"))
    one.close()
    assert called_by_signal(hits) == ["set again"]


def test_a_thread_that_ends_gives_the_handler_back(hits):
    def run():
        kept.append(watcher(hits, "thread"))
        sleep(0.001)

    kept = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert called_by_signal(hits) == ["python"]
    one = watcher(hits, "one")
    assert called_by_signal(hits) == ["one"]
    one.close()
    assert called_by_signal(hits) == ["python"]


@pytest.mark.parametrize("forks", ["main", "thread"])
def test_a_child_has_the_handler_and_calls_nothing_of_its_parent(hits, forks):
    one = watcher(hits, "watcher")
    status = []

    def run():
        sleep(0.001)
        child = os.fork()
        if child == 0:
            found = [called_by_signal(hits)]
            two = watcher(hits, "child")
            found.append(called_by_signal(hits))
            two.close()
            found.append(called_by_signal(hits))
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
    assert called_by_signal(hits) == ["watcher"]
    one.close()
    assert called_by_signal(hits) == ["python"]


def test_watching_sigkill_is_refused(hits):
    with pytest.raises(OSError, match="cannot be watched"):
        get_hub().loop.signal(signal.SIGKILL).start(print)
    assert called_by_signal(hits) == ["python"]
