"""Ctrl-C, while a thread computes for longer than a second and the main one waits for it."""
# natively: the main thread
# patched: the thread that computes

import os
import signal
import threading


def busy():
    while not interrupted:
        pass


def compute():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        busy()
    except KeyboardInterrupt:
        interrupted.append("the thread that computes")


interrupted = []
thread = threading.Thread(target=compute)
try:
    thread.start()
    thread.join()
except KeyboardInterrupt:
    interrupted.append("the main thread")
print(interrupted[0])
thread.join()
