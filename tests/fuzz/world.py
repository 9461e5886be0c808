"""The clock, the actors and the faults of a running program, which all its parts share."""

import gc
import os
import threading
import time
import traceback
from contextlib import nullcontext

from hub import get_hub_if_exists
from hub.greenlets import HubGreenlet

from greenio import GreenletExit, Timeout, sleep
from greenio.util import format_run_info, no_switch

#: A greenlet or thread that was woken or killed must go on within so many seconds. The machine may be busy.
LIMIT = float(os.environ.get("FUZZ_LIMIT", "25"))

running = True
#: The beat, in seconds: most timers, in all threads, are due at multiples of it.
tick = 0.005
#: The greenlets that act, of all threads.
actors = []
_faults = []


class Boom(Exception):
    """An exception for kill(), besides GreenletExit."""


class Killed(GreenletExit):
    """A subclass of GreenletExit for kill()."""


def fault(kind, text):
    """Report a fault of the library. `kind` is the same for the same fault, `text` says more about this one."""
    _faults.append(kind)
    if len(_faults) <= 20 and _faults.count(kind) <= 2:
        os.write(1, f"FAULT {kind}: {text}\n".encode())


def failed():
    return bool(_faults)


def describe(error):
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def until_tick():
    """Seconds until the next beat."""
    length = tick  # read once: another thread may change it meanwhile
    return length - time.monotonic() % length


def seconds(value):
    """A time of a plan: None, a number of seconds, or "tick"."""
    return until_tick() if value == "tick" else value


def rest(duration):
    """Sleep as greenlets do, or as a thread without a hub does."""
    if get_hub_if_exists() is None:
        time.sleep(duration)
    else:
        sleep(duration)


def alone():
    """``with alone():`` finalizers and signal handlers do not let other greenlets run.

    For calls of `threading`, which holds locks of the system meanwhile: a greenlet that is let run may start a thread,
    and both wait for each other for ever.
    """
    return no_switch() if get_hub_if_exists() is not None else nullcontext()


def started(function, *args):
    """Start a thread that calls the function, and return it."""
    with alone():
        thread = threading.Thread(target=function, args=args)
        thread.start()
    return thread


def has_ended(thread, timeout=None):
    """Whether a thread has ended, within so many seconds (None: wait for it). No greenlet of this thread runs."""
    with alone():
        thread.join(timeout)
        return not thread.is_alive()


#: Ways to pass the time between two calls, say while a lock is held.
PAUSES = ("nothing", "nothing", "switch", "switch", "switch", "nap", "tick", "compute", "collect")


def pause(how):
    if how == "switch" or (how in ("nap", "tick") and not running):  # at the end no pause is long
        rest(0)
    elif how == "nap":
        rest(0.0003)
    elif how == "tick":
        rest(until_tick())
    elif how == "compute":
        sum(range(3000))
    elif how == "collect":
        gc.collect(0)


def alive():
    """Return all of the library's greenlets that have not ended."""
    return [each for each in gc.get_objects() if isinstance(each, HubGreenlet) and not each.dead]


def everything():
    """Return the stacks of all threads, and of all greenlets that have not ended, as text."""
    lines = [f"threads: {threading.enumerate()}", *format_run_info(greenlet_stacks=False)]
    return "\n".join([*lines, *map(stack_of, alive())])


def stack_of(greenlet):
    frame = greenlet.gr_frame
    lines = ["  no frame\n"] if frame is None else traceback.format_stack(frame)
    return f"{greenlet!r} of {greenlet.parent!r}:\n" + "".join(lines)


def was_killed(greenlet):
    """Whether a greenlet was killed, or has not ended: its hub may have ended, say."""
    return not greenlet.dead or isinstance(greenlet.value, GreenletExit)


def act(steps):
    """Go through the steps again and again until the end, or until killed."""
    while running:
        for step in steps:
            if not running:
                return
            try:
                step()
            except Boom:
                continue  # another actor threw it
            except GreenletExit:
                return
            except Timeout as late:
                fault("late Timeout", f"{late!r} in {step}: {describe(late)}")
            except BaseException as error:
                fault(f"{type(error).__name__} in {step.name}", describe(error))
