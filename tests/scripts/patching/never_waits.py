"""Loops of asyncio and executors that always have something to do, in a patched program, let others run."""

import asyncio
import logging
import selectors
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import greenlet
from hub import get_hub, native

from greenio import monkey, sleep, spawn

monkey.patch_all()


class NeverWaits(selectors.SelectSelector):
    """A program's own selector, for which nothing is ever ready."""

    def select(self, timeout=None):
        return []


def asyncio_loop():
    loop = asyncio.SelectorEventLoop(NeverWaits())
    ran = loop.create_future()
    threading.Thread(target=lambda: loop.call_soon_threadsafe(ran.set_result, True)).start()
    assert loop.run_until_complete(ran)
    loop.close()


def executor():
    with ThreadPoolExecutor(1) as pool:

        def again():
            if not stopped:
                pool.submit(again)

        stopped = []
        pool.submit(again)
        other = threading.Thread(target=lambda: stopped.append(True))
        other.start()
        other.join()


def killed_executor():
    """The job that the thread had begun when it was killed is done."""
    pool = ThreadPoolExecutor(1)
    begun, killed = [], []

    def work():
        begun.append(greenlet.getcurrent())
        native.sleep(0.001)

    def kill():
        killed.append(len(begun))
        begun[0].kill()

    get_hub().setswitchinterval(0.0001)
    logging.disable()  # of the report that the thread was killed
    futures = [pool.submit(work) for _ in range(100)]
    sleep(0)
    spawn(kill).join()
    assert 0 < killed[0] < 100
    assert pool._work_queue.qsize() + sum(each.done() for each in futures) == 100


{"asyncio": asyncio_loop, "executor": executor, "killed executor": killed_executor}[sys.argv[1]]()
print("all done")
