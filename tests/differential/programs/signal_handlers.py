"""signal: handlers, what they raise, wrong use, timers, in other threads, nested."""

import os
import signal
import threading
import time

from _tell import tell

got = []


def handler(number, frame):
    got.append((signal.Signals(number).name, frame is not None, threading.current_thread().name))


tell("set", signal.signal, signal.SIGUSR1, handler)
tell("get", lambda: signal.getsignal(signal.SIGUSR1) is handler)
signal.raise_signal(signal.SIGUSR1)
os.kill(os.getpid(), signal.SIGUSR1)
thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1))
thread.start()
thread.join()
time.sleep(0.001)
print(got)
tell("no such signal", signal.signal, 1000, handler)
tell("nor zero", signal.signal, 0, handler)
tell("not to be handled", signal.signal, signal.SIGKILL, handler)
tell("what is no handler", signal.signal, signal.SIGUSR1, 5)
tell("what is no number", signal.signal, "SIGUSR1", handler)
tell("get of no signal", signal.getsignal, 1000)
tell("raise no signal", signal.raise_signal, 1000)
tell("set to the default", lambda: signal.signal(signal.SIGUSR1, signal.SIG_DFL) is handler)
tell("ignore", signal.signal, signal.SIGUSR1, signal.SIG_IGN)
signal.raise_signal(signal.SIGUSR1)
tell("get", signal.getsignal, signal.SIGUSR1)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.strsignal(signal.SIGTERM))


class Own(Exception):
    pass


def raises(number, frame):
    raise Own(signal.Signals(number).name)


signal.signal(signal.SIGUSR2, raises)
tell("raise at once", signal.raise_signal, signal.SIGUSR2)
lock, event = threading.Lock(), threading.Event()
lock.acquire()
waits = [
    ("sleep", lambda: time.sleep(1000)),
    ("lock", lambda: lock.acquire()),
    ("lock, with a time", lambda: lock.acquire(timeout=1000)),
    ("event", lambda: event.wait(1000)),
    ("read", lambda: os.read(pipe[0], 1)),
    ("join", lambda: blocked.join()),
    ("pause", signal.pause),
]
pipe = os.pipe()
blocked = threading.Thread(target=event.wait)
blocked.start()


def interrupted(timer, wait):
    timer.start()
    wait()


for name, wait in waits:
    timer = threading.Timer(0.001, os.kill, (os.getpid(), signal.SIGUSR2))
    tell(name, interrupted, timer, wait)
    timer.join()
print(lock.locked())
event.set()
blocked.join()

# A handler that raises nothing: the wait goes on.
del got[:]
signal.signal(signal.SIGUSR1, handler)
timers = [
    threading.Timer(0, os.kill, (os.getpid(), signal.SIGUSR1)),
    threading.Timer(0.004, os.write, (pipe[1], b"x")),
    threading.Timer(0.004, lock.release),
]
for timer in timers:
    timer.start()
tell("read", os.read, pipe[0], 1)
tell("lock", lock.acquire)
print(got)
for timer in timers:
    timer.join()

# Timers of the system's.
del got[:]
signal.signal(signal.SIGALRM, handler)
tell("setitimer", signal.setitimer, signal.ITIMER_REAL, 0.001, 0.001)
while len(got) < 3:
    time.sleep(0.0005)
tell("getitimer", lambda: [value > 0 for value in signal.getitimer(signal.ITIMER_REAL)][1])
signal.setitimer(signal.ITIMER_REAL, 0)
print(got[:3])
tell("no such timer", signal.setitimer, 99, 1)
tell("negative", signal.setitimer, signal.ITIMER_REAL, -1)
tell("alarm", signal.alarm, 1000)
tell("alarm", signal.alarm, 0)
signal.signal(signal.SIGALRM, raises)
tell("alarm in a sleep", lambda: (signal.setitimer(signal.ITIMER_REAL, 0.001), time.sleep(1000)))

# Nested.
depth = []


def nested(number, frame):
    depth.append(len(depth))
    if len(depth) < 4:
        signal.raise_signal(number)
    depth.append("up")


signal.signal(signal.SIGUSR1, nested)
signal.raise_signal(signal.SIGUSR1)
print(depth)
told = []


def sets():
    for function in (lambda: signal.signal(signal.SIGUSR1, handler), lambda: signal.set_wakeup_fd(-1)):
        try:
            function()
        except ValueError as error:
            told.append(str(error))


thread = threading.Thread(target=sets)
thread.start()
thread.join()
print(told)
signal.siginterrupt(signal.SIGUSR1, False)
tell("siginterrupt of nothing", signal.siginterrupt, 1000, True)
