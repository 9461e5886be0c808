"""time: sleeps of every length and kind, clocks, what interrupts."""

import signal
import threading
import time

from _tell import tell, tell_kind

for pause in (0, 0.0, 0.001, True, 1e-9):
    tell(f"sleep {pause}", time.sleep, pause)
for pause in (-1, -0.5, "1", None, float("nan"), 1e30, 10**30, float("inf"), [], 1j):
    tell_kind(f"sleep {pause}", time.sleep, pause)
tell("nothing", time.sleep)
tell("too many", time.sleep, 0, 0)
begun = time.monotonic()
time.sleep(0.002)
print(0.002 <= time.monotonic() - begun < 5)
slept = []


def sleeps(pause):
    begun = time.monotonic()
    time.sleep(pause)
    slept.append((pause, time.monotonic() - begun >= pause))


threads = [threading.Thread(target=sleeps, args=(pause,)) for pause in (0.02, 0.01, 0.001)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(slept))


class Fraction:
    def __float__(self):
        return 0.001


tell_kind("what has a __float__", time.sleep, Fraction())


class Index:
    def __index__(self):
        return 0


tell("what has an __index__", time.sleep, Index())
got = []
signal.signal(signal.SIGALRM, lambda *args: got.append("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.001)
begun = time.monotonic()
time.sleep(0.01)
print(got, time.monotonic() - begun >= 0.01)
print(time.process_time() > 0, time.thread_time() >= 0, time.perf_counter() > 0, time.time() > 1e9)
print(time.get_clock_info("monotonic").monotonic, time.clock_gettime(time.CLOCK_MONOTONIC) > 0)
tell("no such clock", time.clock_gettime, 9999)
tell("clock of a thread", lambda: time.clock_gettime(time.pthread_getcpuclockid(threading.get_ident())) >= 0)
print(time.strftime("%Y", time.gmtime(0)), time.mktime(time.localtime(1e9)) == 1e9)
