"""Names of parametrized tests."""

import re


def named(value):
    """Its name or its repr() for ``ids=named``, short, and the same in each process: without an address."""
    return getattr(value, "__qualname__", None) or re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:40]
