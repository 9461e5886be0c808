"""Scenarios for fresh processes: functions in files of tests/scripts/patching.

``together(file)`` runs all functions of a file in one process, one after the other, and returns for each of them the
error that it raised, as text, or None. ``alone(file, name)`` runs one in a process of its own. A scenario that hangs
is ended, and the stacks of its threads are shown.
"""

import ast
import json
import os
import subprocess
import sys

from places import SCRIPTS

FOLDER = SCRIPTS / "patching"
LIMIT = 40  # seconds for one scenario


def names(file):
    """Return the scenarios of a file: its functions without an underscore and without arguments (list of str)."""
    tree = ast.parse((FOLDER / file).read_text())
    functions = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
    return [each.name for each in functions if not each.name.startswith("_") and not each.args.args]


def _run(file, *scenarios, env=None, python=()):
    return subprocess.run(
        [sys.executable, *python, str(FOLDER / "run.py"), file, str(LIMIT), *scenarios],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110, check=False, cwd=FOLDER,
        env={**os.environ, **(env or {})},
    )  # fmt: skip


def alone(file, name, **options):
    """Run one scenario; fail if it raises or does not end. Returns the finished process."""
    result = _run(file, name, **options)
    assert not outcomes_in(result, [name])[name], outcomes_in(result, [name])[name]
    return result


def together(file):
    """Run all scenarios of a file. Returns a dict: name -> None, or the error as text."""
    wanted = names(file)
    return outcomes_in(_run(file, *wanted), wanted)


def outcomes_in(result, wanted):
    found = dict.fromkeys(wanted, f"did not end; status {result.returncode}, {result.stdout}{result.stderr}")
    for line in result.stdout.splitlines():
        if line.startswith("{"):
            outcome = json.loads(line)
            found[outcome["name"]] = outcome["error"]
    return found
