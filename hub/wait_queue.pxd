# Standing in line, for the primitives. See wait_queue.pyx.

from hub.ready cimport fifo_t, link_t
from hub.waits cimport Wait


# Something that can be waited for together with others: see greenio.wait_any().
cdef class Waitable:
    cdef bint take_now(self, Wait taker) except -1
    cdef fifo_t *line(self) except NULL
    cdef int joined(self) except -1
    cdef object taken(self, Wait taker)
    cdef int give_back(self, Wait taker) except -1
    cdef bint take_turn(self, Wait wait) except -1


cdef Wait new_turn(object what, object timeout)
cdef void line_join(fifo_t *line, Wait wait) noexcept
cdef bint await_turn(Wait wait) except -1
cdef bint await_final_turn(Wait wait) except -1
cdef void line_withdraw(Wait wait) noexcept
cdef void wait_is_over(Wait wait) noexcept

cdef bint link_grant(link_t *link) except -1
cdef Wait line_take(fifo_t *line)
cdef Wait line_peek(fifo_t *line)
cdef int line_wake(Wait wait) except -1
cdef bint line_grant(fifo_t *line, object value) except -1
cdef long line_grant_all(fifo_t *line) except -1
