"""Loops of asyncio and executors that always have something to do, in a patched program, let others run."""

import asyncio
import selectors
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from greenio import monkey

monkey.patch_all()


class NeverWaits(selectors.SelectSelector):
    """A selector of a program's own, to which nothing ever happens."""

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


{"asyncio": asyncio_loop, "executor": executor}[sys.argv[1]]()
print("all done")
