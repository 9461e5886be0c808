"""Condition, Barrier and RWLock."""

import threading
import time

import pytest
from waiting import until

from greenio import Timeout, joinall, kill, sleep, spawn
from greenio.lock import Barrier, BrokenBarrierError, Condition, Lock, RLock, RWLock, Semaphore


@pytest.fixture(params=[RLock, Lock, threading.Lock, lambda: None], ids=["RLock", "Lock", "threading.Lock", "default"])
def condition(request):
    return Condition(request.param())


def wait_in(condition, log, name, timeout=None):
    with condition:
        log.append((name, condition.wait(timeout)))
        assert condition._is_owned()


@pytest.mark.parametrize("kind", [Condition, threading.Condition])
def test_an_object_that_is_no_lock_is_refused_at_once(kind):
    with pytest.raises(AttributeError, match="acquire"):
        kind(5)


def test_notify_wakes_waiters_in_order(condition):
    log = []
    jobs = [spawn(wait_in, condition, log, name) for name in range(4)]
    sleep(0)
    assert "4 waiting" in repr(condition)
    with condition:
        condition.notify()
    sleep(0)
    assert log == [(0, True)]
    with condition:
        condition.notify(2)
    sleep(0)
    sleep(0)
    assert [name for name, _ in log] == [0, 1, 2]
    with condition:
        condition.notify_all()
        condition.notify_all()
    joinall(jobs)
    assert len(log) == 4


def test_wait_times_out(condition):
    log = []
    wait_in(condition, log, "a", 0.001)
    assert log == [("a", False)] and "0 waiting" in repr(condition)


def test_calls_without_the_lock_are_refused(condition):
    for method in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(RuntimeError, match="hold the lock"):
            method()


def test_wait_for_goes_on_when_the_predicate_holds():
    condition, values = Condition(), []

    def consumer():
        with condition:
            assert condition.wait_for(lambda: len(values) >= 2) is True
            assert condition.wait_for(lambda: len(values) >= 3, timeout=0.001) is False
            return list(values)

    job = spawn(consumer)
    for value in range(2):
        sleep(0)
        with condition:
            values.append(value)
            condition.notify()
    assert job.get() == [0, 1]


def test_a_killed_waiter_holds_the_lock_while_it_unwinds():
    condition, held = Condition(), []

    def waiter():
        with condition:
            try:
                condition.wait()
            finally:
                held.append(condition._is_owned())

    job = spawn(waiter)
    sleep(0)
    with condition:
        kill(job)
        kill(job, KeyError())  # arrives while the greenlet waits for the lock
        sleep(0)
        kill(job, ValueError())
        sleep(0)
        assert held == []
    job.join()
    assert held == [True] and not condition.lock.locked()


def test_a_notification_is_not_lost_with_a_killed_waiter():
    condition, log = Condition(), []
    first, second = (spawn(wait_in, condition, log, name) for name in "ab")
    sleep(0)
    kill(first)
    with condition:
        condition.notify()
    second.join()
    assert log == [("b", True)]


def test_a_condition_serves_threads_and_greenlets():
    condition, items, taken = Condition(), [], []

    def consume():
        for _ in range(100):
            with condition:
                condition.wait_for(lambda: items)
                taken.append(items.pop(0))

    threads = [threading.Thread(target=consume) for _ in range(2)]
    threads.append(threading.Thread(target=lambda: spawn(consume).get()))
    for thread in threads:
        thread.start()
    for number in range(300):
        with condition:
            items.append(number)
            condition.notify()
        if number % 10 == 0:
            sleep(0)
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(300))


# --- Barrier ----------------------------------------------------------------------------------------------------


def test_barrier_opens_when_all_are_there():
    called = []
    barrier = Barrier(3, action=lambda: called.append(barrier.n_waiting))
    for _ in range(3):
        jobs = [spawn(barrier.wait) for _ in range(2)]
        sleep(0)
        assert barrier.n_waiting == 2 and "2 of 3 waiting" in repr(barrier)
        assert sorted([barrier.wait(), *(job.get() for job in jobs)]) == [0, 1, 2]
        assert barrier.n_waiting == 0 and not barrier.broken
    assert len(called) == 3 and barrier.parties == 3
    with pytest.raises(ValueError):
        Barrier(0)


def wait_and_break(barrier, *args):
    with pytest.raises(BrokenBarrierError):
        barrier.wait(*args)


def test_barrier_breaks_on_timeout():
    barrier = Barrier(3)
    job = spawn(wait_and_break, barrier)
    wait_and_break(barrier, 0.001)
    job.get()
    assert barrier.broken and "broken" in repr(barrier)
    wait_and_break(barrier)
    barrier.reset()
    assert not barrier.broken
    wait_and_break(Barrier(2, timeout=0.001))


def test_barrier_breaks_on_abort_and_reset():
    barrier = Barrier(2)
    job = spawn(wait_and_break, barrier)
    sleep(0)
    barrier.abort()
    job.get()
    barrier.reset()
    job = spawn(wait_and_break, barrier)
    sleep(0)
    barrier.reset()
    job.get()
    assert not barrier.broken
    job = spawn(barrier.wait)
    assert barrier.wait() + job.get() == 1


