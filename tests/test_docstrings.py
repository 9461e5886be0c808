"""Docstrings of public callables: each has one, and the docstrings say of each callable whether it switches.

The callable's own docstring says it, or that of its class, its module or its package says it for all of them.
"""

import importlib
import inspect
import re

import pytest
from layers import FOR_OTHER_PACKAGES, GREENIO

MODULES = [
    f"greenio.{name}".rstrip(".")
    for _, names in GREENIO
    for name in names
    if not name.startswith(("_", "resolver.", "monkey."))
    and "__main__" not in name
    and "._" not in name
    and f"greenio.{name}" not in FOR_OTHER_PACKAGES
]


def is_ours(thing):
    return (getattr(thing, "__module__", None) or "").partition(".")[0] in ("greenio", "hub")


def text_of(thing):
    """Return the docstring (str) without the signature that Cython writes above it."""
    return re.sub(r"^[\w.]+\([^\n]*\)( -> [^\n]*)?(\n|$)", "", inspect.getdoc(thing) or "").strip()


def public_callables(module):
    """Yield the library's functions and classes that a module offers, and the methods of these classes.

    As (name, docstring, the text that says for all of them whether they switch).
    """
    package = module.__name__.rpartition(".")[0]
    heading = module.__doc__ + ("" if package in ("", "greenio") else importlib.import_module(package).__doc__)
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        if not callable(thing) or not is_ours(thing) or (isinstance(thing, type) and issubclass(thing, BaseException)):
            continue
        kinds = [kind for kind in thing.__mro__ if is_ours(kind)] if isinstance(thing, type) else []
        of_all = "\n".join([heading, *map(text_of, kinds)])
        yield name, text_of(thing), of_all
        for method in {each for kind in kinds for each in vars(kind) if not each.startswith("_")}:
            found = [vars(kind)[method] for kind in kinds if method in vars(kind)]
            found = [each.__func__ if isinstance(each, (staticmethod, classmethod)) else each for each in found]
            if all(map(callable, found)) and not isinstance(found[0], type):
                text = next(filter(None, map(text_of, found)), "")
                yield f"{name}.{method}", text, of_all


@pytest.mark.parametrize("module", MODULES)
def test_each_public_callable_says_what_it_does_and_whether_it_switches(module):
    wrong = []
    for name, text, of_all in public_callables(importlib.import_module(module)):
        if not text:
            wrong.append(f"{name} has no docstring")
        elif "(internal)" not in text and not re.search(r"[Ss]witch", text + of_all):
            wrong.append(f"{name} does not say whether it switches")
    assert not wrong, "\n".join(sorted(wrong))
