# See linkable.pyx.

from hub.wait_queue cimport Waitable


cdef class Linkable(Waitable):
    cdef object links  # see link_list.pyx

    cdef int notify_links(self) except -1
    cdef bint is_ready(self) noexcept
    cdef bint wait_until_ready(self, object timeout) except -1
    cdef int tell_all(self) except -1
