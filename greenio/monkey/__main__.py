"""Run a program with the standard library patched: ``python -m greenio.monkey [options] [-m module | script] args``.

--verbose               list what was patched
-m, --module            run a module, not a script
--MODULE                patch this module, and only those that are named in this way: --socket --dns
--no-MODULE             leave this module as it is: --no-thread
"""

from __future__ import annotations

import sys

from greenio import monkey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MODULES = (
    "asyncio", "builtins", "contextvars", "dns", "fcntl", "multiprocessing", "os", "queue", "select", "signal",
    "socket", "ssl", "subprocess", "sys", "thread", "time",
)  # fmt: skip
_OTHERS = ("Event", "aggressive")


def main() -> None:
    """Patch, and run the program that the command line names."""
    arguments = sys.argv[1:]
    named: list[str] = []
    left_out: list[str] = []
    verbose = as_module = False
    while arguments and arguments[0].startswith("-"):
        option = arguments.pop(0)
        name = option.removeprefix("--").removeprefix("no-")
        if option in ("-h", "--help"):
            print(__doc__)
            return
        if option == "--verbose":
            verbose = True
        elif option in ("-m", "--module"):
            as_module = True
            break
        elif option.startswith("--") and name in _MODULES + _OTHERS:
            (left_out if option.startswith("--no-") else named).append(name)
        else:
            sys.exit(f"greenio.monkey: there is no option {option!r}; see python -m greenio.monkey --help")
    if not arguments:
        sys.exit("greenio.monkey: say what to run: a script, or -m and a module")
    chosen = dict.fromkeys(_MODULES, False) if named else {}
    chosen.update(dict.fromkeys(named, True))
    chosen.update(dict.fromkeys(left_out, False))
    monkey.patch_all(**chosen)
    if verbose:
        for module, items in sorted(monkey.saved.items()):
            print(f"greenio.monkey: {module}: {', '.join(sorted(items))}", file=sys.stderr)
    sys.argv[:] = arguments
    # Imports stand here and below, after patching: so the modules find the patched names.
    import os

    if as_module:
        _search_first(os.getcwd())
        _run_module(arguments[0])
    else:
        _run_script(arguments[0])


def _run_script(path):
    """Run a file, or a folder or archive that has a __main__.py."""
    from importlib.machinery import SourceFileLoader
    from io import open_code
    from os.path import abspath, dirname, realpath
    from pkgutil import get_importer

    if get_importer(path) is not None:
        _search_first(abspath(path))
        _run_module("__main__", set_argument=False)
        return
    _search_first(dirname(realpath(path)))
    path = abspath(path)
    try:
        with open_code(path) as file:
            source = file.read()
    except OSError as error:
        sys.exit(f"greenio.monkey: cannot read {path}: {error.strerror}")
    code = compile(source, path, "exec", dont_inherit=True)
    _run(code, __file__=path, __cached__=None, __loader__=SourceFileLoader("__main__", path))


def _run_module(name, set_argument=True):
    """Run a module, or the __main__ of a package."""
    from importlib.util import find_spec

    # This name still belongs to the module that runs now.
    del sys.modules["__main__"]
    spec: Any = find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = find_spec(f"{name}.__main__")
    code = spec and spec.loader and spec.loader.get_code(spec.name)
    if code is None:
        sys.exit(f"greenio.monkey: there is no module {name!r} that can be run")
    if set_argument:
        sys.argv[0] = spec.origin
    attributes = {"__file__": spec.origin, "__cached__": spec.cached, "__loader__": spec.loader}
    _run(code, __spec__=spec, __package__=spec.parent, **attributes)


def _search_first(folder):
    """Let imports look into a folder instead of the one where `python -m` was called."""
    if getattr(sys.flags, "safe_path", False):
        return
    sys.path[0] = folder


def _run(code, **attributes):
    """Run code as __main__. It stays __main__ when it has ended, for its threads and for functions of atexit."""
    import builtins
    from types import ModuleType

    module = sys.modules["__main__"] = ModuleType("__main__")
    vars(module).update(__builtins__=builtins, __annotations__={}, **attributes)
    exec(code, vars(module))


if __name__ == "__main__":
    main()
