"""pycares, which closes its channels in a thread of its own: that waits in C for what is under way, and must be native.

See https://github.com/saghul/pycares.
"""

import threading
from types import SimpleNamespace

from greenio.threading import LibraryThread

__all__ = ["adapt"]


def adapt(pycares):
    """Let the thread that closes channels be a native one. `pycares`: the module."""
    if getattr(pycares, "threading", None) is threading:
        pycares.threading = SimpleNamespace(**{**vars(threading), "Thread": LibraryThread})
