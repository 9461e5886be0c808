"""Signals and asyncio: handlers of a loop, KeyboardInterrupt in a task, wrong threads."""

import asyncio
import os
import signal
import threading

from _tell import tell


async def handlers():
    loop = asyncio.get_running_loop()
    got = asyncio.Queue()
    loop.add_signal_handler(signal.SIGUSR1, got.put_nowait, "usr1")
    os.kill(os.getpid(), signal.SIGUSR1)
    print(await got.get())
    threading.Timer(0.001, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    print(await got.get())
    print(loop.remove_signal_handler(signal.SIGUSR1), loop.remove_signal_handler(signal.SIGUSR1))
    for number in (0, 1000, signal.SIGKILL):
        try:
            loop.add_signal_handler(number, print)
        except (ValueError, RuntimeError, OSError) as error:
            print(type(error).__name__, error)


async def interrupted(how):
    try:
        if how == "now":
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)
        else:
            threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGINT)).start()
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        print("cancelled")
        raise
    finally:
        print("cleaned up")


async def in_thread():
    try:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
    except (ValueError, RuntimeError) as error:
        print(type(error).__name__)


async def exits():
    signal.signal(signal.SIGTERM, lambda *args: (_ for _ in ()).throw(SystemExit(7)))
    threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGTERM)).start()
    await asyncio.sleep(1000)


tell("handlers", asyncio.run, handlers())
for how in ("now", "soon"):
    tell(how, asyncio.run, interrupted(how))
thread = threading.Thread(target=asyncio.run, args=(in_thread(),))
thread.start()
thread.join()
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.set_wakeup_fd(-1))
tell("exits", asyncio.run, exits())
