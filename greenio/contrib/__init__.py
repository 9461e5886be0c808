"""Adapters, which let other packages' calls switch: one module for each package, of its name.

Each has functions that patching calls when the package is imported. They do not switch. `celery` and `gunicorn` are of
another kind: classes that the packages themselves import, by the name that they are told.
"""
