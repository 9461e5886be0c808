"""Signals reach the descriptor that the program gave to signal.set_wakeup_fd(), before or after the hub used it."""

import os
import signal
import socket
import sys

from hub import Wait

import greenio

when = sys.argv[1]
ours, theirs = socket.socketpair()
ours.setblocking(False)
theirs.setblocking(False)
wait = None


def handler(signum, frame):
    wait.wake("handled")


signal.signal(signal.SIGUSR1, handler)
if when == "before":
    signal.set_wakeup_fd(theirs.fileno())
greenio.sleep(0.001)
if when == "after":
    signal.set_wakeup_fd(theirs.fileno())
elif when == "late":
    greenio.sleep(0.1)
    signal.set_wakeup_fd(theirs.fileno())
for _ in range(3):
    wait = Wait("the signal")
    # Another process sends the signal, so that no code of this one runs meanwhile.
    if os.fork() == 0:
        import time

        time.sleep(0.1)
        os.kill(os.getppid(), signal.SIGUSR1)
        os._exit(0)
    print(wait.park(10), end=" ")
    os.wait()
print(ours.recv(100) if when != "none" else b"", signal.set_wakeup_fd(-1) == theirs.fileno())
