"""Locks of every kind, for greenlets and threads: the module to import them from."""

from greenio.condition import Barrier, BrokenBarrierError, Condition, RWLock
from greenio.mutex import Lock, RLock
from greenio.semaphore import BoundedSemaphore, DummySemaphore, Semaphore

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "Condition",
    "DummySemaphore",
    "Lock",
    "RLock",
    "RWLock",
    "Semaphore",
]
