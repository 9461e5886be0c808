"""Other packages that wait in ways of their own: they are adapted when they are imported, or at once.

Each can be switched off by an argument of patch_all() (``psycopg=False``), or in the environment:
``GREENIO_NO_ADAPTERS=psycopg,kombu``, or ``all``.
"""

import os
from importlib import import_module

from greenio.monkey.imports import when_imported

__all__ = ["ADAPTERS", "install"]

#: The name of the switch -> the module that is waited for, and the function that is called with it.
ADAPTERS = {
    "psycopg": ("psycopg.waiting", "greenio.contrib.psycopg", "adapt"),
    "psycopg2": ("psycopg2.extensions", "greenio.contrib.psycopg2", "adapt"),
    "kombu": ("kombu.utils.compat", "greenio.contrib.kombu", "adapt"),
}

_installed: set = set()


def install(switches):
    """Adapt the packages that are not switched off in a dict of name to bool, or in the environment."""
    off = {name.strip() for name in os.environ.get("GREENIO_NO_ADAPTERS", "").split(",")}
    for name, (waited_for, module, function) in ADAPTERS.items():
        if name in _installed or name in off or "all" in off or not switches.get(name, True):
            continue
        _installed.add(name)
        when_imported(waited_for, _caller(module, function))


def _caller(module, function):
    return lambda imported: getattr(import_module(module), function)(imported)
