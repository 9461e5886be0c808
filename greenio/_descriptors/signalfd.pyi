from collections.abc import Iterable

__all__ = ["open_signalfd"]

def open_signalfd(signals: Iterable[int]) -> int: ...
