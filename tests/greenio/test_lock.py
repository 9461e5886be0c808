"""Semaphores, Lock and RLock."""

import gc
import re
import threading
import weakref

import pytest
from hub import BlockingSwitchOutError, LoopExit
from waiting import until

from greenio import get_hub, getcurrent, joinall, kill, sleep, spawn
from greenio.lock import BoundedSemaphore, DummySemaphore, Lock, RLock, Semaphore

LOCKS = [Lock, RLock, Semaphore, BoundedSemaphore]


@pytest.fixture(params=LOCKS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def waiting(lock):
    return int(repr(lock).split(" waiting")[0].rpartition(" ")[2])


def hold(lock, order, name, seconds=0):
    with lock:
        order.append(name)
        sleep(seconds)


def test_greenlets_get_the_lock_in_the_order_of_their_calls(kind):
    lock, order = kind(), []
    jobs = [spawn(hold, lock, order, name) for name in range(10)]
    joinall(jobs)
    assert order == list(range(10)) and not lock.locked()


def test_a_late_comer_does_not_overtake(kind):
    """A released lock belongs to the first greenlet in line, though that has not run yet."""
    lock, order = kind(), []
    lock.acquire()
    job = spawn(hold, lock, order, "first")
    sleep(0)
    lock.release()
    assert lock.acquire(blocking=False) is False
    assert lock.locked()
    job.get()
    assert order == ["first"] and lock.acquire(blocking=False)
    lock.release()


def test_an_acquire_that_timed_out_leaves_no_waiter(kind):
    lock = kind()

    def other():
        assert lock.acquire(timeout=0.001) is False
        assert lock.acquire(timeout=0) is False
        assert lock.acquire(False) is False

    lock.acquire()
    spawn(other).get()
    assert waiting(lock) == 0
    lock.release()
    assert lock.acquire(timeout=1) is True
    lock.release()


def test_a_killed_waiter_leaves_the_line(kind):
    lock, order = kind(), []
    lock.acquire()
    jobs = [spawn(hold, lock, order, name) for name in range(3)]
    sleep(0)
    assert waiting(lock) == 3
    jobs[1].kill()
    assert waiting(lock) == 2
    lock.release()
    joinall(jobs)
    assert order == [0, 2] and not lock.locked()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_the_turn_of_the_release_loses_no_grant(kind, when):
    """The grant is neither lost nor doubled: the killed greenlet gets its turn, or the next one does."""
    lock, order = kind(), []
    lock.acquire()
    jobs = [spawn(hold, lock, order, name) for name in range(2)]
    sleep(0)
    if when == "before":
        kill(jobs[0])
    lock.release()
    if when == "after":
        kill(jobs[0])
    joinall(jobs)
    assert order == ([1] if when == "before" else [0, 1])
    assert not lock.locked()


def test_a_timeout_in_the_turn_of_the_release_loses_no_grant(kind):
    lock, results = kind(), []

    def waiter():
        results.append(lock.acquire(timeout=0.005))
        if results[-1]:
            lock.release()

    lock.acquire()
    jobs = [spawn(waiter) for _ in range(2)]
    sleep(0)
    ends = get_hub().loop.now() + 0.02
    while get_hub().loop.now() < ends:
        get_hub().loop.update_now()  # the timers are due, but have not fired
    lock.release()
    joinall(jobs)
    assert not lock.locked()
    assert lock.acquire(False)
    lock.release()


@pytest.mark.parametrize("make", [Lock, Semaphore, BoundedSemaphore])
def test_a_waiter_that_greenlet_throws_into_passes_its_turn_on(make):
    """greenlet.throw() into a waiter that has the grant already: the next waiter gets it."""
    lock, order = make(), []
    lock.acquire()
    jobs = [spawn(hold, lock, order, name) for name in range(2)]
    jobs[0].reports_errors = False
    sleep(0)

    def force():
        lock.release()
        jobs[0].throw(KeyError("by force"))

    get_hub().run_callback(force)
    joinall(jobs)
    assert order == [1] and not lock.locked() and isinstance(jobs[0].exception, KeyError)


def test_an_exception_in_the_block_releases(kind):
    lock = kind()
    with pytest.raises(ZeroDivisionError):
        with lock:
            1 / 0  # noqa: B018
    assert not lock.locked()


def test_a_lock_that_nobody_can_release_is_named_in_the_error(kind):
    lock = kind()
    lock.acquire()

    def other():
        lock.acquire()

    job = spawn(other)
    with pytest.raises(LoopExit) as caught:
        job.join()
    assert re.search(f"waits on <(locked )?{kind.__name__}", str(caught.value))
    lock.release()
    job.join()


def test_blocking_on_the_hub_is_an_error(kind):
    lock, errors = kind(), []
    lock.acquire()

    def callback():
        with pytest.raises(BlockingSwitchOutError, match="on the hub greenlet") as caught:
            lock.acquire()
        errors.append(caught.value)
        assert lock.acquire(False) is False

    get_hub().run_callback(callback)
    sleep(0)
    assert errors
    lock.release()


def test_a_lock_is_collected_after_use(kind):
    lock = kind()
    reference = weakref.ref(lock)
    lock.acquire()
    lock.release()
    del lock
    gc.collect()
    assert reference() is None


def test_a_lock_excludes_threads_and_greenlets(kind):
    lock, inside, most = kind(), [], []

    def work():
        for _ in range(200):
            with lock:
                inside.append(1)
                most.append(len(inside))
                sleep(0)
                inside.pop()

    threads = [threading.Thread(target=lambda: joinall([spawn(work) for _ in range(3)])) for _ in range(2)]
    plain = threading.Thread(target=work_plain, args=(lock, inside, most))
    for thread in [*threads, plain]:
        thread.start()
    joinall([spawn(work) for _ in range(3)])
    for thread in [*threads, plain]:
        thread.join()
    assert max(most) == 1 and len(most) == 9 * 200 + 200 and not lock.locked()


def work_plain(lock, inside, most):
    for _ in range(200):
        with lock:
            inside.append(1)
            most.append(len(inside))
            inside.pop()


def test_a_plain_thread_makes_no_hub():
    from hub import get_hub_if_exists

    lock, seen = Lock(), []
    lock.acquire()

    def work():
        seen.append(lock.acquire(timeout=0.01))
        seen.append(lock.acquire())
        seen.append(get_hub_if_exists())

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: seen and waiting(lock))
    lock.release()
    thread.join()
    assert seen == [False, True, None]


