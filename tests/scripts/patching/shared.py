"""Helpers of several files of scenarios. They may be imported before patching or after it."""

import contextlib
import threading
import warnings

from greenio import monkey


@contextlib.contextmanager
def raises(kind, text=""):
    """``with raises(kind, text)``: the block must raise this exception, with this text in its message."""
    try:
        yield
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"no {kind.__name__}")


def run_in_threads(*functions):
    """Run each function in a thread of its own, and wait for all. Returns the threads (list of threading.Thread)."""
    threads = [threading.Thread(target=each) for each in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return threads


def warnings_of(function, *args, **kwargs):
    """Call a function. Returns its result, and the texts of the MonkeyPatchWarnings that it gave (list of str)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(*args, **kwargs)
    return result, [str(each.message) for each in caught if each.category is monkey.MonkeyPatchWarning]
