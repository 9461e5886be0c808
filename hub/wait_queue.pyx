"""Standing in line: what locks, events, queues and joins have in common.

Theory
    A line is a queue of waits, first come first served. Code that has something to hand over - a lock, an item, the
    news that an event was set - takes the first wait out of the line and *grants* it. From that moment the thing
    belongs to the greenlet that waits, though it runs only when its hub comes to it. No other greenlet can take the
    thing in between.

Rules
    1. Lines and grants change with the GIL held, in code that runs no Python in between: it allocates nothing and gives
       up no reference. That alone makes them safe between threads, and against finalizers that use the very object
       whose operation they interrupt.
    2. Work that may run Python code, such as making the wait, is done first. Whatever was found out before that work is
       looked at again after it.
    3. A thread that grants cannot know that the wait's own thread is waking it with an exception. In that case the
       exception is raised, and the grant is given back. If it cannot be given back, the exception is raised at the
       greenlet's next park. A timeout that comes after the grant is forgotten.
    4. A wait is woken by its own thread. If another thread grants it, that goes through the inbox. A thread without a
       hub waits on a lock of its own.
    5. In a forked child nothing is granted to threads and greenlets that waited before the fork: they are gone.

What does not belong here: what is handed over, and who owns it when nobody stands in line.
"""

from _thread import TIMEOUT_MAX, allocate_lock

from cpython.ref cimport Py_DECREF, Py_INCREF

from hub.arguments cimport seconds_of
from hub.current cimport fork_count
from hub.ready cimport *
from hub.scheduler cimport Scheduler, hub_if_any, is_current
from hub.timers cimport due_after, now_ns
from hub.waits cimport Wait, WaitingHub

__all__: list = []

# Not among the module's globals, which are gone when finalizers run at the end of the interpreter.
cdef object new_lock = allocate_lock
cdef double longest = TIMEOUT_MAX


cdef class Waitable:
    """Something that can be waited for together with others (internal base class)."""

    cdef bint take_now(self, Wait taker) except -1:
        """Take the thing for `taker`, if that is possible at once, and set `taker.given` to it. False if it is not."""
        raise NotImplementedError

    cdef fifo_t *line(self) except NULL:
        """The line in which to wait for it."""
        raise NotImplementedError

    cdef int joined(self) except -1:
        """A wait has just joined the line."""
        return 0

    cdef object taken(self, Wait taker):
        """The result of the taker's call, for `taker.given`."""
        return taker.given

    cdef int give_back(self, Wait taker) except -1:
        """Undo what take_now() or a grant did."""
        return 0

    cdef bint take_turn(self, Wait wait) except -1:
        """Stand in the line until there is a grant: True, or False if the timeout passed first.

        take_now() must have been tried with nothing in between. Raises exceptions that are thrown in meanwhile.
        """
        line_join(self.line(), wait)
        try:
            self.joined()
            return await_turn(wait)
        except BaseException:
            line_withdraw(wait)
            if wait.c.granted_by != NULL:
                self.give_back(wait)
            raise


# --- the side that waits ----------------------------------------------------------------------------------------

cdef Wait new_turn(object what, object timeout):
    """Make a wait to stand in a line with, for the current greenlet or thread. `timeout` in seconds, or None."""
    cdef Scheduler hub = hub_if_any()
    cdef Wait wait
    if hub is None or (timeout is not None and hub.is_late()):
        wait = Wait.__new__(Wait)
        wait.what = what
        wait.thread_lock = new_lock()
        wait.thread_lock.acquire()
    else:
        wait = hub.new_wait(what)
    if timeout is not None:
        wait.c.due = due_after(seconds_of(timeout))
    wait.c.forks = fork_count()
    return wait


cdef void line_join(fifo_t *line, Wait wait) noexcept:
    """Stand at the end of the line. await_turn() must follow at once, or line_withdraw()."""
    fifo_append(line, &wait.c.link)


cdef bint await_turn(Wait wait) except -1:
    """Wait for a grant: True, or False if the timeout passed first. The wait is out of the line then, in any case.

    Raises exceptions that are thrown in meanwhile. If `granted_by` is set then, the caller has to give the grant back.
    """
    cdef int result
    if wait.hub is None:
        return await_in_thread(wait)
    result = stand_in_line(wait)
    if result < 0 or wait.c.outcome == OUTCOME_THROWN:
        wait.hub.deliver(wait, result)
    return wait.c.granted_by != NULL


cdef bint await_final_turn(Wait wait) except -1:
    """await_turn() for a grant that cannot be given back. It is lost only if other code switches to the greenlet."""
    cdef int result
    if wait.hub is None:
        return await_in_thread(wait)
    result = stand_in_line(wait)
    if result < 0 or wait.c.outcome == OUTCOME_THROWN:
        if result < 0 or wait.c.granted_by == NULL:
            wait.hub.deliver(wait, result)
        wait.hub.postpone(wait)
    return wait.c.granted_by != NULL


