"""A signal that comes in a sleep is handled at once; prints the median delay in milliseconds."""

import os
import signal
import statistics
import threading
import time

import greenio

delays = []
sent = 0.0


def handler(signum, frame):
    delays.append(time.monotonic() - sent)


def send():
    global sent
    for count in range(50):
        while len(delays) < count:  # a second signal while one is pending would be lost
            time.sleep(0.001)
        time.sleep(0.005)
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGUSR1)
    finished.set()


signal.signal(signal.SIGUSR1, handler)
finished = threading.Event()
sender = threading.Thread(target=send)
sender.start()
while not finished.is_set():
    greenio.sleep(0.2)
sender.join()
print(f"{statistics.median(delays) * 1000:.3f} {len(delays)}")
