"""Generators, asynchronous ones, and coroutines that threads share or end."""

import asyncio
import gc
import threading

from _tell import tell


def numbers():
    try:
        number = 0
        while True:
            number += 1
            yield number
    finally:
        print("closed in", threading.current_thread().name)


shared, lock, got = numbers(), threading.Lock(), []


def take():
    for _ in range(20):
        with lock:
            got.append(next(shared))


threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(got) == list(range(1, 81)))
thread = threading.Thread(target=shared.close, name="closer")
thread.start()
thread.join()
inside, go_on = threading.Event(), threading.Event()


def waits():
    inside.set()
    go_on.wait()
    yield 1


waiting = waits()
thread = threading.Thread(target=lambda: got.append(next(waiting)))
thread.start()
inside.wait()
tell("running already", next, waiting)
tell("running already", waiting.close)
go_on.set()
thread.join()
tell("then", next, waiting)


async def ticks(name):
    try:
        for number in range(1000):
            yield number
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
        print(name, "finalised")


async def breaks(name):
    async for number in ticks(name):
        if number == 3:
            break
    gc.collect()
    await asyncio.sleep(0.002)
    return number


async def leaves(name):
    kept.append(ticks(name))
    return await kept[-1].__anext__()


kept = []
print(asyncio.run(breaks("broken off")))
thread = threading.Thread(target=lambda: print(asyncio.run(breaks("in a thread"))))
thread.start()
thread.join()
print(asyncio.run(leaves("left to the loop")))
thread = threading.Thread(target=lambda: print(asyncio.run(leaves("left to a thread's loop"))))
thread.start()
thread.join()


async def forever():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled at the end of the loop")
        raise


async def forgets():
    asyncio.ensure_future(forever())
    await asyncio.sleep(0)


thread = threading.Thread(target=asyncio.run, args=(forgets(),))
thread.start()
thread.join()


async def explicit():
    generator = ticks("closed by hand")
    await generator.__anext__()
    await generator.aclose()
    try:
        await generator.__anext__()
    except StopAsyncIteration as error:
        print(repr(error))
    thrown = ticks("thrown into")
    await thrown.__anext__()
    try:
        await thrown.athrow(KeyError("thrown"))
    except KeyError as error:
        print(repr(error))
    both = await asyncio.gather(breaks("first"), breaks("second"))
    print(both)


asyncio.run(explicit())
