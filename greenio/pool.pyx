"""Groups of greenlets, and pools, which are groups of limited size.

Everything here may be used from any thread. A greenlet of another thread's hub may be added.
"""

from greenlet import getcurrent
from hub.arguments cimport count_of
from hub.errors import HubDestroyed
from hub.scheduler import sleep

from greenio.event cimport Event
from greenio._tasks.link_list cimport DirectLink
from greenio.greenlet cimport STATE_FINISHED, Greenlet
from greenio.greenlet import GreenletExit
from greenio._tasks.imap import Mapping
from greenio._tasks.raw import no_function
from greenio.queue import Full
from greenio._sync.semaphore cimport Semaphore
from greenio._tasks.spawning import check_greenlet
from greenio.timeout import Timeout
from greenio._tasks.waiting import joinall

__all__ = ["Group", "Pool", "PoolFull"]


class PoolFull(Full):
    """Raised if a pool has no room for another greenlet and the call may not wait, or has waited for its timeout."""


cdef class Members(DirectLink):
    """A set of greenlets, and the link by which a greenlet that finishes leaves the set (internal base class)."""
    cdef readonly set greenlets
    cdef readonly set dying      # members that were killed
    cdef Event empty
    cdef Semaphore places        # counts the free places; or None
    cdef long size_limit         # the number of places
    cdef long stuck              # the number of members that wait for a place
    cdef bint plain              # neither add(), start() nor spawn() is overridden

    cdef int begin(self, bint plain, object size) except -1:
        self.greenlets = set()
        self.dying = set()
        self.empty = Event()
        self.empty.flag = True
        if size is not None:
            self.places = Semaphore(size)
            self.size_limit = size
        self.plain = plain
        return 0

    cdef bint take_place(self, object blocking, object timeout) except -1:
        """Take a place for another member. Raises RuntimeError if every member would then wait for a place."""
        cdef bint is_member
        if self.places.count > 0 or not blocking or timeout is not None:
            return self.places.take(blocking, timeout)
        is_member = getcurrent() in self.greenlets
        if is_member and self.size_limit <= len(self.greenlets) <= self.stuck + 1:
            raise RuntimeError(
                f"{self!r} is full, and this is the last of its members to wait for a place in it: none would ever "
                "end. Use a larger pool, another pool for greenlets of members, or start(greenlet, timeout=...)"
            )
        self.stuck += is_member
        try:
            return self.places.take(True, None)
        finally:
            self.stuck -= is_member

    cdef int check_member(self, object greenlet) except -1:
        """Raise TypeError for an object that is not a greenlet and has no `rawlink` as greenlets have."""
        if not isinstance(greenlet, Greenlet) and not hasattr(greenlet, "rawlink"):
            check_greenlet(greenlet, "add()")
        return 0

    cdef int join_members(self, object greenlet) except -1:
        """Let a greenlet be a member until it finishes."""
        self.empty.flag = False
        self.greenlets.add(greenlet)
        if isinstance(greenlet, Greenlet):
            (<Greenlet> greenlet).add_link(self)
        elif hasattr(greenlet, "rawlink"):
            greenlet.rawlink(self)
        # A bare greenlet has no links: the program that added it has to discard() it.
        return 0

    cdef int notice(self, object source) except -1:
        if source in self.greenlets:
            self.greenlets.discard(source)
            if self.dying:
                self.dying.discard(source)
            if self.places is not None:
                self.places.give()
            if not self.greenlets:
                self.empty.raise_flag()
        return 0

    def __call__(self, source):
        """Let a member leave: the link of members that are not a Greenlet."""
        self.notice(source)

    cdef object spawn_plain(self, tuple args):
        """spawn() of a Greenlet, if nothing is overridden."""
        cdef Greenlet greenlet = Greenlet.__new__(Greenlet)
        if args[0] is None:
            raise no_function(None)
        greenlet.setup(args[0], args[1:], None, None)
        if self.places is not None:
            self.take_place(True, None)
        self.join_members(greenlet)
        greenlet.start()
        return greenlet

    def spawn(self, *args, **kwargs):
        """Make a greenlet with these arguments, add it, start it, and return it. Waits for a place in a full pool.

        Switches if it waits. Raises RuntimeError if all members of a pool would then wait for a place in it.
        """
        if self.plain and args and not kwargs and self.greenlet_class is Greenlet:
            return self.spawn_plain(args)
        if self.greenlet_class is Greenlet and args and args[0] is None:
            raise no_function(None)
        greenlet = self.greenlet_class(*args, **kwargs)
        self.start(greenlet)
        return greenlet

    def map(self, func, iterable):
        """Call ``func(item)`` for each item, each in a greenlet. Returns the list of results, in order. Switches.

        If calls fail, the error of the first in order is raised; the others go on.
        """
        cdef list results
        cdef Greenlet greenlet
        cdef Py_ssize_t done = 0
        if not self.plain or self.greenlet_class is not Greenlet:
            return Mapping.map(self, func, iterable)
        results = []
        for item in iterable:
            results.append(self.spawn_plain((func, item)))
            # Results take the place of greenlets that have finished, so that their memory is free.
            while done < len(results):
                greenlet = <Greenlet> results[done]
                if greenlet.state != STATE_FINISHED or greenlet.error is not None:
                    break
                results[done] = greenlet.value
                done += 1
        for done in range(done, len(results)):
            results[done] = results[done].get()
        return results


