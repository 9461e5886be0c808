"""Which interpreter of the process is this? Only the main one can have hubs."""

from __future__ import annotations

__all__ = ["require_main"]


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
