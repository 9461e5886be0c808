"""RLock: owners, depth, wrong use."""

import threading

from _tell import tell, tell_kind


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


lock = threading.RLock()
tell_kind("release unlocked", lock.release)
tell("acquire", lock.acquire)
tell("again", lock.acquire)
in_thread(lambda: tell("acquire elsewhere, at once", lock.acquire, False))
in_thread(lambda: tell("acquire elsewhere, for a time", lock.acquire, timeout=0.001))
in_thread(lambda: tell_kind("release elsewhere", lock.release))
tell("acquire at once with a time", lock.acquire, False, 1)
tell_kind("for a negative time", lock.acquire, True, -2)
tell("for ever so long", lock.acquire, True, 1e30)
tell("a text", lock.acquire, "x", "y")
tell("owned", lock._is_owned)
in_thread(lambda: tell("owned elsewhere", lock._is_owned))
state = lock._release_save()
in_thread(lambda: tell("acquire elsewhere after the save", lambda: (lock.acquire(False), lock.release())))
tell("restore", lock._acquire_restore, state)
in_thread(lambda: tell("acquire elsewhere after the restore", lock.acquire, False))


class Holder:
    """Methods that call each other, each with the lock."""

    def __init__(self):
        self.lock = threading.RLock()
        self.items = []

    def add(self, item):
        with self.lock:
            self.items.append(item)

    def add_all(self, items):
        with self.lock:
            for item in items:
                self.add(item)


holder = Holder()
threads = [threading.Thread(target=holder.add_all, args=([number] * 5,)) for number in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
groups = [set(holder.items[at : at + 5]) for at in range(0, 30, 5)]
print(len(holder.items), all(len(group) == 1 for group in groups))

# Another thread gets the lock only when it was released as often as it was acquired.
lock = threading.RLock()
steps, order = [threading.Event() for _ in range(2)], []


def takes_twice():
    with lock:
        with lock:
            steps[0].set()
            steps[1].wait()
        order.append("inner")
    order.append("outer")


thread = threading.Thread(target=takes_twice)
thread.start()
steps[0].wait()
print(lock.acquire(timeout=0.001))
steps[1].set()
thread.join()
print(lock.acquire(timeout=1), order)
lock.release()
tell_kind("with what raises", lambda: lock.__exit__(None, None, None))
tell("kind", lambda: isinstance(lock, type(threading.RLock())))
tell("by Python", lambda: repr(threading._PyRLock()))
python_lock = threading._PyRLock()
python_lock.acquire()
in_thread(lambda: tell("release of another's", python_lock.release))
tell("owner", lambda: repr(python_lock).count("MainThread"))
