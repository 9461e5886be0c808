"""What CPython has to watch a program with, on a patched one. Other tools are in tests/integration/test_tools.py."""

import re
import subprocess
import sys

import pytest

SCRIPT = """
import threading, time
def work():
    time.sleep(0.001)
    x = 1
    return x
threads = [threading.Thread(target=work) for _ in range(3)]
for each in threads: each.start()
for each in threads: each.join()
print("end")
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)

    def run(*args):
        result = subprocess.run(
            [sys.executable, *args], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path
        )
        return result.stdout

    return run


@pytest.mark.parametrize("order", [("cProfile", "greenio.monkey"), ("greenio.monkey", "cProfile")])
def test_a_profiler_sees_a_patched_program(run, order):
    said = run("-m", order[0], "-m", order[1], "script.py")
    assert said.startswith("end") and re.search(r"script\.py:3\(work\)", said)


MONITORED = """
import sys, threading, time
from greenio import monkey
monkey.patch_all()
def work():
    time.sleep(0.001)
    return 1
def began(code, offset):
    if code is work.__code__: seen.append(threading.current_thread().name)
seen = []
sys.monitoring.use_tool_id(sys.monitoring.PROFILER_ID, "test")
sys.monitoring.register_callback(sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_START, began)
sys.monitoring.set_events(sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_START)
threads = [threading.Thread(target=work, name=str(number)) for number in range(3)]
for each in threads: each.start()
for each in threads: each.join()
print(seen)
"""


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="sys.monitoring is there from CPython 3.12 on")
def test_monitoring_sees_each_greenlet_run(run):
    assert run("-c", MONITORED) == "['0', '1', '2']\n"


DUMPED = """
import faulthandler, os, sys, threading
from greenio import monkey
monkey.patch_all()
def dumps():
    faulthandler.dump_traceback(file=sys.stdout)
thread = threading.Thread(target=dumps)
thread.start()
thread.join()
"""


def test_faulthandler_dumps_a_patched_program(run):
    said = run("-c", DUMPED)
    assert said.startswith("Current thread 0x") and " in dumps\n" in said
