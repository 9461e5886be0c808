"""Locks, queues and greenlet-local data in a __del__() that runs when the interpreter ends."""

import sys

import greenio
from greenio.local import local
from greenio.lock import Lock, RLock
from greenio.queue import Queue
from greenio.thread import get_ident


class Finalized:
    def __init__(self):
        self.used = [Lock(), RLock()]
        self.queue, self.local = Queue(), local()
        self.get_ident, self.ident = get_ident, get_ident()
        self.write = sys.stdout.write
        self.itself = self

    def __del__(self):
        for each in self.used:
            with each:
                pass
        self.queue.put(1)
        self.local.value = self.queue.get()
        assert self.local.value == 1 and self.get_ident() == self.ident
        self.write("finalized\n")


greenio.sleep(0)
finalized = Finalized()
