"""repr, pickle, copy and sorting of what several threads use at once."""

import copy
import pickle
import threading
import time

from _tell import tell


class Lazy:
    def __init__(self, value):
        self.value = value

    def __repr__(self):
        time.sleep(0.0005)
        return f"Lazy({self.value})"

    def __lt__(self, other):
        time.sleep(0)
        return self.value < other.value

    def __reduce__(self):
        time.sleep(0.0002)
        return Lazy, (self.value,)

    def __eq__(self, other):
        time.sleep(0)
        return self.value == other.value

    def __hash__(self):
        time.sleep(0)
        return self.value % 3


def together(function, count=3):
    results = []
    threads = [threading.Thread(target=lambda: results.append(function())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(map(str, results))


items = [Lazy(1), [Lazy(2)]]
items.append(items)
print(together(lambda: repr(items)))
table = {"a": Lazy(1)}
table["self"] = table
print(together(lambda: repr(table)))
print(together(lambda: repr(sorted([Lazy(3), Lazy(1), Lazy(2)]))))
print(together(lambda: pickle.loads(pickle.dumps([Lazy(1), Lazy(2)]))))
print(together(lambda: copy.deepcopy(items)))
shared = {}


def fills():
    for number in range(20):
        shared.setdefault(Lazy(number), number)
    return len(shared)


print(together(fills), len(shared))
group = set()
print(together(lambda: [group.add(Lazy(number)) for number in range(10)] and None), len(group))
locked = threading.Lock()
for thing in (locked, threading.RLock(), threading.Event(), threading.Thread(), threading.local()):
    tell("pickle", pickle.dumps, thing)
    tell("copy", copy.deepcopy, thing)
