"""Runs several commands at once, and shows their output, line by line, as it comes.

python examples/parallel_commands.py ["command" ...]
"""

import sys

import greenio
from greenio.subprocess import PIPE, STDOUT, Popen

COMMANDS = ["for i in 1 2 3; do echo $i; sleep 0.02; done", "sleep 0.03; echo slept", "echo failed; exit 3"]


def run(number, command):
    with Popen(command, shell=True, stdout=PIPE, stderr=STDOUT, text=True) as process:
        for line in process.stdout:
            print(f"{number}: {line}", end="", flush=True)
    return process.returncode


def main():
    commands = sys.argv[1:] or COMMANDS
    jobs = [greenio.spawn(run, number, command) for number, command in enumerate(commands, 1)]
    codes = [job.get() for job in jobs]
    for number, (command, code) in enumerate(zip(commands, codes, strict=True), 1):
        print(f"{number} ended with {code}: {command}")
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
