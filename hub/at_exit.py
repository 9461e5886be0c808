"""The end of the program: our modules stay whole for finalizers that run late.

When the interpreter ends it empties every module that is in `sys.modules` and that somebody still refers to. What is
looked up there then, in a `__del__()` say, is None. An object that is not a module is left alone.

What does not belong here: which calls can still wait. The scheduler says that.
"""

import sys

__all__ = ["KeptModule", "keep_modules", "keep_package"]

packages = []


class KeptModule:
    """Stands for a module in `sys.modules`, and has what that has."""

    def __init__(self, module):
        self.__dict__ = module.__dict__


def keep_package(name):
    """Let the modules of a package stay as they are when the interpreter ends (internal)."""
    packages.append(name)


def keep_modules():
    """To be called when the program ends, before the interpreter begins to clear modules (internal)."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages and isinstance(module, type(sys)):
            sys.modules[name] = KeptModule(module)


keep_package("hub")
