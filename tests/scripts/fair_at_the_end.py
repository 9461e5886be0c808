"""A queue that is asked again and again in a __del__() at the end of the interpreter; with a hub or without one."""

import os
import sys

from hub import get_hub, get_hub_if_exists

from greenio.queue import Queue


class Finalized:
    def __init__(self):
        self.queue, self.write = Queue(), os.write
        self.itself = self

    def __del__(self):
        for _ in range(1000):
            self.queue.empty()
        self.write(1, b"finalized\n")


if sys.argv[1] == "hub":
    get_hub().setswitchinterval(0.000001)
kept = Finalized()
for _ in range(1000):
    kept.queue.empty()
print(get_hub_if_exists() is not None, flush=True)
