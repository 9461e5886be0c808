"""Writes gevent_names.json: every public name of the gevent that is installed.

    python -m venv /tmp/gevent && /tmp/gevent/bin/pip install gevent dnspython
    /tmp/gevent/bin/python docs/making/list_gevent_names.py

A module's public names are those in its `__all__`, or else those without an underscore that it defines itself. Of a
class of gevent's they are its attributes and methods without an underscore. Names of submodules are left out: they are
modules of their own. The settings are listed with their environment variables. Where each name is in greenio,
coming_from_gevent.py says.
"""

import importlib
import inspect
import json
import pkgutil
from pathlib import Path

import gevent

NAMES = Path(__file__).with_name("gevent_names.json")
#: Not for programs: gevent's own tests, Windows, and what only its event loops use.
LEFT_OUT = ("gevent.tests", "gevent.testing", "gevent.win32util", "gevent.libev", "gevent.libuv")


def public_modules():
    """The modules that a program may import: (name, module)."""
    yield "gevent", gevent
    for found in pkgutil.walk_packages(gevent.__path__, "gevent."):
        parts = found.name.split(".")
        if found.name.startswith(LEFT_OUT) or any(part.startswith("_") for part in parts):
            continue
        yield found.name, importlib.import_module(found.name)


def names_of(module):
    """The public names of a module, each with its members if it is a class of gevent's (dict of str: list of str)."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = [name for name, value in vars(module).items() if is_its_own(module, value)]
    names = {name for name in names if not name.startswith("_") and not inspect.ismodule(getattr(module, name))}
    return {name: members_of(getattr(module, name)) for name in sorted(names)}


def is_its_own(module, value):
    """Whether a module without `__all__` defines a function or a class itself."""
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def members_of(value):
    """The public attributes and methods of a class of gevent's, those that it inherits from one included; sorted."""
    if not inspect.isclass(value) or not value.__module__.startswith("gevent"):
        return []
    classes = [base for base in value.__mro__ if base.__module__.startswith("gevent")]
    return sorted({name for base in classes for name in vars(base) if not name.startswith("_")})


def main():
    modules = {name: names_of(module) for name, module in public_modules()}
    settings = {name: setting.environment_key for name, setting in gevent.config.settings.items()}
    modules = {name: names for name, names in modules.items() if names}
    found = {"version": gevent.__version__, "modules": modules, "settings": settings}
    NAMES.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    count = sum(map(len, modules.values()))
    print(f"{NAMES.name}: {count} names of {len(modules)} modules of gevent {gevent.__version__}")


if __name__ == "__main__":
    main()
