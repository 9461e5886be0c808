# The ready queue, and the C half of a wait. Header only: every function here is inline.
#
# Rules
#   1. A hub's queue, and the state of the waits that belong to it, are changed by the hub's own thread
#      only: in a libuv callback without the GIL, or in Python with it.
#   2. Nothing here touches a reference count in a function marked nogil. An entry in the queue is kept alive
#      by a *hold* that the waker took earlier, with the GIL, and that travels with the entry.
#   3. A wait is decided once. The first wake() finds it WAITING and decides; every later one returns False.
#   4. `greenlet` and `slot` of a wait may be followed while it is not over. Then the greenlet is parked on it, or a
#      hold keeps it alive, or the Wait itself does, until it parks. Of a wait that is over they are history, and so
#      no hold is taken on it: wait_hold_and_wake() looks first.
#
# A build with HUB_DEBUG=1 checks the rules: see checks.h.
#
# What does not belong here: anything that knows about Python exceptions, libuv or greenlet switching.

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_DECREF
from libc.stdint cimport uint64_t

from hub.timers cimport kept_timer_t, timer_t

cdef extern from "checks.h" nogil:
    const bint HUB_CHECKS                                # whether this build checks invariants
    void hub_check(bint condition, const char *what)     # ends the process if it does not hold


cdef struct node_t
cdef struct ready_t
cdef struct slot_t
cdef struct throw_t
cdef struct alarm_t
cdef struct link_t
cdef struct fifo_t
cdef struct wait_t


cdef enum node_kind:
    NODE_WAIT   # a wait_t: resume the greenlet that is parked on it
    NODE_YIELD  # `object` is a HubGreenlet that lets others run for a turn: resume it
    NODE_ALARM  # an alarm_t: throw its exception into the greenlet for which it was set
    NODE_START  # `object` is a HubGreenlet that has not run yet: start it from the hub greenlet
    NODE_JOB    # `object` is a Job: run it on the hub greenlet


cdef struct node_t:
    node_t *next      # the entry behind this one in the ready queue
    PyObject *object  # the Python object this node is part of; the queue owns a reference to it (a hold, for waits)
    node_kind kind    # how to carry it out
    bint queued       # whether it is in the ready queue now
    bint carried      # whether it was taken from the queue, and is the reason for a switch to its greenlet


cdef struct ready_t:
    node_t *head  # next to be carried out
    node_t *tail  # last to be carried out
    long length   # entries in the queue


# A wait's state only moves on, from each of these to a later one.
cdef enum wait_state:
    WAIT_WAITING  # not decided yet: the next wake() decides it
    WAIT_DECIDED  # woken; its entry is in the ready queue, or is being carried out
    WAIT_OVER     # its greenlet has gone on: the wait is history


cdef enum wait_outcome:
    OUTCOME_NONE
    OUTCOME_VALUE      # with the Wait's value
    OUTCOME_THROWN     # with an exception: the Wait's value, or that of `alarm`
    OUTCOME_TIMED_OUT  # the wait's own timeout passed
    OUTCOME_READY      # the descriptor is ready
    OUTCOME_CLOSED     # the descriptor was closed by its owner


cdef struct slot_t:
    wait_t *current    # the wait the greenlet is parked on, or NULL
    throw_t *pending   # exceptions that lost against another wake: raised at the next parks, in this order
    bint yielding      # whether the greenlet is in the ready queue without a wait, to let others run for a turn
    int refusals       # how often it has tried to wait while its hub was being destroyed
    bint waits_allowed  # whether it may wait all the same: for a lock that it needs before it can end


# An exception that waits for a greenlet's next park.
cdef struct throw_t:
    throw_t *next
    PyObject *exception  # owned; an exception instance. NULL when it is an alarm's
    alarm_t *alarm       # the alarm it belongs to, or NULL


# An exception that is thrown into a greenlet at a given time (Timeout is built on it).
cdef struct alarm_t:
    node_t node          # first: an alarm in the ready queue
    slot_t *slot         # of the greenlet it is for
    PyObject *greenlet   # owned while the alarm is set: the greenlet it is for
    wait_t *wait         # the wait it decided, until the alarm is carried out or the greenlet has left the wait
    throw_t pending      # its entry for the slot's pending exceptions
    bint is_pending      # whether that entry is among them
    bint is_set          # whether the alarm is set: running, fired but not delivered, or pending
    bint is_cancelled    # whether another thread has cancelled it after it fired: its exception is not raised any more
    bint references      # whether it keeps the loop alive while it runs
    PyObject *loop       # owned while the alarm is set: the Loop of its timer
    uint64_t due         # the loop time at which it fires
    kept_timer_t timer   # its timer, while that runs
    PyObject *(*exception)(PyObject *owner) except NULL  # makes the exception to throw; a new reference


# The states of an alarm. get_alarm_state() reads them off its flags. docs/design.md shows how an alarm moves.
cdef enum alarm_state:
    ALARM_FREE     # not set
    ALARM_RUNNING  # its timer runs
    ALARM_QUEUED   # it has fired, and is in the ready queue
    ALARM_PENDING  # it lost against another wake, and is among the slot's pending exceptions
    ALARM_CARRIED  # taken from its place, and about to be delivered, made pending, or freed


