"""Locks, events, conditions and barriers: those of threads, and those that processes share."""

import multiprocessing
import threading

from measuring import call, later, measured, on_condition

from greenio import spawn


def calls_of(module):
    name = module.__name__

    for kind in ("Lock", "RLock", "Semaphore", "BoundedSemaphore"):
        call(f"{name}.{kind}.acquire")(lambda kind=kind: acquire(getattr(module, kind)()))

    @call(f"{name}.Event.wait")
    def event_wait():
        event = module.Event()
        later(event.set)
        assert measured(event.wait)

    @call(f"{name}.Condition.wait")
    def condition_wait():
        on_condition(module.Condition(), lambda condition, told: condition.wait())

    @call(f"{name}.Condition.wait_for")
    def condition_wait_for():
        on_condition(module.Condition(), lambda condition, told: condition.wait_for(lambda: told))

    @call(f"{name}.Barrier.wait")
    def barrier_wait():
        barrier = module.Barrier(2)
        later(barrier.wait)
        measured(barrier.wait)


def acquire(lock):
    """Take a lock that another greenlet holds: the greenlet that holds an RLock may take it again."""
    holding, go_on = threading.Event(), threading.Event()

    def hold():
        with lock:
            holding.set()
            go_on.wait()

    spawn(hold)
    holding.wait()
    later(go_on.set)
    measured(lock.acquire)
    lock.release()


calls_of(threading)
calls_of(multiprocessing)
