"""The warning of a fork beside threads."""
# needs: CPython 3.12 to 3.13
# natively: DeprecationWarning
# patched: no warning

import os
import threading
import warnings

go_on = threading.Event()
thread = threading.Thread(target=go_on.wait)
thread.start()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    pid = os.fork()
    if pid == 0:
        os._exit(0)
os.waitpid(pid, 0)
print(caught[0].category.__name__ if caught else "no warning")
go_on.set()
thread.join()