class Interrupting:
    """A number of seconds that runs a function when it is read: in the middle of an operation, as a finalizer may."""

    def __init__(self, function):
        self.function = function

    def __float__(self):
        self.function()
        return 5.0

    def __lt__(self, other):
        return False

    __gt__ = __lt__


@pytest.mark.parametrize("make", [Lock, Semaphore, BoundedSemaphore])
def test_a_release_in_the_middle_of_an_acquire_is_noticed(make):
    """A release after acquire() has found the lock taken, and before it stands in line, is noticed."""
    lock = make()
    lock.acquire()
    assert lock.acquire(timeout=Interrupting(lock.release))
    assert lock.locked() and waiting(lock) == 0
    lock.release()


# --- semaphores -------------------------------------------------------------------------------------------------


def test_a_semaphore_counts_acquires_and_releases():
    semaphore = Semaphore(2)
    assert semaphore.counter == 2 and not semaphore.locked() and semaphore.ready()
    assert semaphore.acquire() and semaphore.acquire()
    assert semaphore.locked() and not semaphore.acquire(False)
    assert semaphore.release() == 1
    assert semaphore.release(3) == 4 == semaphore.counter
    assert "counter=4" in repr(semaphore)
    with pytest.raises(ValueError, match="negative"):
        Semaphore(-1)
    with pytest.raises(ValueError, match="1 or more"):
        semaphore.release(0)
    assert Semaphore(None).counter == 1


def test_release_many_wakes_many():
    semaphore = Semaphore(0)
    jobs = [spawn(semaphore.acquire) for _ in range(3)]
    sleep(0)
    assert semaphore.release(2) == 0
    sleep(0)
    assert [job.ready() for job in jobs] == [True, True, False]
    semaphore.release()
    joinall(jobs)


