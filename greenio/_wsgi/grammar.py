"""What names and values are made of in HTTP, for all who read or write them (RFC 9110, 5.5 and 5.6.2).

What does not belong here: what single fields say.
"""

from __future__ import annotations

import re

__all__ = ["CONTROL", "TOKEN"]

#: A name: of a field, a method, a coding, a subprotocol.
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: What no value may have in it.
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
