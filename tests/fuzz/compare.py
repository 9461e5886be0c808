"""Run many random threaded programs natively and patched, each in fresh processes; tell where the outcomes differ.

    python tests/fuzz/compare.py --programs 2000 --seed 0 --at-once 3 [--python PYTHON]
    python tests/fuzz/compare.py --for 20                 # as many as there is time for
    python tests/fuzz/compare.py --print 42               # the program of a seed: text that can be run
    python tests/fuzz/compare.py --again 42 --programs 50 # the same seed each time: how often does it differ?

The output of a program does not depend on the order in which its threads run. tests/differential/compare.py says what
an outcome is. The exit status is 1 if one differs. A program whose native runs differ from each other is reported in
the same way: its scene is wrong.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

import run
import threaded

_spec = importlib.util.spec_from_file_location("outcomes", Path(__file__).parents[1] / "differential" / "compare.py")
outcomes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(outcomes)


class Comparison(run.Run):
    def run_one(self, seed):
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(threaded.source(seed))
            file.flush()
            native, patched = outcomes.both(file.name, python=self.options.python)
        text = outcomes.difference(native, patched)
        if not text and native.status == "1" and "the end" not in native.errors:
            return "the program itself is wrong", str(native)
        return ("differs" if text else None), text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    run.add_options(parser, at_once=3)
    parser.set_defaults(misuse=False, more=[])
    options = parser.parse_args()
    if options.print is not None:
        print(threaded.source(options.print))
        return
    sys.exit(run.report(Comparison(options)))


if __name__ == "__main__":
    main()
