"""What a signal's handler raises, when the main thread has just been woken by something else."""
# natively: at once
# patched: at the next wait

import os
import signal
import threading
import time


class Own(Exception):
    pass


def handler(number, frame):
    raise Own


def wakes_and_sends():
    while not waits:
        time.sleep(0.001)
    time.sleep(0.005)
    event.set()
    os.kill(os.getpid(), signal.SIGUSR1)


signal.signal(signal.SIGUSR1, handler)
event, waits = threading.Event(), []
try:
    threading.Thread(target=wakes_and_sends).start()
    try:
        waits.append(1)
        event.wait()
        for _ in range(4_000_000):
            pass
    except Own:
        print("at once")
    time.sleep(0.001)
except Own:
    print("at the next wait")
