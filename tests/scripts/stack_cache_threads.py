"""Threads that start and end greenlets, and themselves, all at once; the blocks come from and go to one cache."""

import threading

from hub import stacks

from greenio import joinall, sleep, spawn


def depth(number):
    return depth(number - 1) if number else sleep(0)


def work():
    for _ in range(20):
        joinall([spawn(depth, each) for each in range(50)])
        stacks.trim(10)


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
