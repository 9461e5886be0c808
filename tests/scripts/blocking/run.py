"""Make calls of the standard library in a patched process, while another greenlet counts ticks.

``run.py cooperative|thread|blocking name ...`` prints a line of JSON for each: its name, ticks, threads. Where
greenlets run meanwhile, each call is made once more, in a thread of the patched program, and has a second line.
``run.py names`` prints the names of all.
"""

import faulthandler
import json
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from greenio import monkey

monkey.patch_all()
# A call that keeps all greenlets from running hangs: it waits for another greenlet.
LIMIT = 20

for subject in ("files", "libraries", "locks", "processes", "sockets", "threads"):
    import_module(f"calls_of_{subject}")

from measuring import CALLS, WITH_GREENLETS, result, tick_for_ever  # noqa: E402

from greenio import spawn  # noqa: E402


def call(function):
    function()


def in_thread(function):
    """Call a function in a thread, and return when it has ended. Its exception, if any, has the thread's stack."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(function).result()


def main():
    if sys.argv[1] == "names":
        print(json.dumps(list(CALLS)))
        return
    warnings.simplefilter("error")
    # CPython 3.12 and later warns of forks beside threads.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # of terminals that are closed
    ticking = spawn(tick_for_ever)
    for name in sys.argv[2:]:
        for where in ("the main greenlet", "a thread") if WITH_GREENLETS else ("the main greenlet",):
            print(f"{name}, in {where}, is being called", file=sys.stderr, flush=True)
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            result.clear()
            (in_thread if where == "a thread" else call)(CALLS[name])
            print(json.dumps({"name": name, "where": where, **result}), flush=True)
    faulthandler.cancel_dump_traceback_later()
    ticking.kill()


if __name__ == "__main__":  # a process that is spawned imports this file
    main()