cdef int stand_in_line(Wait wait) except -2:
    """Park until there is a grant, or the wait ends in another way. Returns what park() returns."""
    cdef WaitingHub hub = wait.hub
    cdef wait_t *w = &wait.c
    cdef int result = -2
    wait_hold(w)  # a greenlet that stands in line is not collected
    hub.in_line += 1
    try:
        if w.due == 0:
            result = hub.park(wait)
        else:
            result = hub.park_until(wait, w.due, True)
    finally:
        hub.in_line -= 1
        hub_check(hub.in_line >= 0, b"a greenlet that leaves a line was counted when it joined")
        if result == -2:
            wait_move(w, WAIT_OVER)  # it could not be parked
        if w.link.fifo != NULL:
            fifo_remove(&w.link)
        wait_release(w)
    return result


cdef void line_withdraw(Wait wait) noexcept:
    """Leave the line. For a wait that was not parked on, or is over."""
    wait_is_over(wait)
    if wait.c.link.fifo != NULL:
        fifo_remove(&wait.c.link)


cdef void wait_is_over(Wait wait) noexcept:
    """Nothing is granted to this wait from now on. It may have been granted something already."""
    if wait.c.state == WAIT_WAITING:
        wait_move(&wait.c, WAIT_OVER)


cdef bint await_in_thread(Wait wait) except -1:
    """await_turn() for a thread without a hub, which blocks."""
    cdef wait_t *w = &wait.c
    cdef double seconds
    try:
        if w.due == 0:
            wait.thread_lock.acquire()
        else:
            while w.granted_by == NULL:
                seconds = (<double> w.due - <double> now_ns()) / 1e9
                if seconds <= 0 or wait.thread_lock.acquire(True, min(seconds, longest)):
                    break
    finally:
        wait_move(w, WAIT_OVER)
        if w.link.fifo != NULL:
            fifo_remove(&w.link)
    return w.granted_by != NULL


# --- the side that hands over -----------------------------------------------------------------------------------

cdef inline bint can_be_granted(wait_t *wait, unsigned long forks) noexcept:
    # The state of another hub's wait may change at any moment. Its greenlet gets the grant all the same.
    return (
        wait.granted_by == NULL
        and wait.state == WAIT_WAITING
        and not wait.left_behind
        and (wait.forks == forks or is_current((<Wait> wait.node.object).hub))
    )


cdef link_t *first_link(fifo_t *line) noexcept:
    """The link of the first wait in line that can be granted, or NULL."""
    cdef link_t *link = line.head
    cdef unsigned long forks
    if link == NULL:
        return NULL
    forks = fork_count()
    while link != NULL and not can_be_granted(link.wait, forks):
        link = link.next
    return link


cdef Wait line_peek(fifo_t *line):
    """The first wait in line, which stays there, or None."""
    cdef link_t *link = first_link(line)
    return None if link == NULL else <Wait> link.wait.node.object


cdef Wait line_take(fifo_t *line):
    """Take the first wait out of the line, and grant it. None if there is none.

    The caller sets `given`, and calls line_wake() at once.
    """
    cdef link_t *link = first_link(line)
    if link == NULL:
        return None
    fifo_remove(link)
    link.wait.granted_by = link
    return <Wait> link.wait.node.object


cdef int line_wake(Wait wait) except -1:
    """Wake a wait that was granted, or have its own thread do that."""
    if wait.hub is None:
        wait.thread_lock.release()
    elif is_current(wait.hub):
        wait_hold_and_wake(&wait.c, OUTCOME_VALUE)
    else:
        wait.hub.post(wait)
    return 0


cdef bint line_grant(fifo_t *line, object value) except -1:
    """Grant `value` to the first wait in line. False if there is none."""
    cdef Wait wait = line_take(line)
    if wait is None:
        return False
    wait.given = value
    line_wake(wait)
    return True


cdef bint link_grant(link_t *link) except -1:
    """Grant a wait through a link that stands in no line. False if the wait has been decided already."""
    if not can_be_granted(link.wait, fork_count()):
        return False
    link.wait.granted_by = link
    line_wake(<Wait> link.wait.node.object)
    return True


cdef long line_grant_all(fifo_t *line) except -1:
    """Grant all waits that stand in line at this moment. Returns how many."""
    cdef link_t *link = line.head
    cdef link_t *next
    cdef wait_t *wait
    cdef wait_t *first = NULL
    cdef wait_t **last = &first
    cdef unsigned long forks = fork_count()
    cdef long count = 0
    while link != NULL:
        next = link.next
        wait = link.wait
        if can_be_granted(wait, forks):
            fifo_remove(link)
            wait.granted_by = link
            wait.next_granted = NULL
            Py_INCREF(<object> wait.node.object)
            last[0] = wait
            last = &wait.next_granted
            count += 1
        link = next
    while first != NULL:
        wait = first
        first = wait.next_granted
        line_wake(<Wait> wait.node.object)
        Py_DECREF(<object> wait.node.object)
    return count
