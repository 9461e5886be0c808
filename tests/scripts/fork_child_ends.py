"""A greenlet that is not the main one forks. The child ends with this greenlet; the main one stays in the parent."""

import os
import signal
import sys

import greenio
from greenio._patched import signal_handlers

how = sys.argv[1]


def fork():
    pid = os.fork()
    if pid:
        return pid
    if how == "later":
        greenio.spawn(lambda: (greenio.sleep(0.01), print("later", flush=True)))
    elif how == "signal":
        signal_handlers.signal(signal.SIGUSR1, lambda *args: print("handled there", greenio.getcurrent() is mine))
        greenio.get_hub().loop.timer(0.01).start(os.kill, os.getpid(), signal.SIGUSR1)
        greenio.sleep(0.1)
    elif how == "error":
        raise LookupError("in the child")
    elif how == "interrupt":
        signal_handlers.signal(signal.SIGINT, signal.default_int_handler)
        greenio.get_hub().loop.timer(0.01).start(os.kill, os.getpid(), signal.SIGINT)
        try:
            greenio.sleep(10)
        except KeyboardInterrupt:
            print("interrupted")
    print("child ends")
    return 0


mine = greenio.Greenlet(fork)
if how == "hub":
    pids = []
    greenio.get_hub().run_callback(lambda: pids.append(fork()))
    greenio.sleep(0.001)
    pid = pids[0]
else:
    mine.start()
    pid = mine.get()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "parent ends")
