"""Queue, LifoQueue, PriorityQueue: order, limits, times, wrong use, what the standard classes let people use."""

import queue
import threading

from _tell import tell, until

for kind in (queue.Queue, queue.LifoQueue, queue.PriorityQueue):
    print(kind.__name__)
    items = kind(3)
    print(items.maxsize, items.qsize(), items.empty(), items.full())
    tell("get at once", items.get_nowait)
    tell("get for a time", items.get, timeout=0.001)
    tell("get for a negative time", items.get, True, -1)
    tell("get for text", items.get, True, "1")
    tell("get at once with a time", items.get, False, -1)
    tell("task_done of nothing", items.task_done)
    tell("join of nothing", lambda items=items: items.join() is False)
    for item in (2, 3, 1):
        tell("put", items.put, item)
    print(items.full(), items.qsize(), items.unfinished_tasks)
    tell("put at once", items.put_nowait, 4)
    tell("put for a time", items.put, 4, timeout=0.001)
    tell("put for a negative time", items.put, 4, timeout=-1)
    tell("put for no time", items.put, 4, timeout=0)
    print([items.get() for _ in range(3)], items.unfinished_tasks)
    for _ in range(4):
        tell("task_done", items.task_done)
    tell("no maximum", lambda kind=kind: kind(-5).full())
    tell("maximum of text", lambda kind=kind: kind("a").put(1))
    tell("unknown", kind, size=1)
    tell("too many", items.put, 1, True, 1, 2)
    items.note = 1

    # Producers and consumers.
    items, got = kind(4), []

    def consume(items=items, got=got):
        while (item := items.get()) < 1000:
            got.append(item)
            items.task_done()
        items.task_done()

    def produce(begin, items=items):
        for number in range(begin, begin + 20):
            items.put(number)

    consumers = [threading.Thread(target=consume) for _ in range(3)]
    producers = [threading.Thread(target=produce, args=(begin,)) for begin in (0, 100, 200)]
    for thread in consumers + producers:
        thread.start()
    for thread in producers:
        thread.join()
    items.join()
    for _ in consumers:
        items.put(1000)
    for thread in consumers:
        thread.join()
    print(sorted(got) == [*range(20), *range(100, 120), *range(200, 220)], items.unfinished_tasks, items.empty())

tell(
    "what cannot be compared",
    lambda: [queue.PriorityQueue.put(q, item) for q in [queue.PriorityQueue()] for item in (1, "a")],
)
order = queue.PriorityQueue()
for item in [(2, "b"), (1, "z"), (2, "a")]:
    order.put(item)
print([order.get() for _ in range(3)])

# Programs may use a queue's locks.
shared, waited = queue.Queue(1), []
thread = threading.Thread(target=lambda: (shared.put("x"), waited.append(1)))
with shared.mutex:
    thread.start()
    threading.Event().wait(0.003)
    print("while somebody holds the mutex:", waited, len(shared.queue))
thread.join()
with shared.not_empty:
    print(shared._qsize(), list(shared.queue))
with shared.mutex:
    shared.queue.clear()
    shared.unfinished_tasks = 0
    shared.all_tasks_done.notify_all()
tell("join after a clearing", lambda: shared.join() is False)
print(shared.empty())
# An item that is put by _put(): a waiting thread gets it, and it is not counted as a task.
waiting = []
shared = queue.Queue()
thread = threading.Thread(target=lambda: waiting.append(shared.get()))
thread.start()
with shared.not_empty:
    shared._put("by hand")
    shared.not_empty.notify()
thread.join()
print(waiting, shared.unfinished_tasks)
until(lambda: threading.active_count() == 1)
