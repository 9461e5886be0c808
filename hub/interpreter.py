"""Requirements on the interpreter: it is the main one, and imports the library's modules at once, not lazily."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["import_at_once", "require_main"]


def is_main() -> bool:
    """Whether this is the main interpreter (bool). True if the interpreter cannot say."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # since CPython 3.13, and before
        try:
            interpreters = __import__(name)
        except ImportError:
            continue
        return interpreters.get_current() == interpreters.get_main()
    return True


def require_main() -> None:
    """Raise ImportError in a subinterpreter. Called before any compiled module is imported."""
    if not is_main():
        raise ImportError("greenio cannot be used in a subinterpreter: greenlet and the hub serve the main one only")


def import_at_once() -> None:
    """Let the library's modules import others at once, even if CPython 3.15 is set to import everything lazily.

    Patching replaces functions that the import system itself calls. If a replacement still had to import a module, the
    import would call the replacement again.
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
