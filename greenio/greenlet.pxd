# See greenlet.pyx.

from hub.ready cimport fifo_t
from hub.greenlets cimport HubGreenlet
from hub.scheduler cimport Scheduler
from hub.timers cimport kept_timer_t

from greenio._tasks.spawn_place cimport stack_t


cdef enum greenlet_state:
    STATE_NEW        # not started
    STATE_STARTING   # in the ready queue, or waiting for start_later's time
    STATE_RUNNING    # has begun
    STATE_FINISHED   # has a value or an exception


cdef class Greenlet(HubGreenlet):
    cdef greenlet_state state
    cdef object target              # the function to run, or None for _run(); dropped when it has begun
    cdef readonly tuple args        # its arguments; dropped when finished
    cdef object keywords            # its keyword arguments (dict), or None
    cdef readonly object value      # what the function returned
    cdef object error               # what it raised: an instance, or None
    cdef object error_traceback     # its traceback when it was raised
    cdef fifo_t joiners             # waits in join() and get()
    cdef object links               # None, one link, or a list of links
    cdef kept_timer_t start_timer   # of start_later(), while it runs
    cdef object spawner             # weak reference to the greenlet that made this one, or None
    cdef stack_t *stack             # where it was made: the recorded frames, or NULL
    cdef object tree_locals         # dict shared by all greenlets of a spawn tree, or None until asked for
    cdef object ident               # minimal_ident, or None until asked for
    cdef object given_name          # name, or None for the default
    cdef public bint reports_errors  # whether an error it ends with goes to hub.handle_error

    cdef int setup(self, object run, tuple args, dict kwargs, object context) except -1
    cdef int setup_on(self, Scheduler hub, object run, tuple args, dict kwargs, object context) except -1
    cdef int need_init(self) except -1
    cdef int record_spawn(self) except -1
    cdef int notify_links(self) except -1
    cdef int finish(self, object value, object error) except -1
    cdef int die_before_start(self, object exception) except -1
    cdef bint cancel_start(self) noexcept
    cdef int add_link(self, object link) except -1
    cdef int remove_link(self, object link) except -1
    cdef bint wait_for_end(self, object timeout) except -1
