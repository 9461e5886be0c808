"""Tools that watch a program, on a patched one: coverage and the profiler. What is not installed is not tried."""

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


def test_coverage_counts_lines_in_threads(run):
    pytest.importorskip("coverage", reason="coverage is not installed")
    run("-m", "coverage", "run", "--concurrency=greenlet", "-m", "greenio.monkey", "script.py")
    assert re.search(r"^script\.py +\d+ +0 +100%$", run("-m", "coverage", "report", "--include=script.py"), re.M)


@pytest.mark.parametrize("order", [("cProfile", "greenio.monkey"), ("greenio.monkey", "cProfile")])
def test_profiler(run, order):
    said = run("-m", order[0], "-m", order[1], "script.py")
    assert said.startswith("end") and re.search(r"script\.py:3\(work\)", said)
