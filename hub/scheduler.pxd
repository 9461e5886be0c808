# The scheduler's C side, for compiled modules that block. See scheduler.pyx.

from cpython.object cimport PyObject
from cython cimport final
from libc.stdint cimport uint64_t

from hub.deadlines cimport deadline_t
from hub.greenlet_api cimport greenlet
from hub.core cimport watch_t
from hub.loop cimport Job, Loop
from hub.ready cimport alarm_t, node_t, slot_t, wait_t


# A greenlet whose slot and start entry are part of the object. All greenlets that the library makes are of this kind.
cdef class HubGreenlet(greenlet):
    cdef slot_t slot        # what it is parked on, and what is to be thrown into it
    cdef node_t start_node  # its entry in the ready queue until it has run
    cdef Scheduler scheduler
    cdef dict at_end        # functions to call when it has finished, by any key; or None

    cdef int attach(self, Scheduler scheduler) except -1
    cdef int schedule_start(self) except -1
    cdef bint unschedule_start(self) noexcept
    cdef int begin(self) except -1
    cdef int not_begun(self, object error) except -1
    cdef void finished(self) noexcept
    cdef int end_unstarted(self, object exception) except -1
    cdef int end_unfinished(self, object exception) except -1


# One greenlet's wait for one thing. See ready.pxd for its C half.
cdef class Wait:
    cdef wait_t c
    cdef readonly Scheduler hub  # whose loop will wake it
    cdef object value            # what it was woken with: a value, or an exception instance
    cdef readonly object what    # what it waits on, for reports
    cdef object given            # what it was granted in a line, or offers there (see wait_queue)
    cdef object kept             # its greenlet, where the program may have the wait without it, until it parks; or None
    cdef object thread_lock      # in a thread without a hub: the lock that its thread waits on

    cdef bint wake_with(self, object value) except -1
    cdef bint throw_with(self, object exception) except -1


# How many switches may pass before the loop looks for I/O, if fewer were ready when it last did: each of those has its
# turn first. In between, the clock has its say.
cdef enum:
    SWITCHES = 64


# Added to a hub's `restricted` when the program ends: what is called after that is looked at, it may be too late.
cdef enum:
    AT_EXIT = 1 << 30


# How often a greenlet gets HubDestroyed before it is given up, and how often a hub that ends looks for what is left.
cdef enum:
    LAST_TRIES = 100


# Throws into a greenlet that is suspended in a switch of its own making, not parked.
@final
cdef class ThrowJob(Job):
    cdef Scheduler hub
    cdef object target
    cdef object exception


# Lets Python's signal handlers run: see signals.pyx.
cdef class SignalHandling(Job):
    cdef int handle(self, wait_t *wait) noexcept
    cdef int handle_here(self) except -1


