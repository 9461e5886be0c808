"""A hook that runs in forked children, and that was registered before or after patching, waits, and looks up a name."""

import os
import sys
import warnings

# CPython 3.12 and later warn of a fork beside threads, those of the resolver here.
warnings.filterwarnings("ignore", "This process", DeprecationWarning)


def hook():
    import socket
    import threading
    import time

    time.sleep(0.001)
    thread = threading.Thread(target=time.sleep, args=(0.001,))
    thread.start()
    thread.join()
    assert socket.getaddrinfo("localhost", 80)
    os.write(1, b"hook\n")


if sys.argv[1] == "before":
    os.register_at_fork(after_in_child=hook)

from greenio import monkey  # noqa: E402

monkey.patch_all()

if sys.argv[1] == "after":
    os.register_at_fork(after_in_child=hook)

import socket  # noqa: E402

assert socket.getaddrinfo("localhost", 80)
pid = os.fork()
if pid == 0:
    os._exit(0)
print("ended with", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
