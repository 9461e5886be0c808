"""wait_any: takes from the first of several objects that is ready, and nothing from the others."""

import threading

import pytest
from hub import LoopExit

from greenio import Timeout, joinall, kill, sleep, spawn, wait_any
from greenio.event import AsyncResult, Event
from greenio.lock import Lock, RLock, Semaphore
from greenio.queue import Channel, Empty, LifoQueue, PriorityQueue, Queue, SimpleQueue
from greenio.socket import socketpair


@pytest.mark.parametrize("kind", [SimpleQueue, Queue, LifoQueue, PriorityQueue])
def test_the_queue_that_has_an_item_is_chosen(kind):
    first, second = kind(), kind()
    second.put(1)
    assert wait_any(first, second) == (second, 1)
    spawn(first.put, 2)
    assert wait_any(first, second) == (first, 2)
    assert first.empty() and second.empty() and "waiting" not in repr(first) + repr(second)
    first.put(3)
    second.put(4)
    assert wait_any(first, second) == (first, 3), "of two ready queues, the first argument must be chosen"
    assert second.get_nowait() == 4


def test_events_results_and_greenlets_are_chosen():
    event, result = Event(), AsyncResult()
    job = spawn(lambda: (sleep(0.002), "done")[1])
    spawn(event.set)
    assert wait_any(result, event, job) == (event, True)
    event.clear()
    assert wait_any(result, event, job) == (job, "done") == wait_any(job)
    spawn(result.set, 5)
    assert wait_any(result, event) == (result, 5)
    result.set_exception(KeyError())
    assert wait_any(result) == (result, None)
    assert event.linkcount() == 0


@pytest.mark.parametrize("make", [Lock, RLock, Semaphore])
def test_a_lock_that_is_chosen_is_held(make):
    lock, other = make(), Lock()
    other.acquire()
    assert wait_any(other, lock) == (lock, True)
    assert lock.locked()
    lock.release()

    def hold():
        with lock:
            sleep(0.002)

    spawn(hold)
    sleep(0)
    assert wait_any(other, lock) == (lock, True)
    lock.release()
    assert not lock.locked() and other.locked() and "0 waiting" in repr(other)


def test_a_channel_is_chosen_when_somebody_puts():
    channel, queue = Channel(), Queue()
    job = spawn(channel.put, 1)
    assert wait_any(queue, channel) == (channel, 1)
    job.get()
    job = spawn(channel.put, 2)
    sleep(0)
    assert wait_any(queue, channel) == (channel, 2)


def test_a_readable_socket_is_chosen():
    ours, theirs = socketpair()
    queue = Queue()
    with ours, theirs:
        theirs.send(b"x")
        assert wait_any(queue, ours) == (ours, True)
        assert ours.recv(1) == b"x"
        spawn(theirs.send, b"y")
        assert wait_any(queue, ours) == (ours, True)
        assert ours.recv(1) == b"y"
        spawn(queue.put, 1)
        assert wait_any(ours, queue) == (queue, 1)


def test_nothing_is_taken_from_the_others():
    """Both queues become ready in one turn: one is chosen, the other keeps its item."""
    first, second = Queue(), Queue()

    def put_both():
        first.put(1)
        second.put(2)

    spawn(put_both)
    assert wait_any(second, first) == (first, 1)
    assert second.get_nowait() == 2


def test_nothing_is_taken_after_a_timeout():
    queue, event = Queue(), Event()
    with pytest.raises(TimeoutError, match="none of <Queue"):
        wait_any(queue, event, timeout=0.001)
    assert event.linkcount() == 0
    queue.put(1)
    assert queue.get_nowait() == 1


def test_nothing_is_taken_by_a_greenlet_that_is_killed():
    queue, semaphore = Queue(), Semaphore(0)
    job = spawn(wait_any, queue, semaphore)
    sleep(0)
    job.kill()
    assert semaphore.linkcount() == 0
    job = spawn(wait_any, queue, semaphore)
    sleep(0)
    queue.put(1)
    kill(job)
    assert job.get() == (queue, 1)
    with pytest.raises(Timeout):
        with Timeout(0.001):
            wait_any(queue, semaphore)


def test_it_takes_its_turn_in_line():
    queue, got = Queue(), []
    jobs = [
        spawn(lambda: got.append(queue.get())),
        spawn(lambda: got.append(wait_any(queue, Event())[1])),
        spawn(lambda: got.append(queue.get())),
    ]
    sleep(0)
    for item in range(3):
        queue.put(item)
    joinall(jobs)
    assert got == [0, 1, 2]


def test_many_choosers_lose_nothing():
    queues, got = [Queue() for _ in range(3)], []

    def choose():
        for _ in range(100):
            got.append(wait_any(*queues)[1])

    jobs = [spawn(choose) for _ in range(6)]
    for number in range(600):
        queues[number % 3].put(number)
        if number % 7 == 0:
            sleep(0)
    joinall(jobs)
    assert sorted(got) == list(range(600))
    for queue in queues:
        with pytest.raises(Empty):
            queue.get_nowait()


def test_threads_that_choose_get_every_item_once():
    first, second, got = Queue(), Queue(), []

    def put(queue, base):
        for number in range(200):
            queue.put(base + number)

    def choose():
        for _ in range(200):
            got.append(wait_any(first, second)[1])

    threads = [threading.Thread(target=put, args=(first, 0)), threading.Thread(target=put, args=(second, 1000))]
    threads.append(threading.Thread(target=choose))
    for thread in threads:
        thread.start()
    choose()
    for thread in threads:
        thread.join()
    assert sorted(got) == [*range(200), *range(1000, 1200)]


def test_any_object_with_links_is_chosen():
    class Linked:
        links = ()

        def ready(self):
            return False

        def rawlink(self, callback):
            self.links = [callback]

        def unlink(self, callback):
            self.links.remove(callback)

    linked = Linked()
    spawn(lambda: linked.links[0](linked))
    assert wait_any(Queue(), linked) == (linked, True) and not linked.links


def test_bad_arguments_are_refused_and_waits_are_named():
    with pytest.raises(ValueError, match="something to wait for"):
        wait_any()
    with pytest.raises(TypeError, match="cannot wait for 3"):
        wait_any(Queue(), 3)
    with pytest.raises(LoopExit, match="wait_any\\(<Queue"):
        wait_any(Queue(), Event())
