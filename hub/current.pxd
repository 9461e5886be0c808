# The current thread and its process. See current.pyx.

from cpython.object cimport PyObject


cdef PyObject *hub_of_thread() noexcept
cdef PyObject *new_hub() except NULL
cdef void set_hub_of_thread(object hub) noexcept
cdef bint is_main_thread() noexcept
cdef bint other_threads() noexcept
cpdef unsigned long fork_count() noexcept
cdef int begin_fork() except -1
cdef object end_process()
cpdef bint interpreter_ends() noexcept
cdef int raise_no_greenlet() except -1