def test_a_release_of_very_many_is_quick_and_checked():
    """The number is added at once, not by ones."""
    semaphore, order = Semaphore(0), []
    waiters = [spawn(lambda: order.append(semaphore.acquire())) for _ in range(2)]
    onlooker = spawn(semaphore.wait)
    sleep(0)
    assert semaphore.release(2**62) == 2**62 - 2
    joinall(waiters)
    assert order == [True, True] and onlooker.get() == 2**62 - 2
    with pytest.raises(OverflowError):
        semaphore.release(2**63 - 1)
    with pytest.raises(OverflowError):
        semaphore.release(2**64)
    assert semaphore.counter == 2**62 - 2
    with pytest.raises(ValueError, match="more often than it was acquired"):
        BoundedSemaphore(1).release(2**63 - 1)


def test_a_bounded_semaphore_refuses_one_release_too_many():
    semaphore = BoundedSemaphore(1)
    with pytest.raises(ValueError, match="more often"):
        semaphore.release()
    semaphore.acquire()
    assert semaphore.release() == 1
    with pytest.raises(ValueError):
        with semaphore:
            semaphore.release()


def test_wait_does_not_acquire():
    semaphore = Semaphore(0)
    looking = [spawn(semaphore.wait), spawn(semaphore.wait, 0.001)]
    until(looking[1].ready)
    assert looking[1].get() == 0
    semaphore.release()
    assert looking[0].get() == 1 == semaphore.counter == semaphore.wait()


def test_wait_times_out_when_others_acquire_first():
    semaphore = Semaphore(0)
    looking, taking = spawn(semaphore.wait, 0.01), spawn(semaphore.acquire)
    sleep(0)
    semaphore.release()
    assert taking.get() and looking.get() == 0


def test_links_of_a_semaphore_are_called_once():
    semaphore, calls = Semaphore(0), []
    semaphore.rawlink(lambda source: calls.append(source.counter))
    assert semaphore.linkcount() == 1
    semaphore.release()
    sleep(0)
    assert calls == [1] and semaphore.linkcount() == 0


def test_a_dummy_semaphore_never_waits():
    dummy = DummySemaphore(3)
    with dummy:
        assert dummy.acquire() and dummy.acquire(False, 1) and dummy.wait() == 1
        assert dummy.ready() and not dummy.locked()
        dummy.release()
        dummy.rawlink(print)
        dummy.unlink(print)


# --- Lock and RLock ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Lock, RLock])
def test_arguments_are_those_of_the_standard_library(make):
    lock = make()
    assert lock.acquire(True, -1) and lock.acquire(blocking=False) is (make is RLock)
    with pytest.raises(ValueError, match="non-blocking"):
        lock.acquire(False, 1)
    with pytest.raises(ValueError, match="non-negative"):
        lock.acquire(True, -2)


def test_any_greenlet_may_release_a_lock():
    lock = Lock()
    lock.acquire()
    spawn(lock.release).get()
    assert not lock.locked()
    with pytest.raises(RuntimeError, match="nobody holds"):
        lock.release()
    lock.acquire()
    lock._at_fork_reinit()
    assert not lock.locked()


def test_rlock_belongs_to_its_greenlet():
    lock = RLock()
    with lock, lock:
        assert lock._is_owned() and lock.locked() and lock._recursion_count() == 2
        assert repr(lock).startswith(f"<locked RLock object owner={getcurrent()!r} count=2 at 0x")

        def other():
            assert not lock._is_owned()
            with pytest.raises(RuntimeError, match="does not hold"):
                lock.release()
            assert not lock.acquire(False)

        spawn(other).get()
    assert not lock.locked() and "<unlocked RLock object count=0 at 0x" in repr(lock)
    with pytest.raises(RuntimeError):
        lock.release()
    lock.acquire()
    lock._at_fork_reinit()
    assert not lock.locked()


def test_rlock_owner_is_not_mistaken_for_a_dead_greenlet():
    """A greenlet that ends while it holds a lock keeps it, even if a new greenlet gets its place in memory."""
    lock = RLock()
    spawn(lock.acquire).get()
    gc.collect()
    for _ in range(50):
        assert spawn(lock.acquire, False).get() is False


@pytest.mark.parametrize("make", [Lock, RLock])
def test_the_standard_condition_accepts_them(make):
    condition, woken = threading.Condition(make()), []

    def wait():
        with condition:
            woken.append(condition.wait(timeout=5))

    thread = threading.Thread(target=wait)
    with condition:
        thread.start()
    until(lambda: condition._waiters)
    with condition:
        condition.notify_all()
    thread.join()
    assert woken == [True]
