"""Channel: an item goes from the greenlet that puts it to the one that gets it, and both wait."""

import threading

import pytest

from greenio import get_hub, sleep, spawn
from greenio.queue import Channel, Empty, Full


def test_an_item_goes_from_put_to_get():
    channel, log = Channel(), []

    def put():
        for item in (1, 2, StopIteration):
            channel.put(item)
            log.append(("put", item))

    job = spawn(put)
    sleep(0)
    assert log == [] and channel.balance == 1 and "1 waiting to put" in repr(channel)
    assert list(channel) == [1, 2]
    job.get()
    assert channel.balance == 0 and channel.empty() and channel.full() and channel.qsize() == 0 == len(log) - 3


def test_calls_that_do_not_wait():
    channel = Channel()
    with pytest.raises(Full):
        channel.put_nowait(1)
    with pytest.raises(Empty):
        channel.get_nowait()
    with pytest.raises(Full):
        channel.put(1, timeout=0.001)
    with pytest.raises(Empty):
        channel.get(timeout=0.001)
    job = spawn(channel.get)
    sleep(0)
    assert channel.balance == -1
    channel.put_nowait(5)
    assert job.get() == 5
    job = spawn(channel.put, 6)
    sleep(0)
    assert channel.get_nowait() == 6
    job.get()
    with pytest.raises(ValueError):
        Channel(2)
    assert channel.maxsize == 1 and Channel[int] is Channel


def test_killed_and_interrupted_calls_lose_no_item():
    channel = Channel()
    jobs = [spawn(channel.put, number) for number in range(3)]
    sleep(0)
    jobs[0].kill()
    assert channel.get() == 1 and channel.get() == 2
    victim = spawn(channel.get)
    victim.reports_errors = False
    sleep(0)

    def force():
        channel.put("item")
        victim.throw(KeyError())

    get_hub().run_callback(force)
    victim.join()
    assert channel.get() == "item"


def test_items_go_from_thread_to_thread():
    channel = Channel()
    thread = threading.Thread(target=lambda: [channel.put(number) for number in range(100)])
    thread.start()
    assert [channel.get() for _ in range(100)] == list(range(100))
    thread.join()
