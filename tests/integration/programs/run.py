"""Patch, and call a function of a file in this folder: ``run.py [options] file function arguments``.

The files know nothing of patching: they use the libraries, `threading`, and `greenio` where they need greenlets.
``--import=MODULE`` imports a module before patching; ``--no-NAME`` switches an adapter off.
"""

import faulthandler
import sys

arguments = sys.argv[1:]
switches = {}
while arguments[0].startswith("--"):
    option = arguments.pop(0)
    if option.startswith("--import="):
        __import__(option.removeprefix("--import="))
    else:
        switches[option.removeprefix("--no-")] = False

from greenio import monkey  # noqa: E402

monkey.patch_all(**switches)
# faulthandler has a native thread below Python, which also works when no greenlet can run.
faulthandler.dump_traceback_later(80, exit=True)

if __name__ == "__main__":
    from importlib import import_module

    module, function, *rest = arguments
    getattr(import_module(module), function)(*rest)
    # The process ends without this watchdog.
    faulthandler.cancel_dump_traceback_later()
