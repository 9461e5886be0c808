"""Daemon threads at the end of the program: their finally blocks do not run, whatever they wait for."""

import os
import queue
import socket
import sys
import threading
import time

lock, event, items = threading.Lock(), threading.Event(), queue.Queue()
one, other = socket.socketpair()
reading, writing = os.pipe()
lock.acquire()
started = []


def waits(function):
    started.append(1)
    try:
        function()
    finally:
        os.write(1, b"a finally block\n")


def computes():
    while True:
        time.sleep(0)


for function in (lock.acquire, event.wait, items.get, computes, lambda: time.sleep(1000)):
    threading.Thread(target=waits, args=(function,), daemon=True).start()
for function in (lambda: one.recv(1), lambda: os.read(reading, 1), threading.Barrier(2).wait):
    threading.Thread(target=waits, args=(function,), daemon=True).start()
while len(started) < 8:
    time.sleep(0.001)
print(threading.active_count())
print("with")
print("daemons")
print("the end", flush=True)
sys.exit("text")
