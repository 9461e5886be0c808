"""Subclasses of the queues that use the hooks, each in its own way."""

import heapq
import queue
import threading
from collections import OrderedDict

from _tell import tell


class Unique(queue.Queue):
    """A queue that does not put an item again that it holds already."""

    def _init(self, maxsize):
        self.items = OrderedDict()

    def _qsize(self):
        return len(self.items)

    def _put(self, item):
        self.items[item] = None

    def _get(self):
        return self.items.popitem(last=False)[0]


class Largest(queue.Queue):
    def _init(self, maxsize):
        self.heap = []
        self.limit = maxsize

    def _qsize(self):
        return len(self.heap)

    def _put(self, item):
        heapq.heappush(self.heap, -item)

    def _get(self):
        return -heapq.heappop(self.heap)


class Fails(queue.Queue):
    def _put(self, item):
        if item == "bad":
            raise ValueError("not this one")
        super()._put(item)

    def _get(self):
        item = super()._get()
        if item == "worse":
            raise LookupError(item)
        return item


class Counts(queue.Queue):
    def __init__(self, *args):
        super().__init__(*args)
        self.calls = []

    def put(self, item, block=True, timeout=None):
        self.calls.append("put")
        super().put(item, block, timeout)

    def get(self, block=True, timeout=None):
        self.calls.append("get")
        return super().get(block, timeout)


class Stack(queue.LifoQueue):
    def peek(self):
        with self.mutex:
            return self.queue[-1]


class Clearable(queue.Queue):
    def clear(self):
        with self.mutex:
            unfinished = self.unfinished_tasks - len(self.queue)
            if unfinished <= 0:
                self.all_tasks_done.notify_all()
            self.unfinished_tasks = unfinished
            self.queue.clear()
            self.not_full.notify_all()


unique = Unique(3)
for item in "aba":
    unique.put(item)
print(unique.qsize(), unique.full(), unique.get(), unique.get(), unique.unfinished_tasks)
tell("empty", unique.get_nowait)
largest = Largest(3)
for item in (1, 3, 2):
    largest.put(item)
tell("full", largest.put_nowait, 5)
print([largest.get() for _ in range(3)], largest.limit)
fails = Fails()
tell("a put that raises", fails.put, "bad")
print(fails.qsize(), fails.unfinished_tasks)
fails.put("worse")
tell("a get that raises", fails.get)
print(fails.qsize(), fails.unfinished_tasks)
counts = Counts(1)
counts.put_nowait(1)
tell("full", counts.put_nowait, 2)
counts.get_nowait()
tell("empty", counts.get_nowait)
print(counts.calls)
stack = Stack()
stack.put(1)
stack.put(2)
print(stack.peek(), stack.get(), stack.peek())
clearable = Clearable(2)
clearable.put(1)
clearable.put(2)
thread = threading.Thread(target=clearable.put, args=(3,))
thread.start()
clearable.clear()
thread.join()
print(clearable.get(), clearable.unfinished_tasks)
clearable.task_done()
joined = threading.Thread(target=clearable.join)
clearable.put(1)
joined.start()
clearable.clear()
joined.join()
print(clearable.empty())


# Consumers of a subclass.
largest, got = Largest(0), []


def consume():
    while (item := largest.get()) > 0:
        got.append(item)


threads = [threading.Thread(target=consume) for _ in range(3)]
for thread in threads:
    thread.start()
for number in range(1, 51):
    largest.put(number)
for _ in threads:
    largest.put(0)
for thread in threads:
    thread.join()
print(sum(got), len(got))
