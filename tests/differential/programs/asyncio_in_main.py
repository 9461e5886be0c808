"""asyncio in the main thread: tasks, times, cancelling, queues, locks, errors nobody takes, wrong use."""

import asyncio
import contextvars
import threading

from _tell import tell

variable = contextvars.ContextVar("variable", default="none")


async def fails():
    await asyncio.sleep(0)
    raise LookupError("in a task")


async def forever():
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up")


async def tasks():
    results = await asyncio.gather(asyncio.sleep(0.002, 1), asyncio.sleep(0.001, 2), fails(), return_exceptions=True)
    print(results)
    try:
        await asyncio.gather(fails(), asyncio.sleep(0))
    except LookupError as error:
        print("gather:", error)
    try:
        await asyncio.wait_for(forever(), 0.001)
    except asyncio.TimeoutError as error:
        print(type(error).__name__)
    task = asyncio.ensure_future(forever())
    await asyncio.sleep(0)
    task.cancel("enough")
    try:
        await task
    except asyncio.CancelledError as error:
        print("cancelled", task.cancelled(), isinstance(error, Exception))
    done, left = await asyncio.wait([asyncio.ensure_future(fails()), asyncio.ensure_future(forever())], timeout=0.005)
    print([str(each.exception()) for each in done], len(left))
    for each in left:
        each.cancel()
    await asyncio.wait(left)
    shielded = asyncio.ensure_future(asyncio.sleep(0.002, "shielded"))
    try:
        await asyncio.wait_for(asyncio.shield(shielded), 0.0001)
    except asyncio.TimeoutError:
        print(await shielded)


async def queues():
    queue, got = asyncio.Queue(2), []

    async def consume():
        while True:
            got.append(await queue.get())
            queue.task_done()

    consumers = [asyncio.ensure_future(consume()) for _ in range(3)]
    for number in range(20):
        await queue.put(number)
    await queue.join()
    for each in consumers:
        each.cancel()
    print(sorted(got) == list(range(20)), await asyncio.gather(*consumers, return_exceptions=True))
    lock, order = asyncio.Lock(), []

    async def inside(name):
        async with lock:
            order.append(name)
            await asyncio.sleep(0)
            order.append(name)

    await asyncio.gather(*map(inside, "abc"))
    print("".join(order), lock.locked())
    condition, ready = asyncio.Condition(), []

    async def waits():
        async with condition:
            await condition.wait_for(lambda: ready)

    waiting = [asyncio.ensure_future(waits()) for _ in range(3)]
    await asyncio.sleep(0)
    async with condition:
        ready.append(1)
        condition.notify_all()
    await asyncio.gather(*waiting)
    try:
        condition.notify()
    except RuntimeError as error:
        print(error)
    semaphore = asyncio.BoundedSemaphore(1)
    await semaphore.acquire()
    semaphore.release()
    try:
        semaphore.release()
    except ValueError as error:
        print(error)


async def threads():
    loop = asyncio.get_running_loop()
    variable.set("mine")
    print(await asyncio.to_thread(variable.get), await loop.run_in_executor(None, lambda: variable.get()))
    print(await asyncio.gather(*(asyncio.to_thread(pow, 2, n) for n in range(5))))
    try:
        await asyncio.to_thread(lambda: [][1])
    except IndexError as error:
        print(error)
    try:
        await asyncio.to_thread(asyncio.get_running_loop)
    except RuntimeError as error:
        print(error)
    future = loop.create_future()
    threading.Timer(0.001, loop.call_soon_threadsafe, [future.set_result, "from a thread"]).start()
    print(await future)
    thread = threading.Thread(target=lambda: box.append(asyncio.run_coroutine_threadsafe(fails(), loop)))
    box = []
    thread.start()
    while not box or not box[0].done():
        await asyncio.sleep(0.001)
    thread.join()
    print(repr(box[0].exception()))


for main in (tasks, queues, threads, fails):
    tell(main.__name__, asyncio.run, main())


async def quits():
    raise SystemExit(4)


coroutine = fails()
tell("no coroutine", asyncio.run, 5)
tell("quits", asyncio.run, quits())
tell("no loop", asyncio.get_running_loop)
tell("a task without a loop", asyncio.create_task, coroutine)
coroutine.close()
loop = asyncio.new_event_loop()
told = []
loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
loop.call_soon(lambda: 1 / 0)
loop.call_later(0.001, loop.stop)
loop.run_forever()
print(told, loop.is_running(), loop.is_closed())
waiting = loop.create_task(forever())
loop.call_soon(loop.stop)
loop.run_forever()
waiting.cancel()
tell("cancelled", loop.run_until_complete, waiting)


async def stops(loop):
    loop.stop()
    await asyncio.sleep(1000)


stopped = stops(loop)
tell("stopped", loop.run_until_complete, stopped)
for task in asyncio.all_tasks(loop):
    task.cancel()
    tell("then cancelled", loop.run_until_complete, task)
loop.close()
tell("closed", loop.call_soon, print)
closed = fails()
tell("closed", loop.run_until_complete, closed)
closed.close()
