"""Finding an application by its name, and noticing that its sources have changed.

What does not belong here: serving it (command.py).
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["CannotLoad", "changed_source", "load", "sources"]


class CannotLoad(Exception):
    """The application cannot be loaded; the text says why. `details`: the traceback of the program's error (str)."""

    def __init__(self, text: str, details: str = "") -> None:
        super().__init__(text)
        self.details = details


def load(specification: str) -> Any:
    """Import "module:name" and return the application, or the result of a call for "module:make()".

    Without a name, the application is `application` or `app` of the module. Raises CannotLoad.
    """
    module_name, _, name = specification.partition(":")
    if not module_name or "/" in module_name:
        raise CannotLoad(f"{specification!r} is not of the form module:application")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            hint = ""
            if module_name.endswith(".py"):
                hint = f": write {module_name.removesuffix('.py')}:{name or 'app'}"
            raise CannotLoad(f"there is no module {error.name!r}{hint}") from None
        raise _failed(f"{module_name!r} cannot be imported", error) from error
    except (Exception, SystemExit) as error:
        raise _failed(f"{module_name!r} cannot be imported", error) from error
    return _application_in(module, module_name, name)


def _application_in(module, module_name, name):
    names = [name.removesuffix("()")] if name else ["application", "app"]
    for each in names:
        found = module
        for part in each.split("."):
            found = getattr(found, part, None)
        if found is None:
            continue
        if name.endswith("()"):
            try:
                found = found()
            except (Exception, SystemExit) as error:
                raise _failed(f"{name} of {module_name!r} has failed", error) from error
        if not callable(found):
            raise CannotLoad(f"{each!r} of {module_name!r} is not an application: it cannot be called")
        return found
    raise CannotLoad(f"the module {module_name!r} has no {' and no '.join(map(repr, names))}")


def _failed(what, error):
    text = f"{what}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")
    details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return CannotLoad(text, details)


def sources() -> dict[str, int]:
    """Return the files of all imported modules, with the time when each was last changed (dict; nanoseconds)."""
    found = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path.endswith(".py"):
            found[path] = _changed_at(path)
    return found


def changed_source(before: dict[str, int]) -> str | None:
    """Return a file that has changed since sources() has returned `before`, or None."""
    return next((path for path, time in before.items() if _changed_at(path) != time), None)


def _changed_at(path):
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1
