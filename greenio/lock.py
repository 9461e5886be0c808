"""Locks of every kind, for greenlets and threads. Import them from here; `greenio._sync` has their code.

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
