"""Adapters, which let other packages' calls switch: one module for each package, of its name.

Each has functions that patching calls when the package is imported. They do not switch. `celery` is of another kind: a
class that the package itself imports, by the name that it is told.
"""