cdef struct link_t:
    link_t *next
    link_t *previous
    wait_t *wait   # the wait that stands here
    fifo_t *fifo   # the queue it stands in, or NULL


# A first-come-first-served queue of waits; each wait in it has a hold.
cdef struct fifo_t:
    link_t *head
    link_t *tail
    long length


cdef struct wait_t:
    node_t node            # first: a wait in the ready queue
    wait_state state
    wait_outcome outcome   # how it was decided
    bint parked            # whether its greenlet is switched out on it now
    ready_t *ready         # the ready queue of the hub it belongs to
    slot_t *slot           # of the greenlet
    PyObject *greenlet     # owned while holds > 0, else borrowed (a parked greenlet's stack owns the wait): see rule 4
    int holds              # how many wakers hold it
    alarm_t *alarm         # the alarm that decided it, or NULL
    bint carried_again     # whether the wait itself was put into the ready queue after that alarm
    link_t link            # its place in one fifo
    link_t *granted_by     # the link through which something was granted to it, or NULL
    wait_t *next_granted   # the next of the waits that line_grant_all() is about to wake
    unsigned long forks    # fork_count() when it was made
    bint left_behind       # whether this is a forked child, and its greenlet is the parent's
    uint64_t due           # the loop time at which it gives up, or 0 for never
    timer_t *timer         # the timer that is set for that time, or NULL
    bint references        # whether it keeps the loop alive
    int fd                 # the descriptor for which it waits
    int events             # the event for which it waits: 1 to read, 2 to write, 0 if it waits for no descriptor
    unsigned int generation  # of the descriptor's watch when it began to wait
    wait_t *next_parked    # in the list of a hub's parked waits
    wait_t *previous_parked


# --- the ready queue --------------------------------------------------------------------------------------------

cdef inline void ready_push(ready_t *ready, node_t *node) noexcept nogil:
    hub_check(not node.queued, b"an entry is in one queue, once")
    node.next = NULL
    node.queued = True
    if ready.tail == NULL:
        ready.head = node
    else:
        ready.tail.next = node
    ready.tail = node
    ready.length += 1


cdef inline void ready_push_front(ready_t *ready, node_t *node) noexcept nogil:
    hub_check(not node.queued, b"an entry is in one queue, once")
    node.next = ready.head
    node.queued = True
    ready.head = node
    if ready.tail == NULL:
        ready.tail = node
    ready.length += 1


cdef inline node_t *ready_pop(ready_t *ready) noexcept nogil:
    cdef node_t *node = ready.head
    if node != NULL:
        hub_check(node.queued, b"an entry of the ready queue says so")
        ready.head = node.next
        if ready.head == NULL:
            ready.tail = NULL
        node.next = NULL
        node.queued = False
        ready.length -= 1
    hub_check((ready.head == NULL) == (ready.length == 0), b"the ready queue's length is its entries")
    return node


cdef inline bint ready_remove(ready_t *ready, node_t *node) noexcept nogil:
    """Take an entry out, wherever it stands: slow, for rare cases. The caller gets its hold or reference."""
    cdef node_t *before = NULL
    cdef node_t *at = ready.head
    while at != NULL:
        if at is node:
            if before == NULL:
                ready.head = node.next
            else:
                before.next = node.next
            if ready.tail is node:
                ready.tail = before
            node.next = NULL
            node.queued = False
            ready.length -= 1
            return True
        before = at
        at = at.next
    return False


# --- exceptions that wait for a greenlet's next park ------------------------------------------------------------

cdef inline void append_pending(slot_t *slot, throw_t *entry) noexcept nogil:
    cdef throw_t **at = &slot.pending
    while at[0] != NULL:
        at = &at[0].next
    entry.next = NULL
    at[0] = entry


cdef inline bint remove_pending(slot_t *slot, throw_t *entry) noexcept nogil:
    cdef throw_t **at = &slot.pending
    while at[0] != NULL:
        if at[0] is entry:
            at[0] = entry.next
            return True
        at = &at[0].next
    return False


# --- fifos ------------------------------------------------------------------------------------------------------

cdef inline bint fifo_is_sound(fifo_t *fifo) noexcept nogil:
    """Whether a fifo's length is the number of its links. For checks; of a long fifo only the ends are looked at."""
    cdef link_t *link = fifo.head
    cdef link_t *last = NULL
    cdef long length = 0
    if fifo.length > 32:
        return fifo.head != NULL and fifo.tail != NULL and fifo.head.fifo is fifo and fifo.tail.fifo is fifo
    while link != NULL and length <= fifo.length:
        if link.fifo is not fifo or link.previous is not last:
            return False
        last = link
        link = link.next
        length += 1
    return length == fifo.length and last is fifo.tail


