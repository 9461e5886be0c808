"""Finalizers that run when the interpreter ends call the library: a call works, or raises the library's own error."""

import builtins
import os
import sys

import greenio
from greenio import socket
from greenio.event import AsyncResult, Event
from greenio.local import local
from greenio.lock import Condition, RLock, Semaphore
from greenio.pool import Pool
from greenio.queue import Queue
from greenio.taskgroup import TaskGroup

hub = greenio.get_hub()
ours, theirs = socket.socketpair()
ours.settimeout(0.01)
waiting = greenio.spawn(greenio.sleep, 1000)


def timeout():
    with greenio.Timeout(0.01):
        greenio.sleep(1)


def condition():
    made = Condition()
    with made:
        made.wait(0.01)


def group():
    with TaskGroup() as made:
        made.spawn(greenio.sleep, 0.01)


CALLS = {
    "sleep(0)": lambda: greenio.sleep(0),
    "sleep": lambda: greenio.sleep(0.01),
    "hub": lambda: repr(greenio.get_hub()),
    "hub.join": lambda: hub.join(),
    "callback": lambda: hub.run_callback(print),
    "event": lambda: Event().wait(0.01),
    "set": lambda: Event().set(),
    "result": lambda: AsyncResult().get(timeout=0.01),
    "semaphore": lambda: Semaphore(0).acquire(timeout=0.01),
    "rlock": lambda: RLock().acquire(),
    "condition": condition,
    "queue": lambda: Queue().get(timeout=0.01),
    "put": lambda: Queue().put(1),
    "spawn": lambda: greenio.spawn(print).join(),
    "spawn_later": lambda: greenio.spawn_later(0.01, print).get(),
    "spawn_raw": lambda: greenio.spawn_raw(print),
    "joinall": lambda: greenio.joinall([greenio.spawn(print)]),
    "kill": lambda: greenio.kill(waiting),
    "killed": lambda: waiting.kill(timeout=0.01),
    "timeout": timeout,
    "pool": lambda: Pool(2).map(abs, [1, 2]),
    "group": group,
    "local": lambda: setattr(local(), "value", 1),
    "recv": lambda: ours.recv(1),
    "send": lambda: theirs.send(b"x"),
    "threadpool": lambda: hub.threadpool.apply(abs, (-1,)),
    "resolver": lambda: socket.getaddrinfo("localhost", 1),
    "close": lambda: ours.close(),
    "destroy": lambda: hub.destroy(),
}


class Late:
    def __init__(self):
        self.calls, self.write = CALLS, os.write

    def __del__(self):
        for name, call in self.calls.items():
            try:
                call()
            except Exception as error:
                if type(error).__name__ in ("AttributeError", "TypeError", "NameError"):
                    self.write(1, f"{name}: {error!r}\n".encode())
            except BaseException as error:
                if type(error).__name__ not in ("HubDestroyed", "Timeout"):
                    self.write(1, f"{name}: {error!r}\n".encode())
        self.write(1, b"called\n")


if sys.argv[1] == "sys":
    sys.late = Late()
elif sys.argv[1] == "builtins":
    builtins.late = Late()
elif sys.argv[1] == "cycle":
    late = Late()
    late.itself = late
else:
    hub.late = Late()
