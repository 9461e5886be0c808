"""Scenarios for fresh processes: functions in files of tests/scripts/patching.

In ``together(file)`` all functions of a file run in one process, one after the other; `outcomes` has for each of them
what it raised, as text, or None. ``alone(file, name)`` runs one in a process of its own. A scenario that hangs is
ended, with the stacks of its threads.
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
    """The scenarios of a file: its functions without an underscore, and without arguments."""
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
    """Run one scenario. Returns the finished process, which must have run it to its end."""
    result = _run(file, name, **options)
    assert not outcomes_in(result, [name])[name], outcomes_in(result, [name])[name]
    return result


def together(file):
    """Run all scenarios of a file: name -> None, or what went wrong."""
    wanted = names(file)
    return outcomes_in(_run(file, *wanted), wanted)


def outcomes_in(result, wanted):
    found = dict.fromkeys(wanted, f"did not end; status {result.returncode}, {result.stdout}{result.stderr}")
    for line in result.stdout.splitlines():
        if line.startswith("{"):
            said = json.loads(line)
            found[said["name"]] = said["error"]
    return found
