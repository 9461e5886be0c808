"""Callbacks for when an object becomes ready: rawlink and unlink, as gevent's events and semaphores have them."""

from hub.arguments cimport seconds_of
from hub.waits cimport Wait
from hub.wait_queue cimport Waitable, line_grant_all, new_turn

from greenio._tasks.link_list cimport (
    check_link, count_links, find_link, link_on_hub, tell_links, with_link, without_link,
)


cdef class Linkable(Waitable):
    """An object that wakes greenlets and calls links, once each, when it becomes ready (internal base class)."""

    cdef bint is_ready(self) noexcept:
        return False

    def ready(self):
        """Whether it is ready: waiting for it now would not block (bool)."""
        return self.is_ready()

    cdef bint wait_until_ready(self, object timeout) except -1:
        """Wait in the line until it is ready, at most `timeout` seconds. Returns False if they passed first."""
        cdef Wait wait
        if timeout is not None:
            seconds_of(timeout)
        if self.is_ready():
            return True
        wait = new_turn(self, timeout)
        if self.is_ready():
            return True
        return self.take_turn(wait)

    cdef int tell_all(self) except -1:
        """The object is ready: wake all greenlets in the line, and call the links."""
        line_grant_all(self.line())
        if self.links is not None:
            self.notify_links()
        return 0

    def rawlink(self, callback):
        """Call ``callback(self)``, once, on the hub of the current thread, when this object is ready. Does not switch.

        If it is ready now, the call comes soon. The callback must not block. Raises TypeError if it is not callable.
        """
        check_link(callback)
        link = link_on_hub(callback)
        self.links = with_link(self.links, link)
        if self.is_ready():
            self.notify_links()

    def unlink(self, callback):
        """Forget a callback that was given to rawlink(). Does nothing if there is none. Does not switch."""
        entry = find_link(self.links, callback)
        self.links = without_link(self.links, entry)

    def linkcount(self):
        """How many links and waiting greenlets there are (int)."""
        return count_links(self.links) + self.line().length

    cdef int notify_links(self) except -1:
        links, self.links = self.links, None
        return 0 if links is None else tell_links(links, self, None)
