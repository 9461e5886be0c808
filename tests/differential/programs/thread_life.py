"""Threads from start to end: names, daemons, what enumerate() has, join() with and without a time."""

import threading

from _tell import tell, until

here, go = threading.Event(), threading.Event()
seen = []


def work(number, *, named):
    me = threading.current_thread()
    seen.append((number, named, me.name, me.daemon, me.is_alive(), me is threading.main_thread()))
    seen.append(me.ident == threading.get_ident())
    here.set()
    go.wait()


class Worker(threading.Thread):
    def run(self):
        self.result = sorted(thread.name for thread in threading.enumerate())


thread = threading.Thread(target=work, args=(1,), kwargs={"named": 2}, name="worker")
print(repr(thread), thread.ident, thread.native_id, thread.is_alive(), thread.daemon)
thread.start()
here.wait()
print(seen, thread.is_alive(), threading.active_count())
print(repr(thread).replace(str(thread.ident), "IDENT"))
tell("join for no time", thread.join, 0)
tell("join for a time", thread.join, 0.001)
tell("join for a negative time", thread.join, -1)
print(thread.is_alive())
worker = Worker(name="lists", daemon=True)
print(repr(worker))
worker.start()
worker.join()
print(worker.result)
go.set()
thread.join()
thread.join()
print(thread.is_alive(), threading.active_count(), thread in threading.enumerate())
print(repr(thread).replace(str(thread.ident), "IDENT"))
print(thread.ident != threading.get_ident(), thread.ident is not None)

# Daemons of daemons; names of threads that were given none.
kinds = []


def outer():
    inner = threading.Thread(target=lambda: kinds.append(threading.current_thread().daemon))
    inner.start()
    inner.join()


for daemon in (False, True):
    thread = threading.Thread(target=outer, daemon=daemon)
    thread.start()
    thread.join()
print(kinds)
print([threading.Thread().name.rpartition("-")[0], threading.Thread(target=outer).name.rpartition(" ")[2]])
print(threading.Timer(1, outer).name.rpartition("-")[0])

# Many that start each other.
started = []


def tree(depth):
    started.append(depth)
    if depth:
        below = [threading.Thread(target=tree, args=(depth - 1,)) for _ in range(2)]
        for each in below:
            each.start()
        for each in below:
            each.join()


tree(5)
print(len(started), sorted(set(started)))
until(lambda: threading.active_count() == 1)
print(threading.enumerate() == [threading.main_thread()])
