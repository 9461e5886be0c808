"""The links of an object: functions that are called, once, when it has finished or is ready.

Rules
    1. A link is called soon, on a hub, and not by the greenlet in which its object finishes. That greenlet calls only
       a DirectLink, which must not run code of the program.
    2. An exception in a link is reported, and the other links are called.
    3. Links are found by `==`, which may run Python code. Changing the list runs none.

An object keeps its links as None, a single link, or a list of them; most have one at most.
"""

from hub.callbacks cimport CallingHub
from hub.errors import HubDestroyed
from hub.scheduler cimport current_hub, is_current

__all__ = ["DirectCall", "DirectLink"]


cdef class DirectLink:
    """A link that a finishing object calls there and then, in C. It must not run code of the program (internal)."""

    cdef int notice(self, object source) except -1:
        raise NotImplementedError("a DirectLink must say what it does")


cdef class DirectCall(DirectLink):
    """A link that calls a function of the library's there and then, in the greenlet that finishes (internal)."""
    cdef object function

    def __init__(self, function):
        self.function = function

    cdef int notice(self, object source) except -1:
        self.function(source)
        return 0

    def __call__(self, source):
        self.function(source)


cdef class LinkOnHub(DirectLink):
    """A link that is called on the hub of the thread that made it. It is equal to its callback (internal)."""

    cdef int notice(self, object source) except -1:
        return 0 if self.hub.destroyed else schedule_link(self.hub, self.callback, source)

    def __eq__(self, other):
        return self.callback == other


cdef LinkOnHub link_on_hub(object callback):
    cdef LinkOnHub link = LinkOnHub.__new__(LinkOnHub)
    link.hub = current_hub()
    link.callback = callback
    return link


cdef int check_link(object link) except -1:
    if not callable(link):
        raise TypeError(f"a link must be callable, not {link!r}")
    return 0


cdef object with_link(object links, object link):
    """The links with another one."""
    if links is None:
        return link
    if type(links) is list:
        (<list> links).append(link)
        return links
    return [links, link]


cdef object find_link(object links, object link):
    """The first entry that is equal to `link`, or None."""
    for entry in list(links) if type(links) is list else (links,):
        if entry is not None and entry == link:
            return entry
    return None


cdef object without_link(object links, object entry):
    """The links without this entry, if it is still among them."""
    cdef Py_ssize_t i
    if links is entry:
        return None
    if type(links) is list:
        for i in range(len(<list> links)):
            if (<list> links)[i] is entry:
                del (<list> links)[i]
                break
    return links


cdef Py_ssize_t count_links(object links) except -1:
    return 0 if links is None else len(<list> links) if type(links) is list else 1


cdef int tell_links(object links, object source, CallingHub hub) except -1:
    """Call the links of `source`, which has finished.

    `hub`: where links are called that have no hub of their own. None: all of them have one.
    """
    for link in links if type(links) is list else (links,):
        try:
            if isinstance(link, DirectLink):
                (<DirectLink> link).notice(source)
            else:
                schedule_link(hub, link, source)
        except BaseException as error:
            (current_hub() if hub is None else hub).report((link, source), error)
    return 0


cdef class LinkCall:
    """The call of a link on a hub, which reports its exception (internal)."""
    cdef object link
    cdef object source

    def __call__(self):
        try:
            self.link(self.source)
        except BaseException as error:
            current_hub().report((self.link, self.source), error)

    def __repr__(self):
        return f"<link {self.link!r} of {self.source!r}>"


cdef int schedule_link(CallingHub hub, object link, object source) except -1:
    """Call a link soon, on `hub`, or on the caller's hub if that one is destroyed."""
    cdef LinkCall call = LinkCall.__new__(LinkCall)
    call.link, call.source = link, source
    if is_current(hub):
        hub.run_callback(call)
    else:
        try:
            hub.run_callback_threadsafe(call)
        except HubDestroyed:
            current_hub().run_callback(call)
    return 0
