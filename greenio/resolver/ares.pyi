from typing import Any

import pycares

from greenio.resolver.names import NamesResolver

__all__ = ["Resolver"]

class Resolver(NamesResolver): ...

def make_channel(**options: Any) -> pycares.Channel: ...
