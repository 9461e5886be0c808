from collections.abc import Mapping

__all__ = ["ADAPTERS", "install"]

ADAPTERS: dict[str, dict[str, str]]

def install(switches: Mapping[str, bool]) -> None: ...
