"""Names of parametrized tests."""

import re


def named(value):
    """Return a short name for a parameter, for ``ids=named``. It has no address: it is the same in each process."""
    return getattr(value, "__qualname__", None) or re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:40]
