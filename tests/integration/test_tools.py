"""Tools that watch a patched program from within or from outside: coverage, py-spy."""

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "watched.py"
LINES = PROGRAM.read_text().splitlines()


def run(*args, cwd):
    result = subprocess.run(
        [sys.executable, *map(str, args)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, cwd=cwd,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


@pytest.mark.parametrize("way", [(PROGRAM,), ("-m", "greenio.monkey", PROGRAM)], ids=["by itself", "greenio.monkey"])
@pytest.mark.parametrize("concurrency", ["greenlet", "thread"])
def test_coverage_sees_which_lines_ran(tmp_path, concurrency, way):
    pytest.importorskip("coverage", reason="coverage is not installed")
    assert run("-m", "coverage", "run", f"--concurrency={concurrency}", *way, cwd=tmp_path) == "end\n"
    run("-m", "coverage", "json", "--quiet", f"--include={PROGRAM}", "-o", "found.json", cwd=tmp_path)
    (found,) = json.loads((tmp_path / "found.json").read_text())["files"].values()
    seen = {LINES[number - 1].strip() for number in found["executed_lines"]}
    assert "each.start()" in seen
    if concurrency == "greenlet":
        # With concurrency=thread, coverage misses lines after the start of the first thread; the program runs as usual.
        assert {"time.sleep(0.001)", 'return len("worked")', "each.join()", 'print("end")'} <= seen


@pytest.fixture
def stacks():
    """dump(pid) returns py-spy's stacks of a process."""
    program = shutil.which("py-spy", path=sysconfig.get_path("scripts")) or shutil.which("py-spy")
    if program is None:
        pytest.skip("py-spy is not installed")

    def dump(pid):
        result = subprocess.run([program, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=60)
        if result.returncode and "ermission" in result.stderr:
            pytest.skip(f"py-spy may not look at processes here: {result.stderr.strip()}")
        assert result.returncode == 0, result
        return result.stdout

    return dump


@pytest.mark.parametrize("what", ["computes", "waits"])
def test_py_spy_shows_the_stacks_of_threads(stacks, what):
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "ready\n"
            for _ in range(3):
                found = stacks(process.pid)
                assert "wait_for_a_line (watched.py:" in found  # the native thread's
                assert '"MainThread"' in found
                # While all greenlets wait, the native thread's stack may be that of any of them.
                assert what == "waits" or "computes (watched.py:" in found
            # The program ends as if nobody had looked.
            assert (*process.communicate("\n", timeout=60), process.returncode) == ("end\n", "", 0)
        except BaseException:
            process.kill()
            raise
