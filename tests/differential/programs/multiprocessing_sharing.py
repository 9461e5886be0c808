"""What processes share: locks, semaphores, conditions, events, barriers, queues, values, pools; wrong use of each."""

import multiprocessing
import os
import queue
import threading
import time

from _tell import tell, tell_kind

context = multiprocessing.get_context("fork")


def in_process(function, *args):
    process = context.Process(target=function, args=args)
    process.start()
    process.join()
    return process.exitcode


def tells(name, function, *args):
    in_process(tell_kind, name, function, *args)


lock, rlock = context.Lock(), context.RLock()
tell_kind("release", lock.release)
tell_kind("release", rlock.release)
print(lock.acquire(), lock.acquire(False), lock.acquire(timeout=0.001), lock.acquire(True, -1))
tells("elsewhere", lock.acquire, False)
tells("release elsewhere", lock.release)
print(lock.acquire(False))
print(rlock.acquire(), rlock.acquire())
tells("elsewhere", rlock.acquire, False)
tells("release elsewhere", rlock.release)
thread = threading.Thread(target=tell_kind, args=("in a thread", rlock.acquire, False))
thread.start()
thread.join()
thread = threading.Thread(target=tell_kind, args=("release in a thread", rlock.release))
thread.start()
thread.join()
rlock.release()
rlock.release()
for kind in (context.Semaphore, context.BoundedSemaphore):
    semaphore = kind(2)
    print([semaphore.acquire(False) for _ in range(3)], semaphore.get_value())
    for _ in range(3):
        tell_kind("release", semaphore.release)
    tell_kind("negative", kind, -1)
condition = context.Condition()
tell_kind("wait without the lock", condition.wait)
tell_kind("notify without the lock", condition.notify)
with condition:
    tell("for a time", condition.wait, 0.001)
    tell("wait_for", condition.wait_for, lambda: 0, 0.001)
event = context.Event()
print(event.is_set(), event.wait(0.001))
process = context.Process(target=lambda: (time.sleep(0.002), event.set()))
process.start()
print(event.wait(20), event.is_set())
process.join()
barrier = context.Barrier(2)
process = context.Process(target=barrier.wait)
process.start()
print(barrier.wait(20) in (0, 1), barrier.broken)
process.join()
tell("broken", barrier.wait, 0.001)
value, array = context.Value("i", 0), context.Array("i", 3)


def adds():
    for _ in range(50):
        with value.get_lock():
            value.value += 1
    array[1] += 1


processes = [context.Process(target=adds) for _ in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join()
print(value.value, array[:])
tell("no such index", lambda: array[5])

items = context.Queue(2)
tell("empty", items.get_nowait)
tell("for a time", items.get, timeout=0.001)
tell_kind("negative", items.get, True, -1)
items.put(1)
items.put(2)
tell("full", items.put, 3, False)
tell("full for a time", items.put, 3, timeout=0.001)
print(items.get(), items.get(timeout=20))
process = context.Process(target=lambda: [items.put(n) for n in range(10)])
process.start()
print([items.get() for _ in range(10)])
process.join()
items.close()
tell("closed", items.put, 1)
tell("closed", items.get)
items.join_thread()
joinable = context.JoinableQueue()
joinable.put(1)
tell("done", lambda: (joinable.get(), joinable.task_done(), joinable.join()))
tell("too often", joinable.task_done)
joinable.close()
simple = context.SimpleQueue()
in_process(simple.put, "simple")
print(simple.get(), simple.empty())
print(queue.Empty.__name__)


def square(number):
    if number == 99:
        raise ValueError(number)
    if number == 98:
        os._exit(1)
    return number * number


with context.Pool(2) as pool:
    print(pool.map(square, range(5)), pool.apply(square, (6,)), list(pool.imap(square, [1, 2], 2)))
    print(sorted(pool.imap_unordered(square, range(5))), pool.starmap(pow, [(2, 3), (3, 2)]))
    tell("fails", pool.apply, square, (99,))
    tell("fails", pool.map, square, [1, 99])
    called = []
    result = pool.apply_async(square, (3,), callback=called.append)
    print(result.get(20), result.successful(), called)
    result = pool.apply_async(square, (99,), error_callback=lambda error: called.append(str(error)))
    result.wait(20)
    print(result.ready(), result.successful(), called)
    result = pool.apply_async(time.sleep, (0.02,))
    tell("too early", result.get, 0.001)
    tell("not ready", result.successful)
    tell("join too early", pool.join)
    pool.close()
    tell("closed", pool.apply, square, (1,))
    pool.join()
with multiprocessing.pool.ThreadPool(3) as threads:
    print(threads.map(square, range(5)))
    tell("fails", threads.map, square, [99])
tell("terminated", threads.apply, square, (1,))
