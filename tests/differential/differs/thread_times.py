"""The processor time of a thread."""
# natively: of its own
# patched: of all

import threading
import time

while time.thread_time() < 0.02:
    pass
seen = []
thread = threading.Thread(target=lambda: seen.append(time.thread_time()))
thread.start()
thread.join()
print("of its own" if seen[0] < 0.02 else "of all")
