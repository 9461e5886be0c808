"""Waiting for several objects at once: wait, iwait, joinall; and killing several: killall.

What does not belong here: taking from one of several objects, and nothing from the others (_tasks.choosing).
"""

from collections import deque
from contextlib import suppress

from cpython.object cimport PyObject

from greenlet import GreenletExit
from hub.arguments cimport count_of
from hub.errors import HubDestroyed, InvalidThreadUseError

from greenio._tasks.link_list cimport DirectLink
from greenio.greenlet cimport STATE_FINISHED, Greenlet
from greenio._tasks.spawning import check_greenlet, kill
from greenio.timeout import Timeout
from hub.scheduler cimport Scheduler, current_hub, is_current
from hub.waits cimport Wait

__all__ = ["iwait", "joinall", "killall", "wait"]


cdef inline object key_of(object source):
    """A key for a dict, which differs even for objects that are equal. A Greenlet equals nothing but itself."""
    return source if type(source) is Greenlet else <Py_ssize_t> <PyObject *> source


cdef class Gathering(DirectLink):
    """Waits for several objects and hands them out as they finish: what iwait() returns.

    It is itself the link to each object that it waits for. It takes the links back at its end, and at the end of its
    ``with`` statement. Without that statement, an iterator that is dropped before its end stays linked to the rest.
    """
    cdef Scheduler hub
    cdef object wait               # the Wait of the greenlet that waits for more, or None
    cdef dict pending              # the unfinished objects, by key_of(), as some may be equal
    cdef object finished           # a deque of the finished objects that were not handed out yet
    cdef long needed               # the length of `finished` at which the greenlet is woken
    cdef long left                 # how many may still be handed out
    cdef object timeout            # the Timeout that bounds the whole, or None
    cdef bint has_timed_out

    def __init__(self, objects, timeout=None, count=None):
        self.hub = current_hub()
        objects = list(objects)
        self.pending = {}
        self.finished = deque()
        if timeout is not None:
            self.timeout = Timeout.start_new(timeout)
        try:
            self.link_all(objects)
            self.left = len(self.pending) + len(self.finished)
            if count is not None:
                self.left = min(count_of(count, "count"), self.left)
        except BaseException:
            self.close()
            raise

    cdef int link_all(self, list objects) except -1:
        cdef Greenlet greenlet
        cdef set seen = set()
        for source in objects:
            key = key_of(source)
            if key in seen:
                continue
            seen.add(key)
            if not isinstance(source, Greenlet) and not hasattr(source, "rawlink"):
                raise TypeError(f"a greenlet, an event or a result can be waited for, and {source!r} cannot")
            self.pending[key] = source
            if isinstance(source, Greenlet) and (<Greenlet> source).scheduler is self.hub:
                greenlet = <Greenlet> source
                if greenlet.state == STATE_FINISHED:
                    self.notice(greenlet)
                else:
                    greenlet.add_link(self)
            else:
                source.rawlink(self)
        return 0

    cdef int notice(self, object source) except -1:
        if self.pending.pop(key_of(source), None) is not None:
            self.finished.append(source)
            if self.wait is not None and len(self.finished) >= self.needed:
                (<Wait> self.wait).wake_with(None)
        return 0

    def __call__(self, source):
        """Notice, as a link of an object that is not a greenlet of this thread."""
        if is_current(self.hub):
            self.notice(source)
        else:
            with suppress(HubDestroyed):  # the greenlet that waits has ended with its hub
                self.hub.run_callback_threadsafe(self, source)

    cdef int wait_until(self, long needed) except -1:
        """Wait until `needed` objects are in `finished`. Returns 0 if the timeout passes first."""
        cdef Wait wait
        if len(self.finished) >= needed:
            return 1
        if self.has_timed_out:
            return 0
        self.needed = needed
        wait = self.hub.new_wait(self)
        self.wait = wait
        try:
            self.hub.deliver(wait, self.hub.park(wait))
        except Timeout as error:
            if error is not self.timeout:
                raise
            self.has_timed_out = True
            return 0
        finally:
            self.wait = None
        return 1

    def __iter__(self):
        return self

    def __next__(self):
        if self.left <= 0 or not (self.finished or self.wait_until(1)):
            self.close()
            raise StopIteration
        self.left -= 1
        return self.finished.popleft()

    next = __next__

    def gather(self):
        """Wait for all of them, and return them in the order in which they finished (list)."""
        try:
            if self.left > 0:
                self.wait_until(self.left)
            done = []
            while self.finished and self.left > 0:
                self.left -= 1
                done.append(self.finished.popleft())
            return done
        finally:
            self.close()

    def close(self):
        """Take the links back and stop the timeout."""
        self.left = 0
        if self.timeout is not None:
            self.timeout.cancel()
        # From here on notice() finds nothing. unlink() may run Python code, in which objects may finish.
        pending, self.pending = self.pending, {}
        for source in pending.values():
            unlink = getattr(source, "unlink", None)
            if unlink is not None:
                unlink(self)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        return f"<{type(self).__name__} of {len(self.pending)} unfinished objects>"


