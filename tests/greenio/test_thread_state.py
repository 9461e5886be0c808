"""State that CPython keeps by native thread, when threads are greenlets: own, shared or inherited."""

import subprocess
import sys

import pytest
import scenarios


@pytest.fixture(scope="module")
def outcomes():
    return scenarios.together("thread_state.py")


@pytest.mark.parametrize("name", scenarios.names("thread_state.py"))
def test_each_thread_has_its_own_state(outcomes, name):
    assert outcomes[name] is None, outcomes[name]


CONTEXTS = """
import sys
if "patched" in sys.argv:
    from greenio import monkey
    monkey.patch_all()
import _thread, contextvars, threading, time
from concurrent.futures import ThreadPoolExecutor
variable = contextvars.ContextVar("variable", default="none")
variable.set("the starter's")
seen = []
def look():
    time.sleep(0.001)
    seen.append(variable.get())
    variable.set("own")
for thread in (threading.Thread(target=look), threading.Thread(target=look, context=contextvars.Context())):
    thread.start()
    thread.join()
_thread.start_new_thread(look, ())
while len(seen) < 3: time.sleep(0.001)
with ThreadPoolExecutor(1) as executor: executor.submit(look).result()
print(seen, variable.get())
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="thread_inherit_context is there from CPython 3.14 on")
@pytest.mark.parametrize("inherited", [0, 1])
def test_threads_begin_with_the_context_that_they_begin_with_natively(inherited):
    command = [sys.executable, "-X", f"thread_inherit_context={inherited}", "-c", CONTEXTS]
    said = [
        subprocess.run([*command, how], capture_output=True, text=True, timeout=60, check=True, cwd="/").stdout
        for how in ("natively", "patched")
    ]
    assert said[0] == said[1] and ("the starter's" in said[0].partition("]")[0]) == bool(inherited)
