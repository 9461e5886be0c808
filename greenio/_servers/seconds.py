"""How long servers and their workers may take: times that are given once, and used much later.

What is wrong with such a time is told when it is given, and not when a server is stopped with it.
"""

from __future__ import annotations

from hub.arguments import seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FOR_EVER", "seconds_or_none", "without_end"]

#: As many seconds are for ever: about 31 years. The hub's timers refuse times that are ten times as long.
FOR_EVER = 1e9


def seconds_or_none(value: Any, name: str, *, past_is_now: bool = False) -> float | None:
    """A time in seconds as a float; None for one without an end: None, infinity, or more than FOR_EVER.

    `name` says what it is. `past_is_now`: whether what is negative is 0. Raises ValueError for NaN and what is
    negative, TypeError for what is no number.
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


def without_end(value: Any, name: str) -> float:
    """The same, with infinity for a time without an end: for stop(), to which None means something else."""
    seconds = seconds_or_none(value, name)
    return float("inf") if seconds is None else seconds
