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
            # The scenario forked a child that did not end there. It has not the thread for which faulthandler would
            # wait.
            sys.stderr.write(error or f"a child that {name} forked did not end there")
            os._exit(99)
        faulthandler.cancel_dump_traceback_later()
        # At once, and by no patched function: a scenario may leave patched ones in an odd state.
        sys.__stdout__.write(json.dumps({"name": name, "error": error}) + "\n")
        sys.__stdout__.flush()


main()
