"""The program's descriptor for signal.set_wakeup_fd() stays in its place in forked children.

The children are of the main thread, of another thread while the main one waits, and of a child. asyncio takes the
descriptor out, so this needs a process without asyncio.
"""

import os
import signal
import threading
import warnings

from greenio import sleep

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
ours, theirs = os.pipe2(os.O_NONBLOCK)
sleep(0)
signal.set_wakeup_fd(theirs)


def look():
    print(signal.set_wakeup_fd(theirs) == theirs, flush=True)


def in_child(function):
    pid = os.fork()
    if pid == 0:
        function()
        os._exit(0)
    os.waitpid(pid, 0)


thread = threading.Thread(target=in_child, args=(look,))
thread.start()
while thread.is_alive():
    sleep(0.001)
in_child(look)
in_child(lambda: in_child(look))
look()
