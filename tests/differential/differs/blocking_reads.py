"""A thread that reads, with what open() returns, a pipe that the main thread is about to write to."""
# natively: b'main'
# patched: b'late'

import os
import signal
import threading
import time

reading, writing = os.pipe()
child = os.fork()
if child == 0:
    time.sleep(0.1)  # so that somebody writes
    os.write(writing, b"late")
    os._exit(0)
got = []
file = open(reading, "rb", buffering=0)  # noqa: SIM115
thread = threading.Thread(target=lambda: got.append(file.read(4)))
thread.start()
os.write(writing, b"main")
thread.join()
os.kill(child, signal.SIGKILL)
print(got[0])
