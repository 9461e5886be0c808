"""concurrent.futures and multiprocessing: other processes, and greenlets that wait for them.

Run as it is, without run.py: processes that are spawned import this file, and are not patched.
"""

import sys


def main(function, *arguments):
    import faulthandler

    from greenio import monkey

    monkey.patch_all()
    faulthandler.dump_traceback_later(80, exit=True)
    globals()[function](*arguments)
    faulthandler.cancel_dump_traceback_later()


def square(number):
    return number * number


def meet(barrier, number):
    barrier.wait(30)
    return number


def echo(connection):
    while True:
        data = connection.recv()
        if data is None:
            return
        connection.send(data)


def take(queue, results, event, lock):
    event.wait()
    while (number := queue.get()) is not None:
        with lock:
            results.put(number * 2)


def sleep_for_ever():
    import time

    time.sleep(1000)


def die():
    import os

    os._exit(3)


def hold(lock, held, event):
    with lock:
        held.set()
        event.wait()


def thread_pool():
    import threading
    from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed, wait

    meeting = threading.Barrier(50, timeout=30)
    with ThreadPoolExecutor(50) as pool:
        print(sorted(pool.map(lambda number: (meeting.wait(), number)[1], range(50))) == list(range(50)))
        print(sorted(each.result() for each in as_completed([pool.submit(square, n) for n in range(9)])))
        release = threading.Event()
        waiting = [pool.submit(release.wait) for _ in range(60)]
        try:
            waiting[0].result(timeout=0.01)
        except TimeoutError:
            print("timeout")
        except Exception as error:  # before CPython 3.11, TimeoutError of concurrent.futures is a class of its own
            print("timeout" if type(error).__name__ == "TimeoutError" else error)
        print(waiting[-1].cancel(), len(wait(waiting, timeout=0.01).done))
        release.set()
        try:
            waiting[-1].result()
        except CancelledError:
            print("cancelled")


def process_pool(method):
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    from together import together

    import greenio

    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print(together(30, lambda number: pool.submit(square, number).result()) == [n * n for n in range(30)])
        ran = []
        ticking = greenio.spawn(lambda: [(ran.append(1), greenio.sleep(0.001)) for _ in range(10**6)])
        pool.submit(square, 1).result()
        print(bool(ran))
        ticking.kill()
    pool = ProcessPoolExecutor(1, mp_context=context)
    try:
        pool.submit(die).result()
    except BrokenProcessPool:
        print("broken")
    pool.shutdown()


def pool(method):
    import multiprocessing

    from together import together

    import greenio

    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        print(together(30, lambda number: pool.apply(square, (number,))) == [n * n for n in range(30)])
        print(pool.map(square, range(5)), list(pool.imap_unordered(square, [3])))
        never = pool.apply_async(sleep_for_ever)
        try:
            never.get(timeout=0.05)
        except multiprocessing.TimeoutError:
            print("timeout")
        killed = greenio.spawn(never.get)
        greenio.sleep(0)
        killed.kill()
        print(pool.apply(square, (5,)))
        pool.terminate()
        pool.join()


def pipes_and_locks(method):
    import multiprocessing
    import queue

    from together import together, until

    import greenio

    context = multiprocessing.get_context(method)
    ends, children = [], []
    for _ in range(3):
        ours, theirs = context.Pipe()
        child = context.Process(target=echo, args=(theirs,))
        child.start()
        theirs.close()
        ends.append(ours)
        children.append(child)

    def talk(number):
        large = bytes([number]) * 500_000
        ends[number].send(large)
        same = ends[number].recv() == large
        print(ends[number].poll(0.001)) if number == 0 else None
        ends[number].send(None)
        try:
            ends[number].recv()
        except EOFError:
            return same

    print(all(together(3, talk)))
    for child, end in zip(children, ends, strict=True):
        child.join()
        end.close()

    numbers, results, event, lock = context.Queue(), context.Queue(), context.Event(), context.Lock()
    workers = [context.Process(target=take, args=(numbers, results, event, lock)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for number in range(20):
        numbers.put(number)
    try:
        results.get(timeout=0.05)
    except queue.Empty:
        print("nothing yet")
    gathering = greenio.spawn(lambda: sorted(results.get() for _ in range(20)))
    event.set()
    print(gathering.get() == [number * 2 for number in range(20)])
    for _ in workers:
        numbers.put(None)
    greenio.joinall([greenio.spawn(worker.join) for worker in workers])
    print([worker.exitcode for worker in workers])

    # Another process holds a lock. A greenlet that waits for it is killed or gets a Timeout; the lock stays usable.
    held, event = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(lock, held, event))
    holder.start()
    until(held.is_set)
    print(lock.acquire(timeout=0.02), lock.acquire(block=False))
    killed = greenio.spawn(lock.acquire)
    greenio.sleep(0.005)
    killed.kill()
    waiting = greenio.spawn(lock.acquire)
    event.set()
    print(waiting.get())
    lock.release()
    holder.join()

    for dying, status in ((sleep_for_ever, -15), (die, 3)):
        child = context.Process(target=dying)
        child.start()
        joining = greenio.spawn(child.join)
        if status < 0:
            child.join(0.02)
            print(child.is_alive())
            child.terminate()
        joining.get()
        print(child.exitcode == status)
        child.close()
    for each in (numbers, results):
        each.close()
        each.join_thread()


def manager(method):
    import multiprocessing

    from together import together

    with multiprocessing.get_context(method).Manager() as manager:
        values, lock, queue = manager.dict(), manager.Lock(), manager.Queue()
        values["sum"] = 0

        def add(number):
            with lock:
                values["sum"] += number
            queue.put(number)

        together(20, add)
        print(values["sum"], sorted(queue.get() for _ in range(20)) == list(range(20)))


if __name__ == "__main__":
    main(*sys.argv[1:])
