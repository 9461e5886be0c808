"""Locks of every kind, for greenlets and threads: the module to import them from."""

from greenio._sync.condition import Barrier, BrokenBarrierError, Condition, RWLock
from greenio._sync.mutex import Lock, RLock
from greenio._sync.semaphore import BoundedSemaphore, DummySemaphore, Semaphore

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
