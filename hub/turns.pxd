# Turns: how long ready greenlets run before the loop looks for I/O. Header only: every function here is inline.
#
# Rules
#   1. Every greenlet that is ready when the loop looks has a turn before the loop looks again. An earlier look would
#      only put others behind them in the queue, and report descriptors again whose greenlets have not run yet.
#   2. After that, the loop looks when SWITCHES turns are over, or when the switch interval is. So greenlets that are
#      always ready do not keep timers and sockets waiting.
#   3. Times are nanoseconds of CLOCK_MONOTONIC, even if the timers' clock stands still. The clock is read at every
#      eighth turn, and at every turn if turns are long.
#   4. A call that may wait but need not lets others run when they could not for as long as the switch interval.
#
# What does not belong here: the ready queue, and looking for I/O itself.

from libc.stdint cimport uint64_t

from hub.timers cimport hub_now


# How many switches may pass before the loop looks for I/O. If more greenlets are ready, each of them has a turn.
cdef enum:
    SWITCHES = 64


cdef struct turns_t:
    long budget              # switches until the loop looks for I/O
    long round_over          # the `budget` at which all that were ready at the last look have had a turn
    long stride              # a mask: the clock is read if `budget` has none of these bits; 7, or 0 for every switch
    uint64_t interval        # the switch interval: how long the loop may go without looking for I/O, in nanoseconds
    uint64_t looked_at       # when the loop last looked
    unsigned long switches   # how often a greenlet was switched to or started
    unsigned long fair_at    # `switches` at the last call of turns_are_unfair()
    uint64_t fair_since      # when turns_are_unfair() was first called with this number of switches


cdef inline void turns_begin(turns_t *turns, double interval) noexcept nogil:
    """Set the turns of a new hub. `interval`: the switch interval in seconds."""
    turns.budget = SWITCHES
    turns.stride = 7
    turns.interval = <uint64_t> (interval * 1e9)


cdef inline void turns_begin_round(turns_t *turns, long ready, uint64_t now) noexcept nogil:
    """Begin a round: the loop has looked for I/O, at `now`, and `ready` entries are in the ready queue."""
    turns.budget = max(<long> SWITCHES, ready)
    turns.round_over = turns.budget - ready
    turns.looked_at = now


cdef inline bint turns_spend(turns_t *turns) noexcept nogil:
    """Count a switch. True when the loop must look for I/O before the next one."""
    turns.switches += 1
    turns.budget -= 1
    if turns.budget <= 0:
        turns.stride = 7
        return True
    if (
        turns.budget & turns.stride == 0
        and turns.budget <= turns.round_over
        and hub_now() - turns.looked_at > turns.interval
    ):
        # Turns are long: from now on read the clock at each of them.
        turns.stride = 0
        turns.budget = 0
        return True
    return False


cdef inline bint turns_are_unfair(turns_t *turns) noexcept nogil:
    """Whether no greenlet has been switched to for as long as the switch interval, as far as calls of this can tell."""
    cdef uint64_t now = hub_now()
    if turns.fair_at != turns.switches:
        turns.fair_at = turns.switches
        turns.fair_since = now
    return now - turns.fair_since > turns.interval
