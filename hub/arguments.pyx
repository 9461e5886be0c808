"""Checks the numbers that public functions are given: seconds, and counts. An error says at once what to write.

What does not belong here: what a function does with a negative number; that differs.
"""

from cpython.long cimport PyLong_AsDouble
from cpython.number cimport PyNumber_Index
from libc.math cimport isnan

__all__ = ["count_of", "seconds_of"]


cpdef double seconds_of(object value) except? -1:
    """A time in seconds as a float. Raises TypeError for what is no number, ValueError for NaN. Internal."""
    cdef double seconds
    if type(value) is int:
        return PyLong_AsDouble(value)
    if type(value) is float:
        seconds = value
        if seconds == seconds:
            return seconds
    try:
        seconds = value
    except TypeError:
        if value is None:  # where None means for ever, this is not called
            raise TypeError("a time is a number of seconds (int or float), not None") from None
        raise TypeError(f"a time is a number of seconds (int or float, None for no limit), not {value!r}") from None
    if isnan(seconds):
        raise ValueError("a time in seconds must be a number, not NaN")
    return seconds


cpdef long count_of(object value, str name) except? -1:
    """A count as an int; `name` says of what. Raises TypeError for what is no whole number. Internal."""
    try:
        return PyNumber_Index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number (int), not {value!r}") from None
    except OverflowError:
        raise OverflowError(f"{name} is too large: {value!r}") from None
