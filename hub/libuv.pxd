# The libuv functions and types that the hub uses; libuv 1.13 (pyuv's copy) and 1.44 both have them.
#
# Only hub.loop's extension carries libuv, so only loop.pyx, and headers that it alone cimports, may call its functions.
# They are nogil and none of them raises: errors are negative error numbers. raise_errno() makes an OSError of one.

from libc.stdint cimport uint64_t
from libc.string cimport strerror

cdef extern from "uv.h" nogil:
    ctypedef struct uv_handle_t:
        void *data

    # The private fields below are in libuv's public headers; descriptor_watch.h says why they are needed.
    ctypedef struct uv_loop_t:
        void *data
        int backend_fd

    ctypedef struct uv_timer_t:
        void *data

    ctypedef struct uv_poll_t:
        void *data

    ctypedef struct uv_async_t:
        void *data

    ctypedef struct uv_signal_t:
        void *data

    ctypedef struct uv_prepare_t:
        void *data

    ctypedef struct uv_check_t:
        void *data

    ctypedef struct uv_idle_t:
        void *data

    ctypedef struct uv_timespec_t:
        long tv_sec
        long tv_nsec

    ctypedef struct uv_stat_t:
        uint64_t st_dev
        uint64_t st_mode
        uint64_t st_nlink
        uint64_t st_uid
        uint64_t st_gid
        uint64_t st_ino
        uint64_t st_size
        uv_timespec_t st_atim
        uv_timespec_t st_mtim
        uv_timespec_t st_ctim

    ctypedef struct uv_fs_poll_t:
        void *data

    ctypedef enum uv_run_mode:
        UV_RUN_ONCE
        UV_RUN_NOWAIT

    int UV_READABLE
    int UV_WRITABLE
    ctypedef enum uv_handle_type:
        pass
    int UV_TIMER
    int UV_ASYNC
    int UV_SIGNAL
    int UV_PREPARE
    int UV_CHECK
    int UV_IDLE
    int UV_FS_POLL

    ctypedef void (*uv_close_cb)(uv_handle_t *) noexcept
    ctypedef void (*uv_timer_cb)(uv_timer_t *) noexcept
    ctypedef void (*uv_poll_cb)(uv_poll_t *, int status, int events) noexcept
    ctypedef void (*uv_async_cb)(uv_async_t *) noexcept
    ctypedef void (*uv_signal_cb)(uv_signal_t *, int signum) noexcept
    ctypedef void (*uv_prepare_cb)(uv_prepare_t *) noexcept
    ctypedef void (*uv_check_cb)(uv_check_t *) noexcept
    ctypedef void (*uv_idle_cb)(uv_idle_t *) noexcept
    ctypedef void (*uv_fs_poll_cb)(uv_fs_poll_t *, int status, const uv_stat_t *, const uv_stat_t *) noexcept
    ctypedef void (*uv_walk_cb)(uv_handle_t *, void *) noexcept

    const char *uv_version_string()

    int uv_run(uv_loop_t *, uv_run_mode)
    int uv_loop_alive(const uv_loop_t *)
    void uv_stop(uv_loop_t *)
    void uv_update_time(uv_loop_t *)
    int uv_backend_fd(const uv_loop_t *)
    void uv_walk(uv_loop_t *, uv_walk_cb, void *)

    void uv_close(uv_handle_t *, uv_close_cb)
    int uv_is_closing(const uv_handle_t *)
    int uv_is_active(const uv_handle_t *)
    int uv_has_ref(const uv_handle_t *)
    void uv_ref(uv_handle_t *)
    void uv_unref(uv_handle_t *)
    size_t uv_handle_size(int type)

    int uv_timer_init(uv_loop_t *, uv_timer_t *)
    int uv_timer_start(uv_timer_t *, uv_timer_cb, uint64_t timeout, uint64_t repeat)
    int uv_timer_stop(uv_timer_t *)

    int uv_poll_init(uv_loop_t *, uv_poll_t *, int fd)

    int uv_async_init(uv_loop_t *, uv_async_t *, uv_async_cb)
    int uv_async_send(uv_async_t *)

    int uv_signal_init(uv_loop_t *, uv_signal_t *)

    int uv_prepare_init(uv_loop_t *, uv_prepare_t *)
    int uv_prepare_start(uv_prepare_t *, uv_prepare_cb)
    int uv_prepare_stop(uv_prepare_t *)
    int uv_check_init(uv_loop_t *, uv_check_t *)
    int uv_check_start(uv_check_t *, uv_check_cb)
    int uv_check_stop(uv_check_t *)
    int uv_idle_init(uv_loop_t *, uv_idle_t *)
    int uv_idle_start(uv_idle_t *, uv_idle_cb)
    int uv_idle_stop(uv_idle_t *)

    int uv_fs_poll_init(uv_loop_t *, uv_fs_poll_t *)
    int uv_fs_poll_start(uv_fs_poll_t *, uv_fs_poll_cb, const char *path, unsigned int interval)
    int uv_fs_poll_stop(uv_fs_poll_t *)


cdef inline int raise_errno(int error, str message) except -1:
    """Raise the OSError of libuv's negative error number. `message`: what failed because of it."""
    raise OSError(-error, f"{strerror(-error).decode()}: {message}")
