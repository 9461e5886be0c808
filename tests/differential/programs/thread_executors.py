"""ThreadPoolExecutor: order, errors, times, shutdown in all its ways, initializers, nested submits."""

import concurrent.futures
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from _tell import tell, until

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
logging.getLogger("concurrent.futures").addFilter(lambda record: not setattr(record, "exc_info", None))


def fails(kind, text):
    raise kind(text)


tell("no workers", ThreadPoolExecutor, 0)
tell("workers of text", ThreadPoolExecutor, "1")
tell("what is no initializer", ThreadPoolExecutor, 1, initializer=5)
with ThreadPoolExecutor(3, thread_name_prefix="pool") as executor:
    print(list(executor.map(pow, range(5), [2] * 5)))
    tell("submit nothing", executor.submit)
    future = executor.submit(fails, KeyError, "a")
    tell("failed", future.result)
    print(type(future.exception()).__name__)
    for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):
        tell("failed", executor.submit(fails, kind, "b").result)
    tell("map that fails", lambda: list(executor.map(lambda n: 1 / (2 - n), range(4))))
    tell("map in time", lambda: list(executor.map(time.sleep, [0], timeout=20)))
    go_on = threading.Event()
    tell("map too late", lambda: list(executor.map(lambda n: go_on.wait(), [1], timeout=0.001)))
    inside = []
    blocked = [executor.submit(lambda: (inside.append(1), go_on.wait())[1]) for _ in range(2)]
    until(lambda: len(inside) == 2)
    last = executor.submit(int, 5)
    print(last.cancel(), last.cancelled(), blocked[0].cancel())
    tell("too early", blocked[0].result, 0.001)
    go_on.set()
    print([each.result() for each in blocked])
    name = executor.submit(lambda: threading.current_thread().name).result()
    print(name[:5], executor.submit(lambda: threading.current_thread().daemon).result())
    print(len(executor._threads))
tell("submit after the shutdown", executor.submit, int)
tell("map after the shutdown", executor.map, int, [])
tell("shutdown again", executor.shutdown)

# A shutdown that cancels the calls in the queue.
executor = ThreadPoolExecutor(1)
started, go_on = threading.Event(), threading.Event()
first = executor.submit(lambda: (started.set(), go_on.wait()))
started.wait()
others = [executor.submit(int) for _ in range(3)]
executor.shutdown(wait=False, cancel_futures=True)
print([each.cancelled() for each in others], first.done())
go_on.set()
print(first.result()[1])

# A function that submits, one that waits for its own executor's other worker, an executor that is forgotten.
with ThreadPoolExecutor(2) as executor:
    print(executor.submit(lambda: executor.submit(lambda: executor.submit(int, 3).result).result()).result()())
    print(executor.submit(lambda: executor.submit(int, 7).result()).result())
forgotten = ThreadPoolExecutor(1)
future = forgotten.submit(int, 9)
del forgotten
print(future.result())

# Initializers.
local = threading.local()
with ThreadPoolExecutor(1, initializer=setattr, initargs=(local, "value", 5)) as executor:
    print(executor.submit(lambda: local.value).result())
with ThreadPoolExecutor(1, initializer=fails, initargs=(ValueError, "initializer")) as executor:
    tell("broken", executor.submit(int).result)
    until(lambda: executor._broken)
    tell("submit to a broken one", executor.submit, int)

# Sums, by many workers, in the order they end.
with ThreadPoolExecutor(8) as executor:
    futures = [executor.submit(lambda n: (time.sleep(0.0001 * (n % 3)), n)[1], n) for n in range(60)]
    print(sorted(each.result() for each in concurrent.futures.as_completed(futures)) == list(range(60)))
    print(sum(executor.map(lambda n: n, range(100))))


def outlives(executor):
    executor.submit(lambda: (time.sleep(0.01), print("done before the end", flush=True)))


outlives(ThreadPoolExecutor(1))
print("end of the program", flush=True)
