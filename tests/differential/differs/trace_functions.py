"""A trace function that a thread sets."""
# natively: None
# patched: trace

import sys
import threading


def trace(frame, event, argument):
    return None


thread = threading.Thread(target=sys.settrace, args=(trace,))
thread.start()
thread.join()
print(sys.gettrace() and sys.gettrace().__name__)
