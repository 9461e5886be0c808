# See endpoint.pyx.

from libc.stdint cimport uint64_t

from cython cimport final
from hub.deadlines cimport deadline_t
from hub.core cimport kept_watch_t, watch_t
from hub.loop cimport Loop
from hub.scheduler cimport Scheduler

cdef enum:
    READ = 1
    WRITE = 2


# What a socket keeps for waiting: its descriptor, its watch on the hub's loop, its timeout.
@final
cdef class Endpoint:
    cdef int fd                    # -1 once closed
    cdef int family                # of its addresses; -1 where it does not matter
    cdef Scheduler hub             # the hub that waited first; others may too, but without what is cached here
    cdef Loop loop                 # the loop of that hub
    cdef kept_watch_t watch        # the descriptor's watch on that hub's loop
    cdef bint is_stream            # a short receive means drained only for byte streams
    cdef bint is_unix_datagram     # such a socket may be writable while its peer's queue is full
    cdef bint drained              # whether the last receive took all there was
    cdef bint much                 # whether the last receive filled a large buffer
    cdef unsigned int calls        # the number of calls that may not have waited, for fair()
    cdef double seconds            # the timeout; negative for none
    cdef public bint limits_unknown  # whether the two limits that follow may be out of date
    cdef double receive_limit      # the socket's own SO_RCVTIMEO in seconds; negative for none
    cdef double send_limit         # SO_SNDTIMEO
    cdef int left_error            # an error number that the next receive raises; 0 for none
    cdef public bint flagged       # whether O_NONBLOCK is set although the program has not asked for it
    cdef public int trying         # how many calls are under way for which O_NONBLOCK was set
    cdef object __weakref__
    cdef deadline_t *reading       # timers that stay from one wait to the next, or NULL
    cdef deadline_t *writing
    cdef dict others               # hubs of other threads that have waited -> the watch's generation; or None
    cdef readonly object name      # the socket's class name, for reports

    cdef deadline_t *deadline_of(self, int events) except NULL
    cdef watch_t *open_watch(self, Scheduler hub) except NULL
    cdef int adopt(self, Scheduler hub) except -1
    cdef watch_t *open_elsewhere(self, Scheduler hub) except NULL
    cdef int ask_limits(self) except -1
    cdef double limit(self, int events) except? -2
    cdef uint64_t due(self, int events) except? 1
    cpdef uint64_t deadline(self) except? 1
    cdef int wait(self, int events, uint64_t due, bint tried) except -1
    cdef int not_ready(self, int events, int outcome) except -1
    cdef int wake_readers_of(self, hub) except -1
    cdef int take_descriptor(self) noexcept
    cdef int closed(self) except -1
    cdef int leave_error(self, int error) noexcept
    cdef int raise_left_error(self) except -1
    cpdef int fair(self) except -1
    cdef int again(self, int error, int events, int flags, uint64_t *due) except -1
    cdef int begin_receive(self, int flags, uint64_t *due) except -1
    cdef bint is_for_all(self, int flags) noexcept


cdef Endpoint endpoint_of(object sock)
