"""Modules of the library that use native threads are first imported after patching: their threads are native still."""

import faulthandler
import fcntl
import os
import tempfile

from greenio import monkey

monkey.patch_all(os=False, fcntl=False, subprocess=False)

import greenio  # noqa: E402
import greenio.fcntl  # noqa: E402

faulthandler.dump_traceback_later(30, exit=True)
with tempfile.NamedTemporaryFile() as first, open(first.name) as second:
    fcntl.flock(first, fcntl.LOCK_EX)
    ticks = []

    def hold():
        for _ in range(5):
            greenio.sleep(0.001)
            ticks.append(1)
        fcntl.flock(first, fcntl.LOCK_UN)

    greenio.spawn(hold)
    greenio.fcntl.flock(second, fcntl.LOCK_EX)
    print(len(ticks))
print(greenio.get_hub().resolver.getaddrinfo("127.0.0.1", 80)[0][4], greenio.get_hub().threadpool.apply(os.getpid) > 0)
