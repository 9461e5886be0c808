"""Adapters, which let the calls of other packages switch. Each module has the name of its package.

Patching calls the functions of a module when the package is imported. They do not switch. `celery` and `gunicorn` are
of another kind: they have classes that the packages import by a name in their settings.
"""
