"""Queues that are shut down."""
# needs: CPython 3.13

import queue
import threading

from _tell import tell_kind, until

for kind in (queue.Queue, queue.LifoQueue, queue.PriorityQueue):
    print(kind.__name__, queue.ShutDown.__mro__[1].__name__)
    items = kind(2)
    items.put(1)
    items.put(2)
    told = []

    def puts(items=items, told=told):
        try:
            items.put(3)
        except queue.ShutDown as error:
            told.append(type(error).__name__)

    thread = threading.Thread(target=puts)
    thread.start()
    tell_kind("shutdown", items.shutdown)
    thread.join()
    print(told)
    tell_kind("put", items.put, 5)
    tell_kind("put at once", items.put_nowait, 5)
    tell_kind("qsize", items.qsize)
    print(sorted([items.get(), items.get()]))
    tell_kind("get", items.get)
    tell_kind("get at once", items.get_nowait)
    items.task_done()
    items.task_done()
    tell_kind("task_done", items.task_done)
    tell_kind("join", lambda items=items: items.join() and None)
    tell_kind("again", items.shutdown, immediate=True)

    items, told = kind(), []

    def gets(items=items, told=told):
        try:
            told.append(items.get())
        except queue.ShutDown as error:
            told.append(type(error).__name__)

    threads = [threading.Thread(target=gets) for _ in range(3)]
    for thread in threads:
        thread.start()
    items.put(1)
    until(lambda told=told: told == [1])
    items.shutdown()
    for thread in threads:
        thread.join()
    print(told)

    items = kind()
    items.put(1)
    items.put(2)
    joined = threading.Thread(target=items.join)
    joined.start()
    items.get()
    items.shutdown(immediate=True)
    tell_kind("get", items.get)
    print(items.qsize(), items.unfinished_tasks)
    items.task_done()
    joined.join()
    tell_kind("task_done", items.task_done)
