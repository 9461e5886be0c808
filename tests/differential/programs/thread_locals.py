"""threading.local: per thread, subclasses, wrong use, ends of threads."""

import gc
import threading
import weakref

from _tell import tell


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


local = threading.local()
local.value = "main"
tell("dict", lambda: local.__dict__)
tell("missing", lambda: local.missing)
tell("delete missing", delattr, local, "missing")
in_thread(lambda: tell("elsewhere", lambda: local.value))
in_thread(lambda: tell("dict elsewhere", lambda: local.__dict__))
tell("setting the dict", setattr, local, "__dict__", {})
tell("deleting the dict", delattr, local, "__dict__")
tell("arguments", threading.local, 1)
tell("named arguments", threading.local, a=1)
tell("pickle", __import__("pickle").dumps, local)
tell("text for a name", lambda: getattr(local, "va" + "lue"))
tell("number for a name", setattr, local, 5, 1)


class Own(threading.local):
    made = 0
    shared = "class"

    def __init__(self, first, second=2):
        Own.made += 1
        self.pair = [first, second]

    @property
    def total(self):
        return sum(self.pair)


own = Own(1, second=3)
own.pair.append(4)
print(own.total, own.shared, Own.made)
in_thread(lambda: tell("elsewhere", lambda: (own.total, own.pair, own.shared)))
in_thread(lambda: tell("property cannot be set", setattr, own, "total", 1))
print(Own.made, own.pair)
tell("wrong arguments", Own)


class Slots(threading.local):
    __slots__ = ("shared",)


slots = Slots()
slots.shared, slots.single = 1, 2
in_thread(lambda: tell("a slot is shared", lambda: slots.shared))
in_thread(lambda: tell("others are not", lambda: slots.single))


class Fails(threading.local):
    tries = 0

    def __init__(self):
        Fails.tries += 1
        if threading.current_thread() is not threading.main_thread() and Fails.tries < 3:
            raise ValueError("not yet")
        self.ready = True


fails = Fails()


def uses_twice():
    tell("first", lambda: fails.ready)
    tell("second", lambda: fails.ready)


in_thread(uses_twice)
print(Fails.tries)


class Thing:
    pass


def leaves_one():
    local.thing = Thing()
    gone.append(weakref.ref(local.thing))


gone = []
in_thread(leaves_one)
gc.collect()
print("with the thread:", gone[0]() is None)
local.thing = Thing()
gone.append(weakref.ref(local.thing))
local = None
gc.collect()
print("with the local:", gone[1]() is None)


class Comparable(threading.local):
    def __eq__(self, other):
        return True

    __hash__ = None


one, other = Comparable(), Comparable()
one.value, other.value = 1, 2
print(one.value, other.value, one == other)
