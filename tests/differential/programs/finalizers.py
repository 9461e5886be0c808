"""Weak references and finalizers: in threads, that wait, that raise, at the end."""

import gc
import sys
import threading
import time
import weakref

from _tell import tell

gone = []


class Thing:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        gone.append((self.name, threading.current_thread().name))


def work():
    thing = Thing("local")
    weakref.finalize(thing, gone.append, "finalize")
    cycle = Thing("cycle")
    cycle.me = cycle
    del cycle
    gc.collect()


thread = threading.Thread(target=work, name="worker")
thread.start()
thread.join()
print(sorted(map(str, gone)))


class Waits:
    def __del__(self):
        time.sleep(0.001)
        with lock:
            gone.append("waited")


class Raises:
    def __del__(self):
        raise LookupError("in a finalizer")


lock = threading.Lock()
del gone[:]
waits = Waits()
del waits
print(gone)
raises = Raises()
del raises
told = []
sys.unraisablehook = lambda args: told.append((args.exc_type.__name__, str(args.exc_value)))
thread = threading.Thread(target=Raises)
thread.start()
thread.join()
print(told)
reference = weakref.ref(Thing("x"), lambda ref: 1 / 0)
print(reference(), told[-1])
sys.unraisablehook = sys.__unraisablehook__

objects = [Thing(str(n)) for n in range(20)]
keys = weakref.WeakKeyDictionary((each, each.name) for each in objects)
values = weakref.WeakValueDictionary((each.name, each) for each in objects)
group = weakref.WeakSet(objects)


def drops(n):
    for _ in range(4):
        objects.pop()
        time.sleep(0)


threads = [threading.Thread(target=drops, args=(n,)) for n in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
gc.collect()
print(len(keys), len(values), len(group))
for kind in (threading.Lock, threading.RLock, threading.Event, threading.Condition, threading.Thread):
    made = kind()
    reference = weakref.ref(made)
    del made
    gc.collect()
    print(reference() is None)
event = threading.Event()
thread = threading.Thread(target=event.wait)
thread.start()
reference = weakref.ref(thread)
del thread
gc.collect()
print(reference() is not None)
event.set()
reference().join()
gc.collect()
del gone[:]
tell("gone with its end", lambda: (time.sleep(0.001), gc.collect(), reference())[2])
last = weakref.finalize(sys, print, "at exit, last registered first")
weakref.finalize(sys, lambda: 1 / 0)
print(last.alive, last.atexit)
