"""The random programs of tests/fuzz: a seed is always the same program, and failures are reported."""

import os
import subprocess
import sys

from places import TESTS

FUZZ = TESTS / "fuzz"


def run(*args, env=None, script="run.py"):
    command = [sys.executable, str(FUZZ / script), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=env)


def test_a_seed_is_always_the_same_program():
    first, second, other = run("--print", 7), run("--print", 7), run("--print", 8)
    assert first.returncode == second.returncode == other.returncode == 0, first.stderr
    assert first.stdout == second.stdout != other.stdout and "thread 0 (main)" in first.stdout


def test_programs_of_a_handful_of_seeds_have_no_faults():
    """Programs of seeds that have shown faults before."""
    done = run("--programs", 6, "--at-once", 3, "--seconds", 0.5, "--seed", 0, "--", "--without", "Sockets")
    assert done.returncode == 0, done.stdout


def test_a_program_that_prints_something_is_reported_as_failed(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.stderr.write('a report of an error\\n')")
    done = run("--programs", 1, "--seconds", 0.1, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1 and "printed: a report of an error: seeds 0" in done.stdout, done.stdout


def test_a_seed_is_always_the_same_threaded_program():
    first, second, other = (run("--print", seed, script="compare.py") for seed in (7, 7, 8))
    assert first.returncode == second.returncode == other.returncode == 0, first.stderr
    assert first.stdout == second.stdout != other.stdout
    compile(first.stdout, "7.py", "exec")


def test_a_handful_of_threaded_programs_end_as_natively():
    done = run("--programs", 5, "--seed", 53, script="compare.py")
    assert done.returncode == 0 and done.stdout.startswith("5 programs from seed 53"), done.stdout


def test_a_threaded_program_that_differs_patched_is_reported(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nif '-m' in sys.orig_argv: print('patched')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run("--programs", 1, "--seed", 3, script="compare.py", env=environment)
    assert done.returncode == 1 and "+patched" in done.stdout and "differs: seeds 3" in done.stdout, done.stdout


def test_a_threaded_program_that_fails_natively_too_is_reported(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import logging\ndel logging.disable")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run("--programs", 1, "--seed", 3, script="compare.py", env=environment)
    assert done.returncode == 1 and "the program itself is wrong" in done.stdout, done.stdout
