"""Prints the limit of the cache, and how many blocks it keeps of a few greenlets (at most 7)."""

from hub import stacks

from greenio import joinall, sleep, spawn


def depth(number):
    """Recurse deeper than the small block with which a greenlet starts."""
    return depth(number - 1) if number else sleep(0)


joinall([spawn(depth, 50) for _ in range(50)])
statistics = stacks.statistics()
print(statistics["limit"], min(statistics["cached"], 7))
