# See link_list.pyx. The links of an object are None, one link, or a list of links.

from hub.callbacks cimport CallingHub


# A link that a finishing object calls at once, in C, and not through a callback of a hub.
cdef class DirectLink:
    cdef int notice(self, object source) except -1


# A link that is called on the hub of the thread that made it.
cdef class LinkOnHub(DirectLink):
    cdef CallingHub hub
    cdef object callback


cdef LinkOnHub link_on_hub(object callback)
cdef int check_link(object link) except -1
cdef object with_link(object links, object link)
cdef object without_link(object links, object entry)
cdef object find_link(object links, object link)
cdef Py_ssize_t count_links(object links) except -1
cdef int tell_links(object links, object source, CallingHub hub) except -1
cdef int schedule_link(CallingHub hub, object link, object source) except -1
