"""Choosing: wait for the first of several things, and take nothing from the others.

Theory
    One wait stands in the lines of all sources at once; an Offer is its place in each of them. A wait is granted once,
    so the first source that grants it is the one that is taken.
"""

import select

from greenio.greenlet cimport STATE_FINISHED, Greenlet
from hub.greenlet_api cimport import_greenlet, running_greenlet
from hub.ready cimport fifo_append, fifo_remove, fifo_t, link_t
from hub.scheduler cimport current_hub
from hub.waits cimport Wait
from hub.wait_queue cimport Waitable, await_turn, link_grant, new_turn, wait_is_over

# Taken before anything can replace it.
poll = select.poll

import_greenlet()

__all__ = ["wait_any"]


cdef class Offer:
    """One source of a wait_any(), and the place of the wait in that source's line."""
    cdef link_t link         # the place in the line
    cdef readonly object source
    cdef object watcher      # for a descriptor: an `io` watcher, which grants

    cdef bint take_now(self, Wait taker) except -1:
        """Take from the source if that needs no waiting. Returns whether it did."""
        source = self.source
        if isinstance(source, Waitable):
            return (<Waitable> source).take_now(taker)
        if isinstance(source, Greenlet):
            return (<Greenlet> source).state == STATE_FINISHED
        if hasattr(source, "fileno"):
            looking = poll()
            looking.register(source, select.POLLIN)
            return bool(looking.poll(0))
        return source.ready()

    cdef int join(self, Wait wait) except -1:
        cdef fifo_t *line
        source = self.source
        self.link.wait = &wait.c
        if isinstance(source, Waitable):
            line = (<Waitable> source).line()
            fifo_append(line, &self.link)
            (<Waitable> source).joined()
        elif isinstance(source, Greenlet):
            fifo_append(&(<Greenlet> source).joiners, &self.link)
        elif hasattr(source, "fileno"):
            self.watcher = current_hub().loop.io(source.fileno(), 1)
            self.watcher.start(self.grant)
        else:
            source.rawlink(self)
        return 0

    def grant(self):
        """Grant: the source is ready."""
        if self.link.wait != NULL:
            link_grant(&self.link)

    def __call__(self, source):
        """Grant, as a link of the source."""
        self.grant()

    cdef int leave(self) except -1:
        if self.link.fifo != NULL:
            fifo_remove(&self.link)
        if self.link.wait == NULL:
            return 0
        self.link.wait = NULL
        if self.watcher is not None:
            self.watcher.close()
        elif not isinstance(self.source, (Waitable, Greenlet)):
            self.source.unlink(self)
        return 0

    cdef object taken(self, Wait taker):
        if isinstance(self.source, Waitable):
            return (<Waitable> self.source).taken(taker)
        if isinstance(self.source, Greenlet):
            return (<Greenlet> self.source).value
        return True

    cdef int give_back(self, Wait taker) except -1:
        if isinstance(self.source, Waitable):
            (<Waitable> self.source).give_back(taker)
        return 0


def wait_any(*sources, timeout=None):
    """Wait for the first of several things; take that one, and nothing from the others. Switches if it waits.

    A source is one of
        a queue or channel, to get an item from;
        a lock or semaphore, to acquire;
        an event, a result or a greenlet, to be set or to finish;
        an object with a descriptor (``fileno()``), to be readable;
        anything else with ``ready``, ``rawlink`` and ``unlink``.

    Returns (source, value): the item, True for a lock, an event or a descriptor, the value of a result or greenlet
    (None if it failed; its ``get()`` raises). If several sources are ready at once, the first argument among them is
    taken. `timeout` is in seconds (float; None for ever).
    Raises TimeoutError when the timeout passes first, ValueError without sources, TypeError for an object that cannot
    be waited for.
    """
    cdef Wait wait
    cdef Wait taker
    cdef Offer offer
    cdef Offer taken
    cdef list offers = []
    if not sources:
        raise ValueError("wait_any() needs something to wait for")
    for source in sources:
        if not (isinstance(source, (Waitable, Greenlet)) or hasattr(source, "fileno") or hasattr(source, "rawlink")):
            raise TypeError(f"wait_any() cannot wait for {source!r}")
        offer = Offer.__new__(Offer)
        offer.source = source
        offers.append(offer)
        if not isinstance(source, (Waitable, Greenlet)):
            current_hub()  # a watcher or a link needs one
    taker = Wait.__new__(Wait)
    for offer in offers:
        if offer.take_now(taker):
            return offer.source, offer.taken(taker)

    wait = new_turn(Choice(sources), timeout)
    wait.kept = wait.given = <object> running_greenlet()  # an RLock that grants makes `given` its owner
    try:
        for offer in offers:
            # Making the wait and joining a line may run Python code. So any source may be ready by now.
            if wait.c.granted_by != NULL:
                break
            if offer.take_now(taker):
                if wait.c.granted_by == NULL:
                    wait_is_over(wait)
                    return offer.source, offer.taken(taker)
                offer.give_back(taker)
                break
            offer.join(wait)
        if not await_turn(wait):
            raise TimeoutError(f"none of {', '.join(map(repr, sources))} within {timeout} seconds")
        taken = granted_offer(offers, wait)
    except BaseException:
        wait_is_over(wait)
        taken = granted_offer(offers, wait)
        if taken is not None:
            taken.give_back(wait)
        raise
    finally:
        for offer in offers:
            offer.leave()
    return taken.source, taken.taken(wait)


cdef Offer granted_offer(list offers, Wait wait):
    """The offer that was granted, or None."""
    cdef Offer offer
    for offer in offers:
        if &offer.link == wait.c.granted_by:
            return offer
    return None


class Choice:
    """The sources of a wait_any(), as reports name them."""

    __slots__ = ("sources",)

    def __init__(self, sources):
        self.sources = sources

    def __repr__(self):
        return f"wait_any({', '.join(map(repr, self.sources))})"
