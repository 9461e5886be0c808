"""Threads that fork: the child is that thread, and ends when it returns; locks, queues, executors there."""

import os
import queue
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

warnings.filterwarnings("ignore", message=".*fork")
results = queue.SimpleQueue()
shared, held = queue.Queue(), threading.Lock()
go_on = threading.Event()


def waits_for(pid):
    results.put(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def child():
    shared.put("in the child")
    with ThreadPoolExecutor(2) as executor:
        squares = list(executor.map(pow, [2, 3], [2, 2]))
    names = sorted(thread.name for thread in threading.enumerate())
    print(
        threading.current_thread() is threading.main_thread(), names, shared.get(), squares, held.locked(), flush=True
    )


def forks(name, how):
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        waits_for(pid)
        return
    child()
    if how == "exits":
        sys.exit(5)
    if how == "fails":
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise LookupError
    if how == "starts":
        threading.Thread(target=lambda: (time.sleep(0.002), print("a thread of the child", flush=True))).start()


def holds():
    with held:
        go_on.wait()


others = [threading.Thread(target=holds) for _ in range(2)]
for thread in others:
    thread.start()
for how in ("returns", "exits", "fails", "starts"):
    thread = threading.Thread(target=forks, args=(how, how), name="forks")
    thread.start()
    thread.join()
    print(how, results.get(), flush=True)
go_on.set()
for thread in others:
    thread.join()
with ThreadPoolExecutor(1) as executor:
    executor.submit(int).result()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        with ThreadPoolExecutor(1) as another:
            print(another.submit(int, 7).result(), flush=True)
        os._exit(0)
    waits_for(pid)
    print(results.get(), executor.submit(int, 8).result())
