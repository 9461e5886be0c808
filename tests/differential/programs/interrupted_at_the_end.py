"""Ctrl-C: in waits of every kind, caught; in one that nobody catches, with a thread that has still to end."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time

from _tell import tell


def interrupted(wait):
    timer = threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        wait()
    finally:
        timer.join()


lock, condition = threading.Lock(), threading.Condition()
lock.acquire()
go_on = threading.Event()
thread = threading.Thread(target=go_on.wait)
thread.start()


def waits_for_condition():
    with condition:
        condition.wait()


def computes():
    while True:
        pass


tell("lock", interrupted, lock.acquire)
tell("queue", interrupted, queue.Queue().get)
tell("simple queue", interrupted, queue.SimpleQueue().get)
tell("condition", interrupted, waits_for_condition)
tell("join", interrupted, thread.join)
tell("sleep", interrupted, lambda: time.sleep(1000))
tell("child", interrupted, lambda: subprocess.run(["sh", "-c", "trap '' INT; sleep 0.02"]))
tell("barrier", interrupted, threading.Barrier(2).wait)
go_on.set()
thread.join()
print(lock.locked(), condition.acquire(False))
print("and then", flush=True)
threading.Thread(target=lambda: (time.sleep(0.01), print("a thread ends", flush=True))).start()
threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    time.sleep(1000)
finally:
    sys.stdout.flush()
