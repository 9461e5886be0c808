"""Helpers of the programs: print the outcome of a call, and wait for a condition that another thread makes true."""

import time

#: The texts of these errors name types and arguments. Those of cooperative classes have other names.
OTHER_WORDS = (TypeError, AttributeError, OverflowError)


def tell(name, function, *arguments, **named):
    """Print what function returns, or the type and message of what it raises."""
    try:
        result = function(*arguments, **named)
    except OTHER_WORDS as error:
        told = type(error).__name__
    except BaseException as error:
        told = f"{type(error).__name__}: {error}"
    else:
        told = repr(result)
    print(f"{name}: {told}", flush=True)


def tell_kind(name, function, *arguments, **named):
    """Print what function returns, or only the type of what it raises, whose message is in other words."""
    try:
        result = function(*arguments, **named)
    except BaseException as error:
        result = type(error).__name__
    print(f"{name}: {result}", flush=True)


def until(condition, limit=20):
    """Wait until condition() is true."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the condition has not become true")
        time.sleep(0.001)
