"""Ctrl-C at random times, one after the other: each arrives in the main greenlet, once, and in no other.

Its arguments are a seed and a number of seconds. SIGUSR1 stands for SIGINT, and has the handler that SIGINT has.
"""

import os
import random
import signal
import sys
import threading
import time

import greenio
from greenio.event import Event
from greenio.lock import Semaphore
from greenio.queue import Queue
from greenio.socket import socketpair

seed, seconds = int(sys.argv[1]), float(sys.argv[2])
signal.signal(signal.SIGUSR1, signal.default_int_handler)
semaphore, queue, event, (ours, theirs) = Semaphore(1), Queue(1), Event(), socketpair()
sent = arrived = 0
over, hurt = False, []
inside = False  # whether the main greenlet may be interrupted now
# In CPython 3.14 Ctrl-C may come between __enter__() and the block, and then no __exit__() follows. This concerns locks
# of the standard library as well.
with_is_safe = sys.version_info[:2] != (3, 14)


def send(random):
    global sent
    while not over:
        time.sleep(0.002 + random.random() * 0.004)
        if sent == arrived and inside:
            sent += 1
            os.kill(os.getpid(), signal.SIGUSR1)


def step(random):
    which = random.randrange(9)
    if which == 0:
        greenio.sleep(0)
    elif which == 1:
        greenio.sleep(random.random() * 0.003)
    elif which == 2 and (with_is_safe or random is not mine):
        with semaphore:
            greenio.sleep(0)
    elif which in (2, 3):
        for _ in range(random.randrange(5000)):
            pass
    elif which == 4:
        with greenio.Timeout(0.001, False):
            queue.put(1)
    elif which == 5:
        with greenio.Timeout(0.001, False):
            queue.get()
    elif which == 6:
        greenio.get_hub().run_callback(sum, range(1000))
    elif which == 7:
        with greenio.Timeout(0.001, False):
            event.wait()
    else:
        greenio.spawn(greenio.sleep, 0.001).join()


def work(random):
    while not over:
        try:
            step(random)
        except KeyboardInterrupt as error:
            hurt.append(error)


def echo():
    while not over:
        ours.sendall(b"x")
        theirs.recv(1)


def run(random):
    """Do the main greenlet's steps until its time has passed."""
    global inside
    inside = True
    while time.monotonic() < end or (sent != arrived and time.monotonic() < end + 10):
        step(random)
    inside = False


others = [greenio.spawn(work, random.Random(seed + number)) for number in range(1, 10)]
others.append(greenio.spawn(echo))
sender = threading.Thread(target=send, args=(random.Random(seed),), daemon=True)
sender.start()
end = time.monotonic() + seconds
mine = random.Random(seed + 10)
while not over:
    try:
        run(mine)
        over = True
    except KeyboardInterrupt:
        inside = False
        arrived += 1
try:
    sender.join()
except KeyboardInterrupt:
    arrived += 1
greenio.joinall(others, timeout=10)
print(sent == arrived > 0, hurt, all(other.successful() for other in others))
