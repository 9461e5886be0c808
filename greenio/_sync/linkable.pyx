"""Callbacks for when an object becomes ready: rawlink and unlink, as gevent's events and semaphores have them."""

from hub.arguments cimport seconds_of
from hub.scheduler cimport Scheduler, Wait, current_hub, is_current
from hub.wait_queue cimport Waitable, line_grant_all, new_turn


cdef class Linkable(Waitable):
    """An object that tells others, once each, when it is ready (internal base class)."""

    cdef bint is_ready(self) noexcept:
        return False

    def ready(self):
        """Whether it is ready: waiting for it now would not block (bool)."""
        return self.is_ready()

    cdef bint wait_until_ready(self, object timeout) except -1:
        """Wait in the line until it is ready, at most `timeout` seconds. False if that passed first."""
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
        """It is ready: wake all who stand in the line, and call the links."""
        line_grant_all(self.line())
        if self.links is not None:
            self.notify_links()
        return 0

    def rawlink(self, callback):
        """Call ``callback(self)``, once, on the hub of the current thread, when this is ready. It must not block.

        If it is ready now, that is soon. Does not switch. Raises TypeError if it cannot be called.
        """
        if not callable(callback):
            raise TypeError(f"a link must be callable, not {callback!r}")
        hub = current_hub()
        if self.links is None:
            self.links = []
        self.links.append((hub, callback))
        if self.is_ready():
            self.notify_links()

    def unlink(self, callback):
        """Forget a callback that was given to rawlink(). Does nothing if there is none."""
        cdef list links = self.links
        cdef Py_ssize_t i
        for pair in list(links or ()):
            if pair[1] == callback:
                for i in range(len(links)):
                    if links[i] is pair:  # or it went while they were compared
                        del links[i]
                        break
                return

    def linkcount(self):
        """How many links and waiting greenlets there are (int)."""
        return (0 if self.links is None else len(self.links)) + self.line().length

    cdef int notify_links(self) except -1:
        cdef list links = self.links
        cdef Scheduler hub
        self.links = None
        if links is not None:
            for hub, callback in links:
                if is_current(hub):
                    hub.run_callback(self.call_link, callback)
                elif not hub.destroyed:
                    hub.run_callback_threadsafe(self.call_link, callback)
        return 0

    def call_link(self, callback):
        """Call a link, on its hub; its error is its own (internal)."""
        try:
            callback(self)
        except BaseException as error:
            current_hub().report((callback, self), error)
