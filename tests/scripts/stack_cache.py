"""Prints the limit of the cache, and how many blocks it keeps of a few greenlets (at most 7)."""

from hub import stacks

from greenio import joinall, sleep, spawn


def turn():
    sleep(0)  # in a Python frame: a C function alone needs no chunk


joinall([spawn(turn) for _ in range(50)])
statistics = stacks.statistics()
print(statistics["limit"], min(statistics["cached"], 7))
