"""Timer: cancelled before, after and meanwhile; functions that raise."""

import threading
import time

from _tell import tell

ran = []
timer = threading.Timer(0.001, lambda *args, **named: ran.append((args, named)), [1, 2], {"a": 3})
tell("cancel before the start", threading.Timer(10, ran.append).cancel)
timer.start()
timer.join()
print(ran, timer.is_alive(), timer.finished.is_set())
tell("cancel after the end", timer.cancel)
tell("start again", timer.start)
long = threading.Timer(1000, ran.append, ["never"])
long.start()
print(long.is_alive(), long.finished.is_set())
tell("cancel", long.cancel)
long.join()
print(long.is_alive(), ran)
for timer in (threading.Timer(0, lambda: 1 / 0), threading.Timer(-1, lambda: ran[5])):
    timer.start()
    timer.join()
threading.excepthook = lambda args: print(args.exc_type.__name__)
wrong = threading.Timer("soon", ran.append)
wrong.start()
wrong.join()

# In the order of their times.
order = []
timers = [threading.Timer(pause, order.append, [pause]) for pause in (0.05, 0.001, 0.025)]
for timer in timers:
    timer.start()
for timer in timers:
    timer.join()
print(order)

# One that cancels itself, and one that starts the next.
again = []


def tick():
    again.append(1)
    if len(again) < 4:
        following = threading.Timer(0.0001, tick)
        following.start()
        following.join()


first = threading.Timer(0, tick)
first.start()
first.join()
print(again)
begun = time.monotonic()
daemon = threading.Timer(1000, print)
daemon.daemon = True
daemon.start()
print(time.monotonic() - begun < 10)
