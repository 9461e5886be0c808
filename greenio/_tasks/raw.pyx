"""The lightest kind of greenlet: it runs a function, and knows nothing else."""

from greenlet import GreenletExit

from hub.greenlets cimport HubGreenlet
from hub.scheduler cimport Scheduler, current_hub
from hub.thrown cimport without_frames

__all__ = ["RawGreenlet", "spawn_raw"]


cdef class RawGreenlet(HubGreenlet):
    """A greenlet without links, result or join: spawn_raw() makes it. Its error goes to ``hub.handle_error``."""
    cdef object function   # what it runs; dropped when it has begun
    cdef tuple args
    cdef dict kwargs

    def run(self):
        """The greenlet's main function. Not for users."""
        function, args, kwargs = self.function, self.args, self.kwargs
        self.begin()
        self.function = self.args = self.kwargs = None
        try:
            return function(*args, **kwargs) if kwargs else function(*args)
        except GreenletExit as exit:
            without_frames(exit)
            return exit
        except BaseException as error:
            self.scheduler.report(self, error)
        finally:
            function = args = kwargs = None
            self.finished()

    @property
    def loop(self):
        """The event loop of its hub."""
        return self.scheduler.loop


def no_function(value):
    """The TypeError for a value that was given in place of a function: often the function's result (internal)."""
    return TypeError(
        f"the function a greenlet is to run must be callable, not {value!r}: spawn(f, x) has it call f(x), spawn(f(x)) "
        "calls f(x) first"
    )


def spawn_raw(function, /, *args, **kwargs):
    """Run ``function(*args, **kwargs)`` in a new bare greenlet, soon. Returns the greenlet. Does not switch.

    A bare greenlet is cheaper than a Greenlet. It cannot be joined, linked or asked for a result. It starts with an
    empty context (`contextvars`). Raises TypeError if the function cannot be called.
    """
    cdef RawGreenlet raw
    cdef Scheduler hub = current_hub()
    if not callable(function):
        raise no_function(function)
    raw = RawGreenlet()
    raw.function = function
    raw.args = args
    raw.kwargs = kwargs
    raw.attach(hub)
    raw.schedule_start()
    return raw
