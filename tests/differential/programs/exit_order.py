"""Ends: threads, atexit functions, executors, exceptions in each, what is registered meanwhile."""

import atexit
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from _tell import tell

say = sys.stdout.write


def fails():
    raise ValueError("at exit")


def registers():
    say("registers\n")
    atexit.register(say, "registered late\n")


def waits():
    time.sleep(0.001)
    lock = threading.Lock()
    with lock:
        say(f"waited {lock.acquire(timeout=0.001)}\n")


def starts():
    try:
        thread = threading.Thread(target=say, args=("a thread at exit\n",))
        thread.start()
        thread.join()
    except RuntimeError as error:
        say(f"{error}\n")


def submits():
    tell("submit at exit", executor.submit, int)


def last():
    done.wait()
    say("last thread\n")


done, ended = threading.Event(), threading.Event()
executor = ThreadPoolExecutor(1)
executor.submit(lambda: (ended.wait(), say("job\n"), done.set()))
atexit.register(say, "first registered\n")
atexit.register(fails)
atexit.register(registers)
atexit.register(waits)
atexit.register(submits)
if sys.version_info < (3, 12):  # CPython 3.12 and later starts no threads there
    atexit.register(starts)
removed = atexit.register(lambda: say("never\n"))
atexit.unregister(removed)
threading.Thread(target=last).start()
daemon = threading.Thread(target=lambda: (time.sleep(1000), say("never\n")), daemon=True)
daemon.start()
say("end\n")
ended.set()
sys.exit(3)
