"""Which interpreter of the process is this, and how does it import? Only the main one can have hubs."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["import_at_once", "require_main"]


def is_main() -> bool:
    """Whether this is the main interpreter, as far as can be known (bool)."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # since CPython 3.13, and before
        try:
            interpreters = __import__(name)
        except ImportError:
            continue
        return interpreters.get_current() == interpreters.get_main()
    return True


def require_main() -> None:
    """Raise ImportError in a subinterpreter. To be called before anything that is compiled is imported."""
    if not is_main():
        raise ImportError("greenio cannot be used in a subinterpreter: greenlet and the hub serve the main one only")


def import_at_once() -> None:
    """Let our modules import what they need at once, even where CPython 3.15 imports everything lazily.

    Patching replaces functions that the import system itself calls: what these need has to be there by then.
    """
    imports: Any = sys
    if not hasattr(imports, "get_lazy_imports") or imports.get_lazy_imports() != "all":
        return
    others = imports.get_lazy_imports_filter()

    def may_be_lazy(importing: str, imported: str, names: Sequence[str] | None) -> bool:
        if importing.partition(".")[0] in ("hub", "greenio"):
            return False
        return others is None or others(importing, imported, names)

    imports.set_lazy_imports_filter(may_be_lazy)
