"""Adapts packages that wait in ways of their own: when they are imported, or at once if they have been.

Each can be switched off by an argument of patch_all() (``psycopg=False``), or in the environment:
``GREENIO_NO_ADAPTERS=psycopg,kombu``, or ``all``.
"""

from __future__ import annotations

import os
from importlib import import_module

from greenio.monkey.imports import when_imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ADAPTERS", "install"]

#: The name of a switch, which is that of a module of greenio.contrib as well -> the modules to adapt, each with the
#: function of the contrib module that adapts it.
ADAPTERS: dict[str, dict[str, str]] = {
    "debugpy": {
        "_pydev_bundle._pydev_saved_modules": "adapt",
        "_pydevd_bundle.pydevd_constants": "adapt_frames",
        "_pydevd_bundle.pydevd_daemon_thread": "adapt_threads",
        "pydevd_tracing": "adapt_tracing",
    },
    "pycares": {"pycares": "adapt"},
    "psycopg": {"psycopg.waiting": "adapt", "psycopg.connection": "adapt_connection"},
    "psycopg2": {"psycopg2.extensions": "adapt"},
    "zmq": {"zmq": "adapt", "zmq.devices.monitoredqueue": "adapt_monitored_queue"},
    "kombu": {
        "kombu.utils.compat": "adapt",
        "kombu.utils.eventio": "adapt_eventio",
        "celery.backends.asynchronous": "adapt_results",
    },
}

_installed: set[str] = set()


def install(switches: Mapping[str, bool]) -> None:
    """Adapt the packages, except those switched off in `switches` (name to bool) or in the environment."""
    off = {name.strip() for name in os.environ.get("GREENIO_NO_ADAPTERS", "").split(",")}
    for name, functions in ADAPTERS.items():
        if name in _installed or name in off or "all" in off or not switches.get(name, True):
            continue
        _installed.add(name)
        for waited_for, function in functions.items():
            when_imported(waited_for, _caller(f"greenio.contrib.{name}", function))


def _caller(module, function):
    return lambda imported: getattr(import_module(module), function)(imported)
