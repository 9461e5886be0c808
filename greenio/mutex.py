"""Lock and RLock alone, as `greenio.lock` has them among its other locks.

acquire() switches if it waits; nothing else does.
"""

from greenio._sync.mutex import Lock, RLock

__all__ = ["Lock", "RLock"]