class Group(Members, Mapping):
    """A set of greenlets. A greenlet leaves it by itself when it finishes.

    ``Group(*greenlets)`` begins with these. Iteration goes over a copy. Methods that wait say that they switch; the
    others do not switch.
    """

    #: The class of the greenlets that spawn() makes.
    greenlet_class = Greenlet

    def __init__(self, *greenlets):
        begin(self, None)
        for greenlet in greenlets:
            self.add(greenlet)

    def __len__(self):
        return len(self.greenlets)

    def __contains__(self, greenlet):
        return greenlet in self.greenlets

    def __iter__(self):
        return iter(list(self.greenlets))

    def __repr__(self):
        waiting = (<Members> self).empty.waiters.length
        return f"<{type(self).__name__} at {id(self):#x} {len(self)} greenlets, {waiting} waiting to join>"

    # --- members ---

    def add(self, greenlet):
        """Let a greenlet belong to the group until it finishes. Does not switch. Raises TypeError for other objects."""
        (<Members> self).check_member(greenlet)
        if greenlet not in self.greenlets:
            (<Members> self).join_members(greenlet)

    def discard(self, greenlet):
        """Remove a greenlet from the group, if it is a member. It goes on. Does not switch."""
        unlink = getattr(greenlet, "unlink", None)
        if unlink is not None:
            unlink(self)
        (<Members> self).notice(greenlet)

    def start(self, greenlet):
        """Add a greenlet that has not been started, and start it. Does not switch."""
        self.add(greenlet)
        greenlet.start()

    # --- joining and killing ---

    def join(self, timeout=None, raise_error=False):
        """Wait until the group is empty, at most `timeout` seconds (float; None for ever). Switches.

        Returns True if it was empty at least once meanwhile, else False. `raise_error`: raise then the error of a
        greenlet that was a member at the call and has failed.
        """
        members = list(self.greenlets) if raise_error else ()
        empty = (<Members> self).empty.wait_until_ready(timeout)
        for greenlet in members:
            if greenlet.ready():
                if hasattr(greenlet, "get"):
                    greenlet.get()
                elif getattr(greenlet, "exception", None) is not None:
                    raise greenlet.exception
        return empty

    def kill(self, exception=GreenletExit, block=True, timeout=None):
        """Raise `exception` in all members, and wait until the group is empty. Switches. Returns None.

        Greenlets that are added meanwhile get it too. `timeout` in seconds (float; None for ever): how long it waits.
        ``block=False``: it does not wait, and does not switch.
        """
        timer = Timeout.start_new(timeout)
        try:
            while self.greenlets:
                for greenlet in list(self.greenlets):
                    if greenlet not in self.dying:
                        self.dying.add(greenlet)
                        self._kill_one(greenlet, exception)
                if not block:
                    break
                joinall(list(self.greenlets))
                if self.greenlets:
                    sleep(0)  # a member is calling its links, and a finalizer waits in the middle of that
        except Timeout as error:
            if error is not timer:
                raise
        finally:
            timer.cancel()

    def _kill_one(self, greenlet, exception):
        try:
            greenlet.kill(exception, block=False)
        except HubDestroyed:
            (<Members> self).notice(greenlet)  # its thread is gone

    def killone(self, greenlet, exception=GreenletExit, block=True, timeout=None):
        """Raise `exception` in one member, and wait until it ends, at most `timeout` seconds (float; None for ever).

        Nothing is raised in a greenlet that does not belong to the group. Switches if `block`.
        """
        if greenlet in self.greenlets and greenlet not in self.dying:
            self.dying.add(greenlet)
            greenlet.kill(exception, block=False)
        if block:
            greenlet.join(timeout)

    def full(self):
        """Whether it has no room for another greenlet (bool): False, as a group always has."""
        return False

    def wait_available(self, timeout=None):
        """Wait until there is room: returns at once, as a group always has."""


