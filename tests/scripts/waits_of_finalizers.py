"""Finalizers of a patched program wait while modules are being cleared: each wait ends by its event or by its timeout.

With the argument "unused", nothing has waited before. With "natively", nothing is patched.
"""

import sys

if "natively" not in sys.argv:
    from greenio import monkey

    monkey.patch_all()

import os
import queue
import select
import socket
import threading
import time

if "unused" not in sys.argv:
    time.sleep(0)
    ours, theirs = socket.socketpair()
    theirs.send(b"x")


def receive(pair=socket.socketpair):
    first, second = pair()
    first.settimeout(0.01)
    second.settimeout(0.01)
    second.send(b"x")
    said = [first.recv(1)]
    try:
        first.recv(1)
    except TimeoutError:
        said.append("no more")
    first.close()
    second.close()
    return said


def read(os=os):
    reader, writer = os.pipe()
    os.write(writer, b"x")
    said = os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    return said


def get(Queue=queue.Queue, Empty=queue.Empty):
    try:
        Queue().get(timeout=0.01)
    except Empty:
        return "empty"


def acquire(Lock=threading.Lock):
    lock = Lock()
    return lock.acquire(), lock.acquire(timeout=0.01)


def wait(Condition=threading.Condition):
    with (condition := Condition()):
        return condition.wait(0.01)


def sleep(sleep=time.sleep, now=time.monotonic):
    before = now()
    sleep(0)
    sleep(0.01)
    return now() - before >= 0.01


CALLS = [
    sleep, receive, read, get, acquire, wait,
    lambda Event=threading.Event: Event().wait(0.01),
    lambda select=select.select: select([], [], [], 0.01),
]  # fmt: skip


class Late:
    def __del__(self, calls=CALLS, write=os.write):
        for call in calls:
            try:
                said = call()
            except RuntimeError as error:
                said = f"{type(error).__name__}: {error}"
            write(1, f"{said}\n".encode())


late = Late()
