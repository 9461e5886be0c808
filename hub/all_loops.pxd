# See all_loops.pyx.

from hub.core cimport core_t, watch_t

cdef core_t *first_loop() noexcept
cdef void add_loop(core_t *core) noexcept
cdef void remove_loop(core_t *core) noexcept
cdef bint withdraw_elsewhere(int fd, core_t *here) noexcept
cdef bint withdraw_watch(watch_t *watch) noexcept
cdef int next_loop_descriptor(int low) noexcept
cdef int watched_end() noexcept
