"""The random programs of tests/fuzz: a seed is one program, and what goes wrong is told."""

import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parent / "fuzz" / "run.py"


def run(*args):
    return subprocess.run([sys.executable, str(RUN), *map(str, args)], capture_output=True, text=True, timeout=100)


def test_a_seed_is_a_program():
    first, second, other = run("--print", 7), run("--print", 7), run("--print", 8)
    assert first.returncode == second.returncode == other.returncode == 0, first.stderr
    assert first.stdout == second.stdout != other.stdout and "thread 0 (main)" in first.stdout
