"""Wrong use of multiprocessing's locks in a patched process: the standard errors, and the lock is held still."""

from greenio import monkey

monkey.patch_all()

import multiprocessing  # noqa: E402
import threading  # noqa: E402

from shared import raises  # noqa: E402

PLACES = [threading.Thread, monkey.get_original("threading", "Thread")]


def _elsewhere(function, *args, make):
    """Return what a function returns or raises in another thread."""
    found = []

    def call():
        try:
            found.append(function(*args))
        except Exception as error:
            found.append(error)

    thread = make(target=call)
    thread.start()
    thread.join()
    return found[0]


def _another_process_gets(lock):
    """Whether another process can acquire the lock now. It is forked, and so has the lock without being given it."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=lambda: queue.put(lock.acquire(False)))
    process.start()
    got = queue.get()
    process.join()
    return got


def only_the_holder_of_a_recursive_lock_releases_it():
    lock = multiprocessing.RLock()
    with raises(AssertionError, "not owned by thread"):
        lock.release()
    assert lock.acquire() and lock.acquire()
    for make in PLACES:
        assert isinstance(_elsewhere(lock.release, make=make), AssertionError)
        assert isinstance(_elsewhere(lock.__exit__, None, None, None, make=make), AssertionError)
        assert _elsewhere(lock.acquire, False, make=make) is False
        assert "SomeOtherThread" in _elsewhere(repr, lock, make=make)
    assert "MainProcess, 2" in repr(lock)
    assert not _another_process_gets(lock)
    lock.release()
    assert not _another_process_gets(lock)
    lock.release()
    with raises(AssertionError):
        lock.release()
    assert _elsewhere(lock.acquire, make=threading.Thread) is True
    assert lock.acquire(timeout=0.002) is False
    with raises(AssertionError):
        lock.release()


def locks_that_are_released_too_often():
    for kind in (multiprocessing.Lock, lambda: multiprocessing.BoundedSemaphore(1)):
        lock = kind()
        with raises(ValueError, "too many times"):
            lock.release()
        assert lock.acquire() and not lock.acquire(timeout=0.002)
        for make in PLACES:
            assert _elsewhere(lock.release, make=make) is None  # from any thread: these have no owner
            assert lock.acquire(False)
        lock.release()
        with raises(ValueError):
            lock.release()
    semaphore = multiprocessing.Semaphore(0)
    semaphore.release()
    assert semaphore.get_value() == 1 and semaphore.acquire(False) and not semaphore.acquire(False)


def only_the_holder_of_its_lock_uses_a_condition():
    for lock in (multiprocessing.Lock(), multiprocessing.RLock()):
        condition = multiprocessing.Condition(lock)
        wrong = [lambda c=condition: c.wait(0.001), condition.notify, condition.notify_all]
        for function in wrong:
            with raises(AssertionError):
                function()
        with condition:
            for function in wrong:
                for make in PLACES:
                    assert isinstance(_elsewhere(function, make=make), AssertionError)
            assert not _another_process_gets(lock)
            assert condition.wait(0.002) is False
            condition.notify()
        assert lock.acquire(False)
        lock.release()


def locks_of_values():
    value = multiprocessing.Value("i")
    with value.get_lock():
        assert isinstance(_elsewhere(value.get_lock().release, make=threading.Thread), AssertionError)
        value.value += 1
    with raises(AssertionError):
        value.get_lock().release()
    assert value.value == 1
    queue = multiprocessing.JoinableQueue()
    with raises(ValueError):
        queue.task_done()
    queue.close()
    queue.join_thread()


def wrong_arguments():
    for kind in (multiprocessing.Lock, multiprocessing.RLock, multiprocessing.Semaphore):
        for arguments in ((True, "x"), (1, 2, 3)):
            with raises(TypeError):
                kind().acquire(*arguments)
        with raises(TypeError):
            kind().acquire(blocking=True)
        lock = kind()
        assert _elsewhere(lock.acquire, make=threading.Thread)
        assert lock.acquire(True, -1) is False and lock.acquire(False, 5) is False