cdef class Scheduler(greenlet):
    cdef readonly Loop loop
    cdef readonly object main            # the main greenlet of the thread
    cdef readonly object principal       # the one that stands for the thread: that one; in a child, who forked; or None
    cdef readonly unsigned long thread_ident
    cdef slot_t main_slot                # the main greenlet's
    cdef wait_t *parked                  # every parked wait, newest first
    cdef long parked_length
    cdef long budget                     # switches until the loop looks for I/O
    cdef long round_over                 # what is left of that when all who were ready at the last look have had a turn
    cdef long stride                     # how often the clock is read meanwhile: 7, or 0 for every switch
    cdef uint64_t interval               # how long the loop may go without looking for I/O, in nanoseconds
    cdef uint64_t looked_at              # when it last did
    cdef unsigned long fair_at           # `switches` when be_fair() was called first since the last one
    cdef uint64_t fair_since             # when that was
    cdef Wait join_wait                  # the wait of hub.join(), or None
    cdef list inbox                      # what other threads want done: see callbacks.pyx
    cdef Job inbox_job
    cdef SignalHandling signals
    cdef tuple observers                 # told when a greenlet lets others run and when it goes on, or None
    cdef PyObject *printing              # CPython's own list of what repr() is in the middle of, in this thread; owned
    cdef bint signals_due                # the main greenlet is to run Python's signal handlers
    cdef PyObject *switch_to             # whom the greenlet that parks is to switch to, if not the next one; borrowed
    cdef PyObject *starting              # the greenlet that is being started, until it has begun, or NULL; owned
    cdef object callback                 # the job the hub greenlet runs now, or None
    cdef long in_line                    # waits that another thread could wake
    cdef long restricted                 # nothing may wait: the hub is being destroyed, no_switch() sections; AT_EXIT
    cdef bint has_begun                  # its run() has been entered
    cdef set to_start_later              # greenlets that a timer will start, or None
    cdef list unfinished                 # greenlets that did not end when the hub was destroyed, or None
    cdef readonly bint destroying
    cdef readonly bint destroyed
    cdef readonly unsigned long switches  # greenlets switched to or started, for statistics

    cdef bint is_late(self) noexcept
    cdef Wait new_wait(self, object what)
    cdef int wait_on(self, wait_t *wait) except -1
    cdef int need_loop(self, bint on_hub) except -1
    cdef int loop_ends(self) noexcept
    cdef int bind(self, Wait wait, PyObject *current, object what) except -1
    cdef int bind_current(self, Wait wait, object what) except -1
    cdef int refuse(self, PyObject *current, slot_t *slot) except -1
    cdef bint hold_on(self, bint yes) except -1
    cdef slot_t *slot_of_current(self) except NULL
    cdef int look_safely(self, bint on_hub) noexcept
    cdef bint hub_goes_on(self) except -1
    cdef PyObject *throw_loop_exit(self) noexcept
    cdef bint nothing_left(self) except -1
    cdef object loop_exit(self)
    cdef int park(self, Wait wait) noexcept
    cdef int park_until(self, Wait wait, uint64_t due, bint ref) except -2
    cdef int postpone(self, Wait wait) except -1
    cdef int post(self, Wait wait) except -1
    cdef object deliver(self, Wait wait, int result)
    cdef int wait_descriptor(
        self, watch_t *watch, unsigned int generation, int events, uint64_t due, deadline_t *deadline, object what
    ) except -1
    cdef int wait_descriptor_late(self, int fd, int events, uint64_t due) except -1
    cdef int set_pending(self, slot_t *slot) noexcept
    cdef int set_invalid_switch(self, Wait wait) noexcept
    cdef int tell(self, bint returned) noexcept
    cdef int tell_of_return(self, int result) noexcept
    cdef PyObject *leave_printing(self) noexcept
    cdef int go_on_printing(self, PyObject *printed, int result) noexcept
    cdef wait_t *principal_wait(self) except? NULL
    cdef int sleep_for(self, double seconds, bint ref, object what) except -1
    cdef int sleep_until(self, uint64_t due, bint ref, object what) except -1
    cdef int yield_turn(self, object what) except -1
    cdef int yield_by_wait(self, object what) except -1
    cdef int yield_nowhere(self) except -1
    cdef int yield_failed(self, object greenlet) except -1
    cdef int give_way(self) except -1
    cdef int switch_away(self, node_t *mine) noexcept
    cdef int idle(self, bint on_hub) noexcept
    cdef int look(self, bint on_hub) except -2
    cdef int begin_round(self) noexcept
    cdef bint spend(self) noexcept
    cdef int start(self, PyObject *target) except -1
    cdef int enter(self, PyObject *target) except -1
    cdef int report_error(self, object context) except -1
    cdef int throw_into(self, object target, object exception) except -1
    cdef int throw_alarm(self, alarm_t *alarm) except -1
    cdef slot_t *slot_of(self, object target) except NULL
    cdef int check_thread(self) except -1

    cdef int alarm_set(self, alarm_t *alarm, object owner, double seconds, bint ref) except -1


cdef node_t *resume_of(node_t *node, PyObject **target) noexcept

cdef Scheduler current_hub()
cpdef int be_fair() except -1
cpdef Scheduler hub_if_any()
cdef Scheduler existing_hub()
cdef void set_current_hub(Scheduler hub) noexcept
cdef bint is_current(Scheduler hub) noexcept
cpdef bint interpreter_ends() noexcept
cdef unsigned long fork_count() noexcept
cdef int begin_fork() except -1
