"""Making greenlets with one call: spawn, spawn_later, spawn_raw; and ending one: kill."""

from contextlib import suppress

from greenlet import GreenletExit
from greenlet import greenlet as AnyGreenlet

from greenio.greenlet cimport Greenlet
from hub.errors import HubDestroyed, InvalidThreadUseError
from hub.greenlets cimport HubGreenlet
from hub.scheduler cimport Scheduler, current_hub, is_current
from hub.threads import hub_of

from greenio._tasks.raw import RawGreenlet, no_function, spawn_raw

__all__ = ["RawGreenlet", "kill", "spawn", "spawn_later", "spawn_raw"]


def spawn(function=..., /, *args, **kwargs):
    """Run ``function(*args, **kwargs)`` in a new Greenlet, soon. Returns the Greenlet. Does not switch.

    The keyword `context` is not passed to the function: it is the context (`contextvars`) in which the Greenlet runs,
    by default a copy of the current one. Without a function, the Greenlet does nothing. Raises TypeError if the
    function cannot be called: write ``spawn(f, x)`` to call ``f(x)`` in the Greenlet, and not ``spawn(f(x))``.
    """
    cdef Greenlet greenlet = Greenlet.__new__(Greenlet)
    if function is None:
        raise no_function(None)
    if function is ...:
        function = None
    if not kwargs:
        greenlet.setup(function, args, None, None)
    elif function is None:
        Greenlet.__init__(greenlet, *args, **kwargs)
    else:
        Greenlet.__init__(greenlet, function, *args, **kwargs)
    greenlet.start()
    return greenlet


def spawn_later(seconds, function, /, *args, **kwargs):
    """Run ``function(*args, **kwargs)`` in a new Greenlet, `seconds` (float) from now. Returns the Greenlet.

    Does not switch. `context` is as in spawn().
    """
    return Greenlet.spawn_later(seconds, function, *args, **kwargs)


def kill(greenlet, exception=GreenletExit):
    """Raise `exception` in a greenlet of any kind, the main one and bare ones included. Does not wait or switch.

    Does nothing if it is dead, or its hub is destroyed. May be called from any thread. Raises InvalidThreadUseError
    for a greenlet of another thread that has no hub, TypeError if `greenlet` is not one.
    """
    cdef Scheduler hub
    check_greenlet(greenlet, "kill()")
    if isinstance(greenlet, Greenlet):
        greenlet.kill(exception, block=False)
    elif not greenlet.dead:
        hub = hub_of(greenlet)
        if hub is None:
            hub = current_hub()
            if hub_of(greenlet) is not hub:
                raise InvalidThreadUseError(f"{greenlet!r} belongs to another thread, which has no hub to wake it")
        if is_current(hub):
            kill_bare(greenlet, exception)
        else:
            with suppress(HubDestroyed):  # the greenlet has ended with its hub
                hub.run_callback_threadsafe(kill_bare, greenlet, exception)


def check_greenlet(value, what):
    """Raise TypeError if `value` is not a greenlet of any kind. `what`: the function that takes it (internal)."""
    if not isinstance(value, AnyGreenlet):
        raise TypeError(f"{what} is for greenlets, not for {value!r}")


def kill_bare(greenlet, exception):
    """Kill a greenlet that is not a Greenlet, in its own thread (internal)."""
    if isinstance(greenlet, HubGreenlet) and (<HubGreenlet> greenlet).unschedule_start():
        # It has not begun, and never will.
        (<HubGreenlet> greenlet).scheduler.run_callback(end_unstarted, greenlet, exception)
    else:
        current_hub().throw_soon(greenlet, exception)


def end_unstarted(greenlet, exception):
    """Mark a bare greenlet that never ran as dead (internal)."""
    try:
        greenlet.throw(exception)
    except BaseException as error:
        if error is not exception and type(error) is not exception:
            raise
