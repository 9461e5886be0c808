"""An exception in the main thread, while others run: they end first, then atexit functions run. The status is 1."""

import atexit
import sys
import threading
import time

atexit.register(print, "at exit")
print("raises", flush=True)
for pause in (0.001, 0.003):
    threading.Thread(target=lambda pause=pause: (time.sleep(pause), print("thread", pause, flush=True))).start()
threading.Thread(target=lambda: (time.sleep(0.005), sys.exit(9))).start()
raise LookupError("in the main thread")