cdef int begin(Members group, object size) except -1:
    cdef bint plain = type(group) is Group or type(group) is Pool
    return group.begin(plain, size)


class Pool(Group):
    """A group of at most `size` (int) greenlets. Adding one to a full pool waits until another has finished.

    `size`: None for any number, 0 for a pool that is always full. `greenlet_class`: the class that spawn() makes.
    Raises ValueError if `size` is negative. Methods that wait say that they switch; the others do not switch.
    """

    def __init__(self, size=None, greenlet_class=None):
        if size is not None and count_of(size, "the size of a pool") < 0:
            raise ValueError(f"the size of a pool must not be negative, and is {size!r}")
        begin(self, size)
        self.size = size
        if greenlet_class is not None:
            self.greenlet_class = greenlet_class

    def full(self):
        """Whether it has no room for another greenlet (bool)."""
        return self.free_count() <= 0

    def free_count(self):
        """The number of free places (int); 1 for a pool without a limit."""
        return 1 if self.size is None else max(0, self.size - len(self))

    def wait_available(self, timeout=None):
        """Wait until there is room, at most `timeout` seconds (float; None for ever). Switches.

        Returns the number of places that are free then (int); 1 for a pool without a limit.
        """
        return 1 if self.size is None else (<Members> self).places.wait(timeout)

    def add(self, greenlet, blocking=True, timeout=None):
        """Add a greenlet; wait for a place at most `timeout` seconds (float; None for ever). Switches if it waits.

        Raises PoolFull if the timeout passes first or, with ``blocking=False``, if the pool is full; RuntimeError if
        all members would then wait for a place without a timeout; TypeError if `greenlet` is not one.
        """
        (<Members> self).check_member(greenlet)
        if greenlet in self.greenlets:
            return
        places = (<Members> self).places
        if places is not None and not (<Members> self).take_place(blocking, timeout):
            raise PoolFull(f"{self!r} is full")
        try:
            (<Members> self).join_members(greenlet)
        except BaseException:
            (<Members> self).notice(greenlet)
            raise

    def start(self, greenlet, blocking=True, timeout=None):
        """Add a greenlet that has not been started, and start it. Waits, switches and raises as add() does."""
        self.add(greenlet, blocking, timeout)
        greenlet.start()

    def _may_wait(self):
        return not self.full()

    def __repr__(self):
        waiting = 0 if self.size is None else (<Members> self).places.linkcount()
        joining = (<Members> self).empty.waiters.length
        return (
            f"<{type(self).__name__} at {id(self):#x} {len(self)} greenlets, size={self.size}, "
            f"{waiting} waiting for a place, {joining} waiting to join>"
        )