def test_barrier_breaks_when_a_waiter_is_killed_or_the_action_fails():
    barrier = Barrier(3)
    victim, other = spawn(barrier.wait), spawn(wait_and_break, barrier)
    sleep(0)
    victim.kill()
    other.get()
    assert barrier.broken

    barrier = Barrier(2, action=lambda: 1 / 0)
    other = spawn(wait_and_break, barrier)
    sleep(0)
    with pytest.raises(ZeroDivisionError):
        barrier.wait()
    other.get()


def test_barrier_between_threads():
    barrier, numbers = Barrier(4), []
    threads = [threading.Thread(target=lambda: numbers.append(barrier.wait(5))) for _ in range(3)]
    for thread in threads:
        thread.start()
    numbers.append(barrier.wait(5))
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [0, 1, 2, 3]


# --- RWLock -----------------------------------------------------------------------------------------------------


def test_an_rwlock_has_many_readers_or_one_writer():
    lock = RWLock()
    with lock.reading():
        assert spawn(lock.acquire_read, False).get() is True
        assert lock.readers == 2 and not lock.acquire_write(False) and not lock.acquire_write(timeout=0.001)
        lock.release_read()
    with lock.writing():
        assert lock.writing_now and not lock.acquire_read(False) and not lock.acquire_write(False)
    assert lock.readers == 0 and not lock.writing_now and "0 reading, 0 waiting" in repr(lock)
    for release in (lock.release_read, lock.release_write):
        with pytest.raises(RuntimeError, match="without acquire"):
            release()


def test_readers_do_not_overtake_a_writer():
    lock, order = RWLock(), []

    def read(name):
        with lock.reading():
            order.append(name)
            sleep(0.001)

    def write(name):
        with lock.writing():
            order.append(name)

    lock.acquire_read()
    jobs = [spawn(write, "w1"), spawn(read, "r1"), spawn(read, "r2"), spawn(write, "w2"), spawn(read, "r3")]
    sleep(0)
    assert order == [] and not lock.acquire_read(False)
    lock.release_read()
    joinall(jobs)
    assert order == ["w1", "r1", "r2", "w2", "r3"]


@pytest.mark.parametrize("how", ["timeout", "kill"])
def test_a_writer_that_gives_up_lets_the_readers_in(how):
    lock = RWLock()
    lock.acquire_read()
    writer = spawn(lock.acquire_write, True, 0.005 if how == "timeout" else None)
    sleep(0)
    reader = spawn(lock.acquire_read)
    sleep(0)
    assert not reader.ready()
    if how == "kill":
        writer.kill()
    assert reader.get(timeout=5) is True
    assert lock.readers == 2


def test_rwlock_between_threads():
    lock, state = RWLock(), {"readers": 0, "writers": 0}
    bad = []

    def work(number):
        for turn in range(100):
            if (turn + number) % 5 == 0:
                with lock.writing():
                    state["writers"] += 1
                    if state["readers"] or state["writers"] != 1:
                        bad.append(dict(state))
                    sleep(0)
                    state["writers"] -= 1
            else:
                with lock.reading():
                    if state["writers"]:
                        bad.append(dict(state))
                    sleep(0)

    threads = [threading.Thread(target=lambda: joinall([spawn(work, n) for n in range(5)])) for _ in range(3)]
    for thread in threads:
        thread.start()
    joinall([spawn(work, n) for n in range(5)])
    for thread in threads:
        thread.join()
    assert not bad and lock.readers == 0 and not lock.writing_now


def test_a_timeout_leaves_no_waiter_of_a_lock():
    """A Timeout that fires while a greenlet waits for a lock leaves nothing in the lock's line."""
    semaphore = Semaphore(0)
    with pytest.raises(Timeout):
        with Timeout(0.001):
            semaphore.acquire()
    assert semaphore.linkcount() == 0


@pytest.mark.parametrize("make", [Lock, RLock, Semaphore])
@pytest.mark.parametrize("holder", ["greenlet", "thread"])
def test_at_the_end_of_a_hub_the_lock_is_taken_again(make, holder):
    """The hub's end interrupts wait(), which still takes the lock again: the block releases it, and it is held then."""
    lock, order, threads = make(), [], []
    condition = Condition(lock)
    held = threading.Event()

    def wait():
        with condition:
            try:
                condition.wait()
            finally:
                order.append("waiter")

    def hold():
        with lock:
            try:
                held.set()
                sleep(10) if holder == "greenlet" else time.sleep(0.05)
            finally:
                order.append("holder")

    def run():
        spawn(wait)
        sleep(0)
        if holder == "greenlet":
            spawn(hold)
            sleep(0)
        else:
            threads.append(threading.Thread(target=hold))
            threads[0].start()
        held.wait()

    ending = threading.Thread(target=run)
    ending.start()
    ending.join()
    until(lambda: len(order) == 2)
    for thread in threads:
        thread.join()
    assert order == ["holder", "waiter"]
    assert lock.acquire(False)
    assert make is RLock or not lock.acquire(False)
    lock.release()
