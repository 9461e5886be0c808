"""pycares, which closes its channels in a thread of its own. The thread waits in C, so it must be native.

See https://github.com/saghul/pycares.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace

from greenio.threading import LibraryThread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["adapt"]


def adapt(pycares: Any) -> None:
    """Let the thread that closes channels be a native one. `pycares`: the module."""
    if getattr(pycares, "threading", None) is threading:
        pycares.threading = SimpleNamespace(**{**vars(threading), "Thread": LibraryThread})