def iwait(objects=None, timeout=None, count=None):
    """Iterate over `objects` as they become ready, at most `count` of them, for at most `timeout` seconds in all.

    An object is anything with ``rawlink`` and ``unlink``: greenlets, events, results. Each is yielded once.
    Without objects, there is one item: the result of ``hub.join(timeout)``. Switches.
    The iterator may be used in a ``with`` statement, which unlinks it from the objects that are not ready at its end.
    Raises TypeError for an object that cannot be waited for.
    """
    if objects is None:
        return iter([current_hub().join(timeout)])
    return Gathering(objects, timeout, count)


def wait(objects=None, timeout=None, count=None):
    """Wait until `objects` are ready, or `count` of them, or `timeout` seconds have passed. Switches.

    Returns the list of those that became ready, in that order. Without objects, waits until nothing is left to
    do (``hub.join(timeout)``) and returns whether that was reached. Raises TypeError for an object that cannot be
    waited for.
    """
    if objects is None:
        return current_hub().join(timeout)
    return Gathering(objects, timeout, count).gather()


def joinall(greenlets, timeout=None, raise_error=False, count=None):
    """Wait until the greenlets have finished, or `count` of them, or `timeout` seconds have passed. Switches.

    Returns the list of those that have finished, in that order. `raise_error`: whether the first error of a greenlet is
    raised, at once; the others go on. Raises TypeError for an object that cannot be waited for.
    """
    if not raise_error:
        return wait(greenlets, timeout=timeout, count=count)
    done = []
    with Gathering(greenlets, timeout, count) as finished:
        for greenlet in finished:
            if getattr(greenlet, "exception", None) is not None:
                if hasattr(greenlet, "get"):
                    greenlet.get(block=False)
                raise greenlet.exception
            done.append(greenlet)
    return done


def killall(greenlets, exception=GreenletExit, block=True, timeout=None):
    """Raise `exception` in all of the greenlets, which may be bare ones; wait for their ends if `block`. Switches.

    `timeout` in seconds; when it passes first, Timeout is raised. Those that have not begun never will.
    Raises InvalidThreadUseError if one of them belongs to another thread, TypeError if one is not a greenlet.
    """
    cdef Scheduler hub = current_hub()
    greenlets = list(greenlets)
    for greenlet in greenlets:
        check_greenlet(greenlet, "killall()")
        if isinstance(greenlet, Greenlet) and (<Greenlet> greenlet).scheduler is not hub:
            raise InvalidThreadUseError(f"{greenlet!r} belongs to another thread; kill it with its own kill()")
    for greenlet in greenlets:
        kill(greenlet, exception)
    if not block:
        return
    timer = Timeout.start_new(timeout)
    try:
        # Bare greenlets cannot be joined. When this sleep is over, the exception has been raised in them.
        hub.sleep_for(0, True, "killall()")
        for greenlet in greenlets:
            if isinstance(greenlet, Greenlet):
                greenlet.join()
    finally:
        timer.cancel()
