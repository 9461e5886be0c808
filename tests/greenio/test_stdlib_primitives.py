"""CPython's own tests of locks, events, conditions, semaphores and barriers, with its plain threads, on ours."""

import pytest

lock_tests = pytest.importorskip("test.lock_tests", reason="this CPython was installed without its tests")

from greenio import event, lock  # noqa: E402

# Tests that are set to None do not apply: they look at the inside, or at a repr, which here also names the waiters.


class Locks(lock_tests.LockTests):
    locktype = staticmethod(lock.Lock)


class RLocks(lock_tests.RLockTests):
    locktype = staticmethod(lock.RLock)
    test_constructor_noargs = None  # it takes a hub, as in gevent


class Events(lock_tests.EventTests):
    eventtype = staticmethod(event.Event)
    test_at_fork_reinit = None
    test_repr = None


class Conditions(lock_tests.ConditionTests):
    locktype = staticmethod(lock.Lock)
    condtype = staticmethod(lock.Condition)
    test_nan_timeout = None  # it counts the locks of those that wait


class Semaphores(lock_tests.SemaphoreTests):
    semtype = staticmethod(lock.Semaphore)
    test_repr = None
    test_acquire_timeout = None  # a timeout that is not to be waited for is ignored, as in gevent


class BoundedSemaphores(lock_tests.BoundedSemaphoreTests):
    semtype = staticmethod(lock.BoundedSemaphore)
    test_repr = None
    test_acquire_timeout = None  # as above


class Barriers(lock_tests.BarrierTests):
    barriertype = staticmethod(lock.Barrier)
    test_repr = None
