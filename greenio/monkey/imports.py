"""Calls functions when a module has been imported, or at once if it has been already."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["when_imported"]

#: Name of a module -> a list of pairs: a function to call with the module, and whether to call it at every import.
_waiting: dict[str, list[tuple[Callable[[ModuleType], object], bool]]] = {}


def when_imported(name: str, function: Callable[[ModuleType], object], always: bool = False) -> None:
    """Call ``function(module)`` once when a module (its name, str) has been imported; at once if it has been already.

    `always` (bool): whether to call it again when the module is imported anew. The import raises its exceptions.
    """
    module = sys.modules.get(name)
    # A module that is being imported is still empty.
    if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
        function(module)
        if not always:
            return
    if not _waiting:
        sys.meta_path.insert(0, _Finder)
    _waiting.setdefault(name, []).append((function, always))


class _Finder:
    """Finds the modules in `_waiting`, with the other finders, and gives them a loader that calls the functions."""

    @classmethod
    def find_spec(cls, name, path=None, target=None) -> ModuleSpec | None:
        if name not in _waiting:
            return None
        functions = _waiting.pop(name)
        try:
            spec = find_spec(name)
        finally:
            _waiting[name] = functions
        if spec is None or spec.loader is None:
            return None
        _waiting[name] = [entry for entry in functions if entry[1]]
        if not _waiting[name]:
            del _waiting[name]
        if not _waiting:
            sys.meta_path.remove(cls)
        spec.loader = _Loader(spec.loader, [function for function, _always in functions])  # type: ignore[assignment]
        return spec


class _Loader:
    """A module's own loader, followed by calls of functions with the module."""

    def __init__(self, loader, functions):
        self._loader = loader
        self._functions = functions

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        # The module sees its own loader.
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        for function in self._functions:
            function(module)
