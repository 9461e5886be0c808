"""Ends in all the ways in which a program may end, with hubs and greenlets alive; nothing is printed on stderr."""

import os
import sys
import threading
import time

import greenio
from greenio.socket import socketpair

how = sys.argv[1]


def busy():
    greenlets = [greenio.spawn(greenio.sleep, 1000) for _ in range(10)]
    greenlets.append(greenio.spawn_raw(greenio.sleep, 1000))
    ours, theirs = socketpair()
    greenlets.append(greenio.spawn(ours.recv, 1))
    greenlets += [ours, theirs, greenio.get_hub().loop.timer(1000)]
    greenlets[-1].start(print)
    greenio.Timeout.start_new(1000)
    greenio.sleep(0.01)
    return greenlets


def in_thread(daemon):
    def work():
        busy()
        ready.set()
        greenio.sleep(1000 if daemon else 0.01)

    thread = threading.Thread(target=work, daemon=daemon)
    thread.start()
    ready.wait()


ready = threading.Event()
print("begun", flush=True)
if how == "end":
    kept = busy()
elif how == "exit":
    busy()
    sys.exit(0)
elif how == "exit from greenlet":
    busy()
    greenio.spawn(sys.exit, 0).join()
    greenio.sleep(10)
elif how == "daemon thread":
    in_thread(True)
elif how == "daemon threads and main":
    for _ in range(4):
        ready.clear()
        in_thread(True)
    busy()
elif how == "thread":
    in_thread(False)
elif how == "atexit":
    import atexit

    atexit.register(lambda: (greenio.sleep(0.01), greenio.spawn(print, "at exit").join()))
    busy()
elif how == "destroyed":
    busy()
    greenio.get_hub().destroy()
elif how == "unused":
    pass
elif how == "cycle":

    class Keeper:
        def __del__(self):
            self.greenlet.dead  # noqa: B018

    keeper = Keeper()
    keeper.keeper = keeper
    keeper.greenlet = busy()[0]
elif how == "busy thread":

    def count():
        while True:
            greenio.sleep(0)

    threading.Thread(target=count, daemon=True).start()
    time.sleep(0.05)
elif how == "fork":
    busy()
    if os.fork() == 0:
        busy()
        sys.exit(0)
    os.wait()
