"""Event and Barrier: times, resets, breaks, actions that raise."""

import threading

from _tell import tell, until

event = threading.Event()
print(event.is_set(), hasattr(event, "isSet"))
tell("wait for a time", event.wait, 0.001)
tell("wait for no time", event.wait, 0)
tell("wait for a negative time", event.wait, -1)
tell("wait for ever so long", event.wait, 1e30)
tell("wait for a text", event.wait, "1")
results = []
threads = [threading.Thread(target=lambda: results.append(event.wait())) for _ in range(5)]
for thread in threads:
    thread.start()
tell("set", event.set)
tell("set again", event.set)
for thread in threads:
    thread.join()
print(results, event.is_set())
tell("wait for a set one", event.wait)
tell("clear", event.clear)
tell("pickle", __import__("pickle").dumps, event)
event.note = "anything"
print(event.note, event.is_set())


class Counts(threading.Event):
    def __init__(self):
        super().__init__()
        self.sets = 0

    def set(self):
        self.sets += 1
        super().set()


event = Counts()
threading.Timer(0.001, event.set).start()
print(event.wait(20), event.sets)

done = []
barrier = threading.Barrier(3, action=lambda: done.append("action"), timeout=20)
print(repr(barrier), barrier.parties, barrier.n_waiting, barrier.broken)
numbers = []


def meets():
    for _ in range(3):
        numbers.append(barrier.wait())


threads = [threading.Thread(target=meets) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(numbers), done, barrier.n_waiting)

told = []


def waits(barrier, *time):
    try:
        told.append(barrier.wait(*time))
    except threading.BrokenBarrierError as error:
        told.append((type(error).__name__, str(error), isinstance(error, RuntimeError)))
    except ZeroDivisionError as error:
        told.append(str(error))


def meet(barrier, number, before=lambda: None):
    del told[:]
    threads = [threading.Thread(target=waits, args=(barrier,)) for _ in range(number)]
    for thread in threads:
        thread.start()
    until(lambda: barrier.n_waiting == number or barrier.broken)
    before()
    for thread in threads:
        thread.join()
    print(sorted(map(str, told)), repr(barrier))


tell("wait for a time", barrier.wait, 0.001)
tell("wait at a broken one", barrier.wait)
print(barrier.broken)
barrier.reset()
print(barrier.broken)
meet(barrier, 2, barrier.abort)
barrier.reset()
meet(barrier, 2, barrier.reset)
print(barrier.broken)
failing = threading.Barrier(2, action=lambda: 1 / 0)
threads = [threading.Thread(target=waits, args=(failing,)) for _ in range(2)]
del told[:]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(map(str, told)), failing.broken)
tell("nobody", threading.Barrier, 0)
tell("of one", threading.Barrier(1).wait)
tell("negative", threading.Barrier, -1)
