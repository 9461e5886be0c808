"""The characters of names and values in HTTP, for all modules that read or write them (RFC 9110, 5.5 and 5.6.2).

What does not belong here: the values of particular fields.
"""

from __future__ import annotations

import re

__all__ = ["CONTROL", "TOKEN"]

#: The name of a field, a method, a coding or a subprotocol.
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: A control character, which no value may contain.
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
