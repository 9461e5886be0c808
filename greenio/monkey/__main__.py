"""Run a program with the standard library patched: ``python -m greenio.monkey [options] [-m module | script] args``.

--verbose               say what was patched
-m, --module            what follows is a module, not a script
--MODULE                patch this one, and only those that are named so: --socket --dns
--no-MODULE             leave this one as it is: --no-thread
"""

import sys

from greenio import monkey

_MODULES = (
    "asyncio", "builtins", "contextvars", "dns", "fcntl", "multiprocessing", "os", "queue", "select", "signal",
    "socket", "ssl", "subprocess", "sys", "thread", "time",
)  # fmt: skip
_OTHERS = ("Event", "aggressive")


def main():
    """Patch, and run what the command line says."""
    arguments = sys.argv[1:]
    named, left_out = [], []
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
    # Here: what it imports is patched by now.
    import runpy

    if as_module:
        sys.path.insert(0, "")
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        from os.path import dirname

        sys.path.insert(0, dirname(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
