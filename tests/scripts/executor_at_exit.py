"""The interpreter ends while calls of an executor wait for their turn: they are made first, and print their number."""

import time

from greenio.threadpool import ThreadPoolExecutor


def call(number):
    time.sleep(0.01)
    print(number, flush=True)


executor = ThreadPoolExecutor(1)
for number in range(3):
    executor.submit(call, number)
