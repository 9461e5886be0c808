"""The main thread waits for what nobody can do any more."""
# natively: still waiting
# patched: LoopExit

import signal
import sys
import threading


def give_up(number, frame):
    print("still waiting")
    sys.exit()


lock = threading.Lock()
lock.acquire()
signal.signal(signal.SIGALRM, give_up)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
    lock.acquire()
except Exception as error:
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(type(error).__name__)
