"""CPU time per operation of events, locks, queues, pools and thread pools, for one library.

    python primitives.py LIBRARY OPERATION

LIBRARY is greenio, gevent or threading (for lock). compare.py runs all of them side by side.
"""

import importlib
import sys

from operations import COUNT, cpu_per


def queue_ping_pong(library):
    """put + get through a queue of size 1, between two greenlets"""
    queue = importlib.import_module(f"{library.__name__}.queue").Queue(1)

    def put():
        for number in range(COUNT):
            queue.put(number)

    def get():
        for _ in range(COUNT):
            queue.get()

    return cpu_per(COUNT, lambda: library.joinall([library.spawn(put), library.spawn(get)]))


def queue_no_switch(library):
    """put + get through an unbounded queue, without a switch"""
    queue = importlib.import_module(f"{library.__name__}.queue").Queue()

    def run():
        for number in range(COUNT):
            queue.put(number)
            queue.get()

    run()
    return cpu_per(COUNT, run)


def semaphore(library):
    """acquire + release of a semaphore of 1 by 100 greenlets, each with a sleep(0) inside"""
    limit = importlib.import_module(f"{library.__name__}.lock").Semaphore(1)
    rounds = COUNT // 100

    def work():
        for _ in range(rounds):
            with limit:
                library.sleep(0)

    return cpu_per(COUNT, lambda: library.joinall([library.spawn(work) for _ in range(100)]))


def async_result(library):
    """AsyncResult.set in one greenlet, get in another"""
    make = importlib.import_module(f"{library.__name__}.event").AsyncResult
    results = [make() for _ in range(COUNT)]

    def give():
        for result in results:
            result.set(1)
            library.sleep(0)

    def take():
        for result in results:
            result.get()

    return cpu_per(COUNT, lambda: library.joinall([library.spawn(take), library.spawn(give)]))


def pool_map(library):
    """Pool(100).map of an empty function"""
    pool = importlib.import_module(f"{library.__name__}.pool").Pool(100)
    count = COUNT // 5
    return cpu_per(count, lambda: pool.map(id, range(count)))


def threadpool_apply(library):
    """ThreadPool.apply of an empty function, there and back"""
    pool = importlib.import_module(f"{library.__name__}.threadpool").ThreadPool(1)
    count = COUNT // 20
    pool.apply(int)

    def run():
        for _ in range(count):
            pool.apply(int)

    return cpu_per(count, run)


def lock(library):
    """acquire + release of a free lock"""
    made = library.Lock() if library.__name__ == "threading" else importlib.import_module("greenio.lock").Lock()

    def run():
        for _ in range(COUNT * 10):
            made.acquire()
            made.release()

    run()
    return cpu_per(COUNT * 10, run)


OPERATIONS = {
    function.__name__: function
    for function in (
        queue_ping_pong, queue_no_switch, semaphore, async_result, pool_map,
        threadpool_apply, lock,
    )
}  # fmt: skip

if __name__ == "__main__":
    print(OPERATIONS[sys.argv[2]](importlib.import_module(sys.argv[1])))
