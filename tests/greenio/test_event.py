"""Event and AsyncResult."""

import threading

import pytest
from hub import LoopExit
from waiting import until

from greenio import Greenlet, Timeout, get_hub, iwait, joinall, sleep, spawn, wait
from greenio.event import AsyncResult, Event


def test_set_wakes_all_in_order():
    event, woken = Event(), []

    def waiter(number):
        assert event.wait() is True
        woken.append(number)

    jobs = [spawn(waiter, number) for number in range(5)]
    sleep(0)
    assert "5 waiting" in repr(event) and "unset" in repr(event) and event.linkcount() == 5
    event.set()
    joinall(jobs)
    assert woken == [0, 1, 2, 3, 4]
    assert event.is_set() and event.ready()
    with pytest.warns(DeprecationWarning, match="is_set"):
        assert event.isSet()


def test_a_set_event_is_not_waited_for():
    event = Event()
    event.set()
    switches = get_hub().switches
    assert event.wait() is True and event.wait(0) is True
    assert get_hub().switches == switches
    event.clear()
    assert not event.is_set() and event.wait(0.001) is False


def test_set_and_cleared_in_one_turn_still_wakes():
    event = Event()
    job = spawn(event.wait, 5)
    sleep(0)
    event.set()
    event.clear()
    assert job.get() is True and not event.is_set()


def test_a_waiter_that_comes_after_clear_waits():
    event = Event()
    first = spawn(event.wait, 5)
    sleep(0)
    event.set()
    event.clear()
    second = spawn(event.wait, 0.001)
    assert first.get() is True and second.get() is False


def test_killed_waiters_leave_the_line():
    event = Event()
    jobs = [spawn(event.wait) for _ in range(3)]
    sleep(0)
    jobs[1].kill()
    assert event.linkcount() == 2
    event.set()
    assert jobs[0].get() and jobs[2].get()


def test_kill_after_set_comes_at_the_next_wait():
    event, seen = Event(), []

    def waiter():
        seen.append(event.wait())
        sleep(5)
        seen.append("not killed")

    job = spawn(waiter)
    sleep(0)
    event.set()
    job.kill()
    assert seen == [True] and job.dead


def test_links_are_called_once_on_the_hub():
    event, calls = Event(), []

    def link(source):
        calls.append((source, spawn(sleep, 0) is not None))

    event.rawlink(link)
    event.set()
    assert calls == []
    sleep(0)
    assert calls == [(event, True)]
    event.clear()
    event.set()
    sleep(0)
    assert len(calls) == 1
    event.rawlink(link)  # the event is set already, so the link is called soon
    sleep(0)
    assert len(calls) == 2
    event.clear()
    event.rawlink(link)
    event.unlink(link)
    event.unlink(link)
    event.set()
    sleep(0)
    assert len(calls) == 2
    with pytest.raises(TypeError, match="must be callable"):
        event.rawlink(3)


def test_a_link_that_fails_is_reported(capsys):
    event = Event()
    event.rawlink(lambda source: 1 / 0)
    event.set()
    sleep(0)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_wait_and_iwait_take_events_and_results():
    event, result = Event(), AsyncResult()
    spawn(event.set)
    assert wait([event, result], count=1) == [event]
    result.set(1)
    assert set(iwait([event, result])) == {event, result}


def test_loop_exit_names_an_event_that_nobody_sets():
    event = Event()
    with pytest.raises(LoopExit) as caught:
        event.wait()
    assert "waits on <greenio.Event" in str(caught.value) and "1 waiting" in str(caught.value)


def test_an_event_wakes_waiters_in_other_threads():
    event = Event()
    thread = threading.Timer(0.01, event.set)
    thread.start()
    assert event.wait(5) is True
    thread.join()

    event.clear()
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(event.wait(5))) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: event.linkcount() == 3)
    event.set()
    for thread in threads:
        thread.join()
    assert seen == [True] * 3


def test_a_wait_in_a_thread_times_out():
    event, seen = Event(), []
    thread = threading.Thread(target=lambda: seen.append(event.wait(0.01)))
    thread.start()
    thread.join()
    assert seen == [False] and event.linkcount() == 0


def test_loop_exit_when_the_last_thread_has_ended():
    event = Event()
    thread = threading.Thread(target=sleep, args=(0.01,))
    thread.start()
    with pytest.raises(LoopExit):
        event.wait()
    thread.join()


@pytest.mark.parametrize("timeout", ["soon", float("nan")])
def test_a_bad_timeout_is_refused_and_leaves_no_waiter(timeout):
    event = Event()
    with pytest.raises((TypeError, ValueError)):
        event.wait(timeout)
    assert event.linkcount() == 0


# --- AsyncResult ------------------------------------------------------------------------------------------------


def test_all_waiters_get_the_value():
    result = AsyncResult()
    jobs = [spawn(result.get) for _ in range(3)]
    waiting = spawn(result.wait)
    sleep(0)
    assert not result.ready() and not result.done() and not result.successful() and result.value is None
    assert "unset, 4 waiting" in repr(result)
    result.set(5)
    assert [job.get() for job in [*jobs, waiting]] == [5] * 4
    assert result.ready() and result.successful() and result.value == 5 and result.exception is None
    assert result.exc_info == () and "value=5" in repr(result)
    assert result.get_nowait() == result.result() == result.wait() == 5
    assert not result.cancel() and not result.cancelled()


def test_all_waiters_get_the_exception():
    result, error = AsyncResult(), KeyError("x")
    jobs = [spawn(result.wait), spawn(result.wait)]
    sleep(0)
    result.set_exception(error)
    assert [job.get() for job in jobs] == [None, None]
    for _ in range(2):
        with pytest.raises(KeyError) as caught:
            result.get()
        assert caught.value is error
        assert len(caught.traceback) < 6, "get() has made the traceback longer"
    assert result.exception is error and not result.successful() and result.exc_info[:2] == (KeyError, error)
    with pytest.raises(TypeError, match="instance"):
        result.set_exception("error")


def test_setting_again_replaces_the_result():
    result = AsyncResult()
    result.set(1)
    result.set_exception(ValueError())
    result.set_result(2)
    assert result.get() == 2 and result.exception is None


def test_get_times_out_without_a_result():
    result = AsyncResult()
    with pytest.raises(Timeout):
        result.get(block=False)
    with pytest.raises(Timeout):
        result.get_nowait()
    with pytest.raises(Timeout) as caught:
        result.get(timeout=0.001)
    assert caught.value.seconds == 0.001
    assert result.wait(0.001) is None and result.linkcount() == 0


def test_a_result_can_be_a_link_of_a_greenlet():
    good, bad = AsyncResult(), AsyncResult()
    Greenlet.spawn(lambda: 3).link(good)
    job = Greenlet(lambda: 1 / 0)
    job.reports_errors = False
    job.link(bad)
    job.start()
    assert good.get() == 3
    with pytest.raises(ZeroDivisionError):
        bad.get()


def test_another_thread_may_set_the_result():
    result = AsyncResult()
    thread = threading.Timer(0.01, result.set, (7,))
    thread.start()
    assert result.get(timeout=5) == 7
    thread.join()
