"""Run programs as they are and patched, in fresh processes, and show where the outcomes differ.

    python tests/differential/compare.py                  # all of programs/
    python tests/differential/compare.py locks queues     # these

An outcome is the exit status, the output, and the lines of standard error that begin at the margin: of a traceback, the
type and message. Addresses are left out. A program is any file in programs/ whose name does not begin with an
underscore; natively its output is the same in every run. A program that needs certain versions says so in a line:

    # needs: CPython 3.12 to 3.13

or "3.12", if later ones will do.
"""

import difflib
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"

#: In front of a program: run it with the standard library patched.
PATCHED = ["-m", "greenio.monkey"]

#: How many seconds a program may take.
LIMIT = 30

#: How many programs run at a time, each twice.
AT_ONCE = 2


class Outcome(NamedTuple):
    status: str
    output: str
    errors: str

    def __str__(self):
        return f"{self.output}--- standard error\n{self.errors}--- status {self.status}\n"


def programs(folder=PROGRAMS):
    return sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))


def unmet_need(path):
    """Return the versions that the program needs (str), or None if this interpreter is one of them."""
    found = re.search(r"^# needs: CPython 3\.(\d+)(?: to 3\.(\d+))?$", path.read_text(), re.MULTILINE)
    if found and not int(found[1]) <= sys.version_info[1] <= int(found[2] or 99):
        return found[0].removeprefix("# needs: ")
    return None


def start(command, python):
    """Start a process in a group of its own, with pipes for its output."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONWARNINGS", None)
    return subprocess.Popen(
        [python, *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment,
        cwd="/",  # the packages of a checkout may not be compiled
    )


def outcome(process):
    """Wait for the end of a started process, and return its Outcome."""
    try:
        output, errors = process.communicate(timeout=LIMIT)
        status = str(process.returncode)
        if process.returncode < 0:
            status = signal.Signals(-process.returncode).name
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        status = f"no end in {LIMIT} seconds"
    return Outcome(status, canonical(output), at_the_margin(canonical(errors)))


def canonical(text):
    return re.sub("0x[0-9a-f]+", "0x...", text.decode(errors="backslashreplace"))


def at_the_margin(text):
    lines = [line for line in text.splitlines(True) if line.strip() and not line[0].isspace()]
    return "".join(line for line in lines if not line.startswith("Traceback (most recent"))


def both(*command, python=sys.executable):
    """Return the outcomes of a program: natively, and patched."""
    started = start(command, python), start([*PATCHED, *command], python)
    return outcome(started[0]), outcome(started[1])


def difference(native, patched):
    """Return the difference of two outcomes as text, which is empty if there is none."""
    lines = [str(each).splitlines(True) for each in (native, patched)]
    return "".join(difflib.unified_diff(*lines, "natively", "patched", n=2))


def main():
    names = sys.argv[1:]
    chosen = [path for path in programs() if unmet_need(path) is None and (not names or path.stem in names)]
    differ = 0
    with ThreadPoolExecutor(AT_ONCE) as executor:
        for path, outcomes in zip(chosen, executor.map(both, chosen), strict=True):
            if text := difference(*outcomes):
                differ += 1
                print(f"== {path.stem} differs\n{text}", flush=True)
    print(f"{len(chosen)} programs, {differ} differ")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
