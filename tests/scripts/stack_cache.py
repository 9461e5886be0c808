"""Prints the limit of the cache, and how many blocks it keeps of a few greenlets (at most 7)."""

from greenio import joinall, sleep, spawn
from hub import stacks


def turn():
    sleep(0)  # in a Python frame: a C function alone needs no chunk


joinall([spawn(turn) for _ in range(50)])
statistics = stacks.statistics()
print(statistics["limit"], min(statistics["cached"], 7))
