"""asyncio used wrongly, mostly from wrong threads; in debug mode; what the loop says of it."""

import asyncio
import logging
import sys
import threading
import warnings

from _tell import tell

logging.basicConfig(stream=sys.stdout, format="%(levelname)s", level=logging.ERROR)
told = []


def in_thread(function, *arguments):
    def run():
        try:
            told.append(function(*arguments))
        except BaseException as error:
            told.append(f"{type(error).__name__}: {error}".partition("0x")[0])

    thread = threading.Thread(target=run)
    thread.start()
    return thread


async def joined(thread):
    while thread.is_alive():
        await asyncio.sleep(0.001)
    print(told.pop())


async def main():
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 1000
    await joined(in_thread(loop.call_soon, print))
    await joined(in_thread(asyncio.get_running_loop))
    await joined(in_thread(loop.run_until_complete, loop.create_future()))
    await joined(in_thread(asyncio.ensure_future, asyncio.sleep))
    await joined(in_thread(lambda: asyncio.run_coroutine_threadsafe(5, loop)))
    await joined(in_thread(asyncio.current_task))
    await joined(in_thread(lambda: len(asyncio.all_tasks(loop))))
    tell("run in a loop", loop.run_until_complete, loop.create_future())
    tell("run_forever in a loop", loop.run_forever)
    coroutine = asyncio.sleep(0)
    tell("asyncio.run in a loop", asyncio.run, coroutine)
    coroutine.close()
    tell("close", loop.close)
    future = loop.create_future()
    tell("no result", future.result)
    future.set_result(1)
    tell("twice", future.set_result, 2)
    task = asyncio.ensure_future(asyncio.sleep(0, 3))
    tell("a task's", task.set_result, 2)
    print(await task)
    try:
        await task.get_coro()
    except RuntimeError as error:
        print(error)
    tell("what cannot be awaited", asyncio.ensure_future, 5)
    tell("no such signal", loop.add_signal_handler, 1000, print)
    tell("not callable", loop.call_soon, 5)
    try:
        await asyncio.wait([])
    except (ValueError, TypeError) as error:
        print(error)
    try:
        await asyncio.gather(fails(), asyncio.sleep(0))
    except LookupError as error:
        print("gathered", error)
    lost = asyncio.ensure_future(fails())
    await asyncio.sleep(0.001)
    del lost
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.001)


async def fails():
    raise LookupError("lost")


asyncio.run(main())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    thread = in_thread(lambda: fails() and None)
    thread.join()
    print(told.pop(), [str(each.message) for each in caught])
loop = asyncio.new_event_loop()
thread = in_thread(lambda: asyncio.set_event_loop(loop) or asyncio.get_event_loop_policy().get_event_loop() is loop)
thread.join()
print(told.pop())
loop.close()
