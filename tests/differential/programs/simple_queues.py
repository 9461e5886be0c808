"""SimpleQueue: times, wrong use, subclasses, puts from finalizers."""

import gc
import queue
import threading

from _tell import tell

items = queue.SimpleQueue()
print(items.qsize(), items.empty())
tell("get at once", items.get_nowait)
tell("get for a time", items.get, timeout=0.001)
tell("get for a negative time", items.get, True, -1)
tell("get at once with a negative time", items.get, False, -1)
tell("get for text", items.get, True, "1")
tell("get for ever so long", items.get, True, 1e30)
tell("put", items.put, 1)
tell("put, with what is ignored", items.put, 2, False, 1)
tell("put at once", items.put_nowait, 3)
print(items.qsize(), items.empty(), [items.get() for _ in range(3)])
tell("too many", items.put, 1, 2, 3, 4)
tell("none", items.put)
tell("task_done", lambda: items.task_done)
tell("attributes", setattr, items, "note", 1)
tell("pickle", __import__("pickle").dumps, items)


class Own(queue.SimpleQueue):
    def put(self, item):
        super().put(("own", item))


own = Own()
own.put(1)
own.note = 1
print(own.get(), isinstance(own, queue.SimpleQueue))
got = []
threads = [threading.Thread(target=lambda: got.append(items.get())) for _ in range(5)]
for thread in threads:
    thread.start()
for number in range(5):
    items.put(number)
for thread in threads:
    thread.join()
print(sorted(got), items.empty())


class Puts:
    def __init__(self):
        self.me = self

    def __del__(self):
        items.put("from a finalizer")


Puts()
gc.collect()
print(items.get(timeout=20))
# The items of each thread come in order.
order = []


def produce(name):
    for number in range(50):
        items.put((name, number))


threads = [threading.Thread(target=produce, args=(name,)) for name in "abc"]
for thread in threads:
    thread.start()
for _ in range(150):
    order.append(items.get())
print([[number for name, number in order if name == each] == list(range(50)) for each in "abc"])
