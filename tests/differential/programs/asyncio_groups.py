"""TaskGroup, timeout(), Runner: errors, cancelling, nested, in threads."""
# needs: CPython 3.11

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from _tell import tell


async def fails(kind=LookupError):
    await asyncio.sleep(0)
    raise kind("in a task")


async def forever(cleaned):
    try:
        await asyncio.Event().wait()
    finally:
        cleaned.append(1)


async def group():
    cleaned = []
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(forever(cleaned))
            tasks.create_task(fails())
            tasks.create_task(fails(ValueError))
    except ExceptionGroup as errors:  # noqa: F821
        print([repr(error) for error in errors.exceptions], cleaned)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(asyncio.sleep(0, 5))
    print(task.result())
    coroutine = forever([])
    try:
        tasks.create_task(coroutine)
    except RuntimeError as error:
        print(str(error).partition("<")[0], str(error).rpartition(">")[2])
    coroutine.close()


async def times():
    try:
        async with asyncio.timeout(0.001):
            await forever([])
    except TimeoutError as error:
        print(repr(error))
    async with asyncio.timeout(20) as outer:
        try:
            async with asyncio.timeout(0.001) as inner:
                await forever([])
        except TimeoutError:
            print(inner.expired(), outer.expired())
    async with asyncio.timeout(None) as late:
        late.reschedule(asyncio.get_running_loop().time() + 20)
    task = asyncio.current_task()
    asyncio.get_running_loop().call_later(0.001, task.cancel)
    try:
        await forever([])
    except asyncio.CancelledError:
        print(task.cancelling(), task.uncancel())
    barrier = asyncio.Barrier(3)
    print(sorted(await asyncio.gather(*(barrier.wait() for _ in range(3)))))


def runs(name):
    with asyncio.Runner() as runner:
        found = [runner.run(asyncio.sleep(0, name)), runner.run(asyncio.sleep(0, threading.active_count() > 1))]
        try:
            runner.run(fails())
        except LookupError as error:
            found.append(str(error))
    return found


for function in (group, times):
    tell(function.__name__, asyncio.run, function())
with ThreadPoolExecutor(3) as executor:
    print(list(executor.map(runs, "abc")))
threads = [threading.Thread(target=lambda: tell("in a thread", asyncio.run, times())) for _ in range(1)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
closed = asyncio.Runner()
closed.close()
coroutine = fails()
tell("closed", closed.run, coroutine)
coroutine.close()
