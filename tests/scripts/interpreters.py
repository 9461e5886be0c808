"""Other interpreters of the process, in a patched program: which calls let greenlets run, and what they return."""

import time
from functools import partial

from greenio import monkey

monkey.patch_all()

import threading  # noqa: E402
from concurrent import interpreters  # noqa: E402
from concurrent.futures import InterpreterPoolExecutor  # noqa: E402

COMPUTE = """
import time
end = time.monotonic() + 0.1
while time.monotonic() < end: pass
"""
ticks = 0


def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.001)


def others_run(function):
    before = ticks
    return function(), ticks > before


threading.Thread(target=tick, daemon=True).start()
interpreter = interpreters.create()
print("exec", others_run(partial(interpreter.exec, COMPUTE)))
print("call_in_thread", others_run(lambda: interpreter.call_in_thread(exec, COMPUTE).join()))
queue = interpreters.create_queue()
threading.Timer(0.01, queue.put, ("item",)).start()
print("get", others_run(queue.get))
with InterpreterPoolExecutor(2) as executor:
    print("result", others_run(executor.submit(exec, COMPUTE).result))
    print("map", list(executor.map(pow, [2, 3], [5, 6])), repr(executor.submit(pow, 2, "x").exception())[:9])
interpreter.close()
left = InterpreterPoolExecutor(1)
print("left", left.submit(pow, 2, 2).result())
