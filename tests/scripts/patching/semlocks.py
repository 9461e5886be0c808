"""Wrong use of multiprocessing's locks in a patched process: the standard errors, and the lock is held still."""

from greenio import monkey

monkey.patch_all()

import multiprocessing  # noqa: E402
import threading  # noqa: E402

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


def _fails(function, kind, text=""):
    try:
        function()
    except kind as error:
        assert text in str(error)
    else:
        raise AssertionError("no error")


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
    _fails(lock.release, AssertionError, "not owned by thread")
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
    _fails(lock.release, AssertionError)
    assert _elsewhere(lock.acquire, make=threading.Thread) is True
    assert lock.acquire(timeout=0.002) is False
    _fails(lock.release, AssertionError)


def locks_that_are_released_too_often():
    for kind in (multiprocessing.Lock, lambda: multiprocessing.BoundedSemaphore(1)):
        lock = kind()
        _fails(lock.release, ValueError, "too many times")
        assert lock.acquire() and not lock.acquire(timeout=0.002)
        for make in PLACES:
            assert _elsewhere(lock.release, make=make) is None  # from any thread: these have no owner
            assert lock.acquire(False)
        lock.release()
        _fails(lock.release, ValueError)
    semaphore = multiprocessing.Semaphore(0)
    semaphore.release()
    assert semaphore.get_value() == 1 and semaphore.acquire(False) and not semaphore.acquire(False)


def only_the_holder_of_its_lock_uses_a_condition():
    for lock in (multiprocessing.Lock(), multiprocessing.RLock()):
        condition = multiprocessing.Condition(lock)
        wrong = [lambda c=condition: c.wait(0.001), condition.notify, condition.notify_all]
        for function in wrong:
            _fails(function, AssertionError)
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
    _fails(value.get_lock().release, AssertionError)
    assert value.value == 1
    queue = multiprocessing.JoinableQueue()
    _fails(queue.task_done, ValueError)
    queue.close()
    queue.join_thread()


def wrong_arguments():
    for kind in (multiprocessing.Lock, multiprocessing.RLock, multiprocessing.Semaphore):
        for arguments in ((True, "x"), (1, 2, 3)):
            _fails(lambda k=kind, a=arguments: k().acquire(*a), TypeError)
        _fails(lambda k=kind: k().acquire(blocking=True), TypeError)
        lock = kind()
        assert _elsewhere(lock.acquire, make=threading.Thread)
        assert lock.acquire(True, -1) is False and lock.acquire(False, 5) is False
