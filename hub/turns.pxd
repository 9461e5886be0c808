# Turns: how long ready greenlets run before the loop looks for I/O. Header only: every function here is inline.
#
# Rules
#   1. Every greenlet that is ready when the loop looks has a turn before it looks again. An earlier look would only put
#      others behind them in the queue, and report each descriptor once more whose greenlet has not run yet.
#   2. After that, the loop looks when SWITCHES turns are over, or the switch interval is: greenlets that are always
#      ready do not keep timers and sockets waiting.
#   3. Times are CLOCK_MONOTONIC's in nanoseconds, whatever clock the timers go by. It is read at every eighth turn, and
#      at each one where turns take long.
#   4. A call that may wait but need not lets others run when they could not for as long as the switch interval.
#
# What does not belong here: the ready queue, and what looking for I/O is.

from libc.stdint cimport uint64_t

from hub.timers cimport hub_now


# How many switches may pass before the loop looks for I/O, if fewer were ready when it last did.
cdef enum:
    SWITCHES = 64


cdef struct turns_t:
    long budget              # switches until the loop looks for I/O
    long round_over          # what is left of that when all that were ready at the last look have had a turn
    long stride              # how often the clock is read meanwhile: 7, or 0 for every switch
    uint64_t interval        # how long the loop may go without looking for I/O, in nanoseconds
    uint64_t looked_at       # when it last did
    unsigned long switches   # greenlets switched to or started, for statistics
    unsigned long fair_at    # `switches` when turns_are_unfair() was called first since the last one
    uint64_t fair_since      # when that was


cdef inline void turns_begin(turns_t *turns, double interval) noexcept nogil:
    """A new hub's; the interval is in seconds."""
    turns.budget = SWITCHES
    turns.stride = 7
    turns.interval = <uint64_t> (interval * 1e9)


cdef inline void turns_begin_round(turns_t *turns, long ready, uint64_t now) noexcept nogil:
    """The loop has looked for I/O, at `now`: so many are ready."""
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
        # Long stretches between switches: from now on look at the clock at each of them.
        turns.stride = 0
        turns.budget = 0
        return True
    return False


cdef inline bint turns_are_unfair(turns_t *turns) noexcept nogil:
    """Whether nobody has been switched to for as long as the switch interval. The first call begins to count."""
    cdef uint64_t now = hub_now()
    if turns.fair_at != turns.switches:
        turns.fair_at = turns.switches
        turns.fair_since = now
    return now - turns.fair_since > turns.interval
