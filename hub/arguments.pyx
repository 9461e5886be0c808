"""Checks numbers that are arguments of public functions: seconds, and counts. The errors say what to write instead.

What does not belong here: what a function does with a negative number. Functions differ in that.
"""

from cpython.long cimport PyLong_AsDouble
from cpython.number cimport PyNumber_Index
from libc.math cimport isnan

__all__ = ["count_of", "seconds_of"]


cpdef double seconds_of(object value) except? -1:
    """A time in seconds as a float (internal). Raises TypeError if it is not a number, ValueError if it is NaN."""
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
        if value is None:  # functions to which None means for ever do not pass it on
            raise TypeError("a time is a number of seconds (int or float), not None") from None
        raise TypeError(f"a time is a number of seconds (int or float, None for no limit), not {value!r}") from None
    if isnan(seconds):
        raise ValueError("a time in seconds must be a number, not NaN")
    return seconds


cpdef long count_of(object value, str name) except? -1:
    """A count as an int (internal). `name`: the argument, for the error's text.

    Raises TypeError if it is not a whole number, OverflowError if it is too large.
    """
    try:
        return PyNumber_Index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number (int), not {value!r}") from None
    except OverflowError:
        raise OverflowError(f"{name} is too large: {value!r}") from None
