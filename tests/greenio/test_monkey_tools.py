"""CPython's own tools for watching programs see patched ones. Other tools are in tests/integration/test_tools.py."""

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
    printed = run("-m", order[0], "-m", order[1], "script.py")
    assert printed.startswith("end") and re.search(r"script\.py:3\(work\)", printed)


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


INJECTED = """
import subprocess, sys, __main__
child = subprocess.Popen([sys.executable, "-c", '''
import threading, time
from greenio import monkey
monkey.patch_all()
stop = []
def work():
    print("up", flush=True)
    while not stop: time.sleep(0.001)
thread = threading.Thread(target=work, name="worker")
thread.start()
thread.join()
'''], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
with open("injected.py", "w") as file:
    file.write("import threading as t, __main__; print([each.name for each in t.enumerate()]); __main__.stop.append(1)")
try:
    sys.remote_exec(child.pid, "injected.py")
except PermissionError:
    child.kill()
    print("may not")
else:
    print(child.communicate()[0], end="")
"""


@pytest.mark.skipif(not hasattr(sys, "remote_exec"), reason="sys.remote_exec() is there from CPython 3.14 on")
def test_remote_exec_runs_a_script_in_a_patched_process(run):
    printed = run("-c", INJECTED)
    if printed == "may not\n":
        pytest.skip("sys.remote_exec() is not permitted here")
    assert printed == "['MainThread', 'worker']\n"


PRINTED_TASKS = """
import asyncio, subprocess, sys, threading
from greenio import monkey
monkey.patch_all()
stop = []
async def wait_for_it():
    while not stop: await asyncio.sleep(0.001)
def run(name):
    async def main():
        asyncio.current_task().set_name("main of " + name)
        await asyncio.create_task(wait_for_it(), name="task of " + name)
    asyncio.run(main())
threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
for each in threads: each.start()
command = [sys.executable, "-m", "asyncio", "ps", str(__import__("os").getpid())]
result = subprocess.run(command, capture_output=True, text=True)
stop.append(1)
for each in threads: each.join()
told = [name for name in ("main of a", "task of a", "main of b", "task of b") if name in result.stdout]
print(result.stderr.splitlines()[-1] if result.returncode else told)
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="`python -m asyncio ps` is there from CPython 3.14 on")
def test_asyncio_ps_lists_the_tasks_of_all_greenlets(run):
    printed = run("-c", PRINTED_TASKS)
    if "ermi" in printed or "ermission" in printed:
        pytest.skip(f"not permitted here: {printed}")
    assert printed == "['main of a', 'task of a', 'main of b', 'task of b']\n"


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy imports are there from CPython 3.15 on")
@pytest.mark.parametrize("mode", ["all", "normal"])
def test_a_patched_program_may_import_everything_lazily(run, mode):
    assert run("-X", f"lazy_imports={mode}", "-m", "greenio.monkey", "script.py") == "end\n"


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
    printed = run("-c", DUMPED)
    assert printed.startswith("Current thread 0x") and " in dumps\n" in printed
