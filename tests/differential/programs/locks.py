"""Lock: arguments, wrong use, times, who may release."""

import _thread
import threading

from _tell import tell, tell_kind

lock = threading.Lock()
print(lock.locked())
tell_kind("release unlocked", lock.release)
tell("acquire", lock.acquire)
print(lock.locked())
tell("acquire at once", lock.acquire, False)
tell("acquire at once, by name", lock.acquire, blocking=False)
tell("acquire for a time", lock.acquire, timeout=0.001)
tell("acquire for no time", lock.acquire, timeout=0)
tell("acquire at once, with a time", lock.acquire, False, 1)
tell_kind("acquire for a negative time", lock.acquire, timeout=-2)
tell("acquire for ever so long", lock.acquire, timeout=1e30)
tell("acquire for a text", lock.acquire, timeout="1")
tell("acquire for None", lock.acquire, True, None)
tell_kind("acquire of NaN", lock.acquire, True, float("nan"))
tell("too many", lock.acquire, True, 1, 2)
tell("unknown", lock.acquire, tmout=1)
tell("exit", lock.__exit__, None, None, None)
tell_kind("exit unlocked", lock.__exit__, None, None, None)
tell("enter", lock.__enter__)
thread = threading.Thread(target=lock.release)
thread.start()
thread.join()
print("released by another:", lock.locked())
tell("no attributes", setattr, lock, "name", 1)
tell("not to be copied", __import__("copy").copy, lock)
tell("not to be pickled", __import__("pickle").dumps, lock)
tell("equal to itself", lambda: lock == lock and hash(lock) == hash(lock) and lock != threading.Lock())
print(_thread.LockType is type(lock), isinstance(lock, type(_thread.allocate_lock())))
print(bool(lock), hasattr(lock, "acquire_lock"), hasattr(lock, "_at_fork_reinit"))

with lock:
    try:
        with lock if not lock.locked() else threading.Lock():
            raise KeyError("inside")
    except KeyError as error:
        print("KeyError", error, lock.locked())
print(lock.locked())

# Each thread gets the lock, in whatever order.
count = 0


def add():
    global count
    for _ in range(100):
        with lock:
            count += 1


threads = [threading.Thread(target=add) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(count, lock.locked())

# acquire() with a timeout gets the lock if, and only if, it is released in time.
results = []
lock.acquire()
thread = threading.Thread(target=lambda: results.append(lock.acquire(timeout=20)))
thread.start()
lock.release()
thread.join()
print(results, lock.locked())
lock.release()
