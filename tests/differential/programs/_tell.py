"""For the programs: tell what a call returns or raises; wait for what another thread is to do."""

import time

#: Their texts name types and arguments. Cooperative classes have other names, and say it in other words.
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
    """Print what function returns, or the type only of what it raises: its message is in other words."""
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
            raise TimeoutError("what was waited for did not come")
        time.sleep(0.001)
