"""Patch, and call a function of a file in this folder: ``run.py [options] file function arguments``.

The files know nothing of patching: they use what the libraries and `threading` offer, and `greenio` where they are
about greenlets. ``--import=MODULE`` imports one before patching; ``--no-NAME`` switches an adapter off.
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
# A thread of its own, below Python: it also works when greenlets are kept from running.
faulthandler.dump_traceback_later(80, exit=True)

if __name__ == "__main__":
    from importlib import import_module

    module, function, *rest = arguments
    getattr(import_module(module), function)(*rest)
    # To its end the process is as it is, with no watchdog that would keep a second one from being noticed.
    faulthandler.cancel_dump_traceback_later()
