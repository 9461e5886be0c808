"""Run scenarios of a file, by name: prints a line of JSON for each. See tests/helpers/scenarios.py."""

import faulthandler
import json
import os
import runpy
import sys
import traceback


def main():
    file, limit, *names = sys.argv[1:]
    functions = runpy.run_path(file)
    for name in names:
        error, process = None, os.getpid()
        faulthandler.dump_traceback_later(int(limit), exit=True)
        try:
            functions[name]()
        except BaseException:
            error = traceback.format_exc()
        if os.getpid() != process:
            # A child that a scenario forked, and that came out of it. It has not the thread that faulthandler would
            # wait for.
            sys.stderr.write(error or f"a child of {name} came out of it")
            os._exit(99)
        faulthandler.cancel_dump_traceback_later()
        # At once, and by nothing that was patched: what a scenario leaves behind may be odd.
        sys.__stdout__.write(json.dumps({"name": name, "error": error}) + "\n")
        sys.__stdout__.flush()


main()
