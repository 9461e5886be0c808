"""An exception in the main thread, while others run: they end first, then atexit functions run. The status is 1."""

import atexit
import sys
import threading
import time


def first():
    time.sleep(0.001)
    print("first", flush=True)


def second():
    threads[0].join()
    time.sleep(0.001)
    print("second", flush=True)
    sys.exit(9)


atexit.register(print, "at exit")
print("raises", flush=True)
threads = [threading.Thread(target=first), threading.Thread(target=second)]
for thread in threads:
    thread.start()
raise LookupError("in the main thread")
