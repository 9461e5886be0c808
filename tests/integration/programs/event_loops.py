"""asyncio in several greenlets at once, with asgiref and Django, which ask whether a loop runs."""

import asyncio
import threading

from together import together, until

import greenio

COUNT = 20


def many_loops():
    """Each greenlet runs a loop of its own, and waits until all others are inside their loops."""
    inside = threading.Barrier(COUNT, timeout=30)

    async def count(number):
        task = asyncio.current_task()
        await asyncio.sleep(0.001)
        # A blocking call in a coroutine: the greenlet waits, and its loop and its task with it.
        inside.wait()
        assert asyncio.current_task() is task and asyncio.get_running_loop() is task.get_loop()
        await asyncio.gather(*[asyncio.sleep(0.001) for _ in range(5)])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x\n")
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return number, line

    async def serve(started, ends):
        async def echo(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=128)
        started.append(server.sockets[0].getsockname()[1])
        await ends.wait()
        server.close()

    started, ends = [], asyncio.Event()
    serving = greenio.spawn(asyncio.run, serve(started, ends))
    port = until(lambda: started and started[0])
    print(together(COUNT, lambda number: asyncio.run(count(number))) == [(n, b"x\n") for n in range(COUNT)])

    async def slow():
        await asyncio.wait_for(asyncio.sleep(60), 0.02)

    try:
        asyncio.run(slow())
    except (TimeoutError, asyncio.TimeoutError):
        print("timeout")

    cleaned = []

    async def for_ever():
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(1)

    killed = greenio.spawn(asyncio.run, for_ever())
    greenio.sleep(0.01)
    killed.kill()
    print(cleaned, asyncio.run(asyncio.sleep(0, "after")))
    serving_loop = [each for each in asyncio.all_tasks(loops(serving)) if not each.done()]
    serving_loop[0].get_loop().call_soon_threadsafe(ends.set)
    serving.join()


def loops(greenlet):
    import gc

    found = [each for each in gc.get_objects() if isinstance(each, asyncio.AbstractEventLoop) and each.is_running()]
    assert len(found) == 1
    return found[0]


def inside_a_loop(seconds=1000):
    """A greenlet that waits inside asyncio.run()."""
    started = threading.Event()

    async def wait():
        started.set()
        await asyncio.sleep(seconds)

    waiting = greenio.spawn(asyncio.run, wait())
    started.wait()
    greenio.sleep(0.005)
    return waiting


def with_asgiref():
    from asgiref.local import Local
    from asgiref.sync import async_to_sync, sync_to_async

    waiting = inside_a_loop()

    async def answer(number):
        await asyncio.sleep(0.001)
        return number, await sync_to_async(threading.get_ident)()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        print("no loop runs here")
    local = Local()

    def ask(number):
        local.number = number
        got = async_to_sync(answer)(number)
        return got[0] == local.number == number

    print(all(together(COUNT, ask)))
    failing = greenio.spawn(async_to_sync(fail))
    failing.reports_errors = False
    failing.join()
    print(type(failing.exception).__name__)
    waiting.kill()


async def fail():
    await asyncio.sleep(0.001)
    raise ValueError("on purpose")


def with_django(folder):
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/database"}},
        USE_TZ=True,
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="no secret",
    )
    django.setup()
    from django.core.exceptions import SynchronousOnlyOperation
    from django.db import connection, connections, models

    class Entry(models.Model):
        name = models.CharField(max_length=20)

        class Meta:
            app_label = "entries"

    with connection.schema_editor() as editor:
        editor.create_model(Entry)
    waiting = inside_a_loop()

    def store(number):
        mine = connections["default"]
        Entry.objects.create(name=str(number))
        greenio.sleep(0.001)
        got = Entry.objects.get(name=str(number)).name
        assert connections["default"] is mine
        mine.close()
        return int(got), id(mine)

    # One after the other: sqlite blocks, and locks the whole file.
    stored = [greenio.spawn(store, number).get() for number in range(5)]
    print([number for number, _connection in stored] == list(range(5)), Entry.objects.count())

    async def wrong():
        Entry.objects.count()

    try:
        asyncio.run(wrong())
    except SynchronousOnlyOperation:
        print("refused in a coroutine")
    connection.close()
    waiting.kill()
