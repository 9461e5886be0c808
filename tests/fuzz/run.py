"""Run many random programs over the public interface, each in a fresh process, and tell which of them failed.

    python tests/fuzz/run.py --programs 5000 --seconds 1 --at-once 12 --seed 0 [--python PYTHON]
    python tests/fuzz/run.py --for 60                   # as many as there is time for
    python tests/fuzz/run.py --print 42                 # the program of a seed, as text
    python tests/fuzz/run.py --again 42 --programs 50   # the same seed each time: how often does it fail?
    python tests/fuzz/run.py --for 10 --misuse          # greenlet's own methods, too; only signals count

A program fails when a signal ends it, when it does not end, when a count is wrong at its end or something is left over,
or when it prints anything, such as a report of an error. The exit status is 1 if one has failed. The environment is
passed on, for ASan say; FUZZ_LIMIT is how many seconds a program may hang (25), for slow builds.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from itertools import count
from pathlib import Path

PROGRAM = Path(__file__).parent / "program.py"

#: Lines on standard error that are no fault of the library's, each with its reason.
NOISE: list = []


class Run:
    def __init__(self, options):
        self.options = options
        self.more = [*options.more, "--misuse"] if options.misuse else options.more
        self.failures = []  # (seed, kind)
        self.finished = 0
        self.lock = threading.Lock()
        self.begun = time.monotonic()
        self.numbers = iter(range(options.programs)) if options.duration is None else count()

    def next_seed(self):
        with self.lock:
            if self.options.duration is not None and time.monotonic() - self.begun > self.options.duration:
                return None
            number = next(self.numbers, None)
        if number is None:
            return None
        return self.options.seed + number if self.options.again is None else self.options.again

    def work(self):
        while (seed := self.next_seed()) is not None:
            kind, output = self.run_one(seed)
            with self.lock:
                self.finished += 1
                if kind is not None:
                    self.failures.append((seed, kind))
                    print(f"seed {seed}: {kind}\n{indented(output, self.options.lines)}", flush=True)
                    if self.options.logs:
                        Path(self.options.logs).mkdir(parents=True, exist_ok=True)
                        Path(self.options.logs, f"{seed}.txt").write_text(f"{kind}\n{output}")

    def run_one(self, seed):
        """Run a program; return the kind of its failure, or None, and its output."""
        options = self.options
        command = [options.python, str(PROGRAM), str(seed), str(options.seconds), *self.more]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            output, _ = process.communicate(timeout=options.seconds + 5 * float(os.environ.get("FUZZ_LIMIT", "25")))
        except subprocess.TimeoutExpired:
            # The program's forked children may have its output open, too.
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return "does not end", text_of(output)
        kind = kind_of(process.returncode, text_of(output))
        if options.misuse and process.returncode >= 0 and not (kind or "").startswith("AddressSanitizer"):
            kind = None
        return kind, text_of(output)


def text_of(output):
    lines = output.decode(errors="backslashreplace").splitlines()
    return "\n".join(line for line in lines if not any(re.search(noise, line) for noise in NOISE))


def kind_of(status, output):
    if "AddressSanitizer" in output:
        return "AddressSanitizer: " + re.search("AddressSanitizer:? ?(\\S*)", output)[1]
    if status < 0:
        return signal.Signals(-status).name
    if found := re.search("^FAULT (.*?): ", output, re.MULTILINE):
        return found[1]
    if "Timeout (" in output:
        return "does not end"
    if status:
        return f"status {status}"
    return f"printed: {output.splitlines()[-1][:60]}" if output else None


def indented(text, lines):
    found = text.splitlines()
    if len(found) > lines:
        found = [*found[: lines // 2], f"... {len(found) - lines} lines ...", *found[-lines // 2 :]]
    return "".join(f"    {line}\n" for line in found)


def add_options(parser, at_once):
    parser.add_argument("--python", default=sys.executable, help="the interpreter to try; it has greenio")
    parser.add_argument("--programs", type=int, default=100, help="how many")
    parser.add_argument("--for", dest="duration", type=float, metavar="SECONDS", help="start programs for so long")
    parser.add_argument("--at-once", type=int, default=at_once)
    parser.add_argument("--seed", type=int, default=0, help="the first one; the others follow")
    parser.add_argument("--again", type=int, metavar="SEED", help="run one and the same seed each time")
    parser.add_argument("--print", type=int, metavar="SEED", help="print the program of a seed, and run nothing")
    parser.add_argument("--lines", type=int, default=40, help="how many lines of a failing program's output to show")
    parser.add_argument("--logs", metavar="FOLDER", help="where to keep the whole output of those that fail")


def report(run):
    """Run them all and print what came of it; the exit status."""
    options = run.options
    threads = [threading.Thread(target=run.work) for _ in range(options.at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    usage = os.times()
    passed = time.monotonic() - run.begun
    print(
        f"{run.finished} programs from seed {options.seed} in {passed:.0f} s, {len(run.failures)} failed; "
        f"{(usage.children_user + usage.children_system) / max(run.finished, 1):.2f} s of CPU each"
    )
    for kind, number in Counter(kind for _, kind in run.failures).most_common():
        seeds = sorted(seed for seed, found in run.failures if found == kind)
        print(f"{number:5d} {kind}: seeds {', '.join(map(str, seeds[:12]))}{' ...' if number > 12 else ''}")
    return 1 if run.failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, at_once=6)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each is busy")
    parser.add_argument("--misuse", action="store_true", help="call greenlet's own methods; only signals are failures")
    parser.add_argument("more", nargs="*", help="after --, passed on to program.py: --only KIND, --without KIND")
    options = parser.parse_args()
    if options.misuse:
        os.environ.setdefault("FUZZ_LIMIT", "3")  # a greenlet that is switched to by mistake may well hang
    if options.print is not None:
        sys.exit(subprocess.call([options.python, str(PROGRAM), str(options.print), "--print", *Run(options).more]))
    sys.exit(report(Run(options)))


if __name__ == "__main__":
    main()
