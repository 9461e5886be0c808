"""Checking the times that servers and workers are given, such as how long handlers may take to end.

A server uses such a time much later. A wrong one is refused when it is given, and not when the server is stopped.
"""

from __future__ import annotations

from hub.arguments import seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FOR_EVER", "seconds_or_none", "seconds_or_infinity"]

#: Longer times count as endless (seconds; about 31 years). The hub's timers refuse times ten times as long.
FOR_EVER = 1e9


def seconds_or_none(value: Any, name: str, *, past_is_now: bool = False) -> float | None:
    """Return a time in seconds as a float, or None if it is endless: None, infinity, or FOR_EVER and more.

    `name`: what errors call it. `past_is_now`: whether a negative number means 0. Raises ValueError for NaN and for
    a negative number, TypeError if `value` is not a number. Does not switch.
    """
    if value is None:
        return None
    try:
        seconds = seconds_of(value)
    except OverflowError:
        seconds = FOR_EVER if value > 0 else -1.0  # an int that no float can hold
    except TypeError:
        raise TypeError(f"{name} is a number of seconds (int or float), not {value!r}") from None
    except ValueError:
        raise ValueError(f"{name} must be a number, not NaN") from None
    if seconds < 0:
        if past_is_now:
            return 0.0
        raise ValueError(f"{name} must not be negative: {value}")
    return None if seconds >= FOR_EVER else seconds


def seconds_or_infinity(value: Any, name: str) -> float:
    """As seconds_or_none(), with infinity for an endless time: for stop(), to which None means something else."""
    seconds = seconds_or_none(value, name)
    return float("inf") if seconds is None else seconds