cdef inline void fifo_append(fifo_t *fifo, link_t *link) noexcept nogil:
    hub_check(link.fifo == NULL, b"a link is in one fifo, once")
    hub_check(link.wait.state == WAIT_WAITING, b"only a wait that is not decided joins a fifo")
    link.next = NULL
    link.previous = fifo.tail
    link.fifo = fifo
    if fifo.tail == NULL:
        fifo.head = link
    else:
        fifo.tail.next = link
    fifo.tail = link
    fifo.length += 1
    hub_check(fifo_is_sound(fifo), b"a fifo's length is its links")


cdef inline void fifo_remove(link_t *link) noexcept nogil:
    cdef fifo_t *fifo = link.fifo
    hub_check(fifo != NULL, b"only what is in a fifo is taken out of it")
    hub_check(fifo_is_sound(fifo), b"a fifo's length is its links")
    if link.previous == NULL:
        fifo.head = link.next
    else:
        link.previous.next = link.next
    if link.next == NULL:
        fifo.tail = link.previous
    else:
        link.next.previous = link.previous
    link.next = link.previous = NULL
    link.fifo = NULL
    fifo.length -= 1
    hub_check(fifo.length >= 0, b"a fifo's length is its links")


# --- holds (with the GIL) ---------------------------------------------------------------------------------------

cdef inline void wait_hold(wait_t *wait) noexcept:
    """Take a hold for a waker: it keeps the wait and its greenlet alive."""
    hub_check(wait.holds >= 0, b"holds are never below zero")
    hub_check(wait.state != WAIT_OVER, b"of a wait that is over nothing is held")
    Py_INCREF(<object>wait.node.object)
    wait.holds += 1
    if wait.holds == 1:
        Py_INCREF(<object>wait.greenlet)


cdef inline void wait_release(wait_t *wait) noexcept:
    """Give a hold up. May run any code, because the greenlet may be collected."""
    cdef PyObject *greenlet = NULL
    hub_check(wait.holds > 0, b"holds are never below zero")
    wait.holds -= 1
    if wait.holds == 0:
        greenlet = wait.greenlet
    Py_DECREF(<object>wait.node.object)
    if greenlet != NULL:
        Py_DECREF(<object>greenlet)


# --- states, for checks -----------------------------------------------------------------------------------------

cdef inline bint is_sound(wait_t *wait) noexcept nogil:
    return wait.state != WAIT_WAITING or (
        wait.outcome == OUTCOME_NONE and wait.alarm == NULL and not wait.node.queued and not wait.node.carried
    )


cdef inline bint may_be(wait_t *wait, wait_state state) noexcept nogil:
    return state != WAIT_OVER or not wait.parked


cdef inline bint is_in_one_place(alarm_t *alarm) noexcept nogil:
    cdef int places = (alarm.timer.timer != NULL) + alarm.node.queued + alarm.is_pending
    return places <= (1 if alarm.is_set else 0) and (alarm.wait == NULL or alarm.node.queued)


cdef inline alarm_state get_alarm_state(alarm_t *alarm) noexcept nogil:
    """The state of an alarm, from its flags."""
    hub_check(is_in_one_place(alarm), b"an alarm is in one place, in none if it is free, and queued if it ends a wait")
    if not alarm.is_set:
        return ALARM_FREE
    if alarm.timer.timer != NULL:
        return ALARM_RUNNING
    if alarm.node.queued:
        return ALARM_QUEUED
    return ALARM_PENDING if alarm.is_pending else ALARM_CARRIED


# --- waking (the hub's own thread, with or without the GIL) -----------------------------------------------------

cdef inline void wait_move(wait_t *wait, wait_state state) noexcept nogil:
    """Let the wait's state move on."""
    hub_check(wait.state < state, b"the state of a wait only moves on")
    hub_check(is_sound(wait), b"a wait that is not decided has no outcome, and is in no ready queue")
    hub_check(may_be(wait, state), b"a greenlet is parked on no wait that is over")
    wait.state = state


cdef inline bint wait_wake(wait_t *wait, wait_outcome outcome) noexcept nogil:
    """Decide the wait, and hand the caller's hold to the ready queue. False if it is decided already."""
    if wait.state != WAIT_WAITING:
        return False
    hub_check(wait.holds > 0, b"a waker has a hold to hand to the ready queue")
    wait_move(wait, WAIT_DECIDED)
    wait.outcome = outcome
    ready_push(wait.ready, &wait.node)
    return True


cdef inline bint wait_hold_and_wake(wait_t *wait, wait_outcome outcome) noexcept:
    """Decide the wait, for a caller that has no hold on it; needs the GIL. False if it is decided already."""
    if wait.state != WAIT_WAITING:
        return False
    wait_hold(wait)
    return wait_wake(wait, outcome)


cdef inline wait_t *fifo_wake_first(fifo_t *fifo, wait_outcome outcome) noexcept nogil:
    """Take the first wait that is not decided out of the fifo and wake it. Its hold goes to the ready queue.

    Returns it, or NULL if there is none.
    """
    cdef link_t *link = fifo.head
    cdef link_t *next
    while link != NULL:
        next = link.next
        if link.wait.state == WAIT_WAITING:
            fifo_remove(link)
            wait_wake(link.wait, outcome)
            return link.wait
        # Something else has decided it. Its greenlet takes the link out when it runs.
        link = next
    return NULL
