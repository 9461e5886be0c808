"""Threads, queues, executors, asyncio."""

import asyncio
import concurrent.futures
import importlib
import queue
import sched
import sys
import tempfile
import threading
import time

from measuring import call, later, measured

from greenio import monkey, spawn

call("time.sleep")(lambda: measured(time.sleep, 0.02))


@call("sched.scheduler.run")
def scheduler():
    planned = sched.scheduler()
    planned.enter(0.02, 1, lambda: None)
    measured(planned.run)


# --- threading ----------------------------------------------------------------------------------------------------


@call("threading.Thread.join")
def thread_join():
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    later(event.set)
    measured(thread.join)


@call("threading.Timer.join")
def timer_join():
    timer = threading.Timer(0.02, lambda: None)
    timer.start()
    measured(timer.join)


@call("join() of a native thread")
def native_join():
    native_sleep = monkey.get_original("time", "sleep")
    thread = monkey.get_original("threading", "Thread")(target=native_sleep, args=(0.03,))
    thread.start()
    measured(thread.join)


begun, go_on = threading.Event(), threading.Event()


@call("import of a module that another greenlet is importing")
def import_twice():
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        sys.modules.pop("slow_to_import", None)
        with open(f"{folder}/slow_to_import.py", "w") as file:
            file.write("import calls_of_threads as calls\ncalls.begun.set()\ncalls.go_on.wait()\ndone = True\n")
        begun.clear()
        go_on.clear()
        spawn(importlib.import_module, "slow_to_import")
        begun.wait()
        later(go_on.set)
        assert measured(importlib.import_module, "slow_to_import").done
        sys.path.remove(folder)


# --- queue --------------------------------------------------------------------------------------------------------


def getting(name):
    def make_call():
        waited_for = getattr(queue, name)()
        later(waited_for.put, 1)
        assert measured(waited_for.get) == 1

    call(f"queue.{name}.get")(make_call)


for each in ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"):
    getting(each)


@call("queue.Queue.put")
def put():
    full = queue.Queue(1)
    full.put(1)
    later(full.get)
    measured(full.put, 2)


@call("queue.Queue.join")
def join():
    unfinished = queue.Queue()
    unfinished.put(1)
    later(unfinished.task_done)
    measured(unfinished.join)


# --- concurrent.futures -------------------------------------------------------------------------------------------


def on_future(name, wait):
    def make_call():
        future = concurrent.futures.Future()
        later(future.set_result, 1)
        measured(wait, future)

    call(f"concurrent.futures.{name}")(make_call)


on_future("Future.result", lambda future: future.result())
on_future("Future.exception", lambda future: future.exception())
on_future("wait", lambda future: concurrent.futures.wait([future]))
on_future("as_completed", lambda future: list(concurrent.futures.as_completed([future])))


@call("concurrent.futures.ThreadPoolExecutor")
def thread_pool():
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        measured(executor.submit(time.sleep, 0.02).result)


@call("concurrent.futures.Executor.shutdown")
def shutdown():
    executor = concurrent.futures.ThreadPoolExecutor(1)
    executor.submit(time.sleep, 0.02)
    measured(executor.shutdown)


@call("concurrent.futures.ProcessPoolExecutor")
def process_pool():
    with concurrent.futures.ProcessPoolExecutor(1) as executor:
        measured(executor.submit(time.sleep, 0.03).result)


# --- asyncio ------------------------------------------------------------------------------------------------------


call("asyncio.run")(lambda: measured(asyncio.run, asyncio.sleep(0.02)))
call("asyncio.to_thread")(lambda: measured(asyncio.run, asyncio.to_thread(time.sleep, 0.02)))


@call("asyncio.create_subprocess_exec")
def create_subprocess():
    async def run():
        return await (await asyncio.create_subprocess_exec("sleep", "0.03")).wait()

    assert measured(asyncio.run, run()) == 0


@call("a call that waits, in a coroutine")
def in_coroutine():
    async def run():
        time.sleep(0.02)

    measured(asyncio.run, run())
