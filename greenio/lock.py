"""Locks of every kind, for greenlets and threads. The code is in `greenio._sync`.

Methods that wait say that they switch; the others do not switch.
"""

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
