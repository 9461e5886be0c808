"""A loop in each of several threads: running loops, tasks, generators, calls from one to another, wrong use."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from _tell import tell, until

results = {}


def run(name, main):
    def target():
        try:
            results[name] = asyncio.run(main)
        except BaseException as error:
            results[name] = repr(error)

    thread = threading.Thread(target=target)
    thread.start()
    return thread


async def count(limit):
    for number in range(limit):
        yield number
        await asyncio.sleep(0.0002)


async def sums(limit):
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    total = 0
    async for number in count(limit):
        total += number
        assert asyncio.get_running_loop() is loop and asyncio.current_task() is task
        assert len(asyncio.all_tasks()) == 1
    return total


threads = [run(limit, sums(limit)) for limit in (3, 10, 20)]
for thread in threads:
    thread.join()
print(sorted(results.items()))
results.clear()


async def fails():
    await asyncio.sleep(0.001)
    raise LookupError("in a loop of a thread")


async def hangs():
    await asyncio.wait_for(asyncio.Event().wait(), 0.002)


threads = [run("fails", fails()), run("hangs", hangs())]
print(asyncio.run(sums(5)))
for thread in threads:
    thread.join()
print(sorted(results.items()))


def no_loop():
    try:
        asyncio.get_event_loop()
    except RuntimeError as error:
        results["none"] = str(error).partition("'")[0]


thread = threading.Thread(target=no_loop)
thread.start()
thread.join()
print(results["none"])

# A loop that serves others.
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever)
thread.start()


async def square(number):
    await asyncio.sleep(0.0002)
    if number == 3:
        raise ValueError(number)
    return number * number


futures = [asyncio.run_coroutine_threadsafe(square(number), loop) for number in range(5)]
for future in futures:
    tell("square", future.result, 20)
with ThreadPoolExecutor(4) as executor:
    asked = executor.map(lambda n: asyncio.run_coroutine_threadsafe(square(n), loop).result(20), range(4, 10))
    print(list(asked))


async def waits():
    await asyncio.Event().wait()


future = asyncio.run_coroutine_threadsafe(waits(), loop)
tell("too early", future.result, 0.001)
tell("cancel", future.cancel)
tell("cancelled", future.result)
until(lambda: not asyncio.all_tasks(loop))


async def other_loop():
    try:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(square(3), loop))
    except ValueError as error:
        print("wrapped:", error)
    foreign = loop.create_future()
    try:
        await foreign
    except RuntimeError as error:
        print("attached to a different loop" in str(error))


asyncio.run(other_loop())
loop.call_soon_threadsafe(loop.stop)
thread.join()
print(loop.is_running())
loop.close()
tell("closed", loop.call_soon_threadsafe, print)


# Each executor's thread runs loops after each other.
def run_many(number):
    return [asyncio.run(square(number + step)) for step in (10, 20)]


with ThreadPoolExecutor(3) as executor:
    print(list(executor.map(run_many, range(4))))


async def in_a_thread_of_a_loop():
    return await asyncio.gather(*(asyncio.to_thread(asyncio.run, sums(limit)) for limit in (2, 4)))


print(asyncio.run(in_a_thread_of_a_loop()))
