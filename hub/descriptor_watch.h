/* Registers descriptors with the kernel on behalf of a uv_poll_t, at once and without libuv's help.
 *
 * uv_poll_start() only notes which events are wanted; libuv issues the epoll_ctl() later, inside uv_run(), and
 * ABORTS THE PROCESS when it fails: it fails when someone closed the descriptor in between, or closed and
 * reopened it behind our back. uv_poll_init() costs three system calls, sets O_NONBLOCK on a file that other
 * processes may share, and aborts too. So the handle is made once, on a descriptor of our own; later it is
 * pointed at the descriptor in question, the epoll_ctl() is issued here, where a failure is an error number
 * for the caller, and libuv is left to believe that it did it itself. It then dispatches the events as ever.
 *
 * The kernel keeps a registration by file and number. If the file is open elsewhere, in a duplicate or another process,
 * the registration outlives close(), and then no epoll_ctl() reaches it any more: its events would come for ever. So it
 * is removed before the descriptor is closed, in the thread that closes it. The kernel refuses the removal if the
 * program has closed the descriptor without telling the library. Then the epoll is made anew.
 *
 * This uses fields of uv__io_t and uv_loop_t that libuv calls private but declares in its public headers;
 * they are the same in libuv 1.13 (pyuv's) and 1.44.
 */
#ifndef HUB_DESCRIPTOR_WATCH_H
#define HUB_DESCRIPTOR_WATCH_H

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "epoll_control.h"
#include "uv.h"

/* `edge`: report each change once, rather than a state for as long as it lasts. */
static unsigned int hub_poll_mask(int events, int edge)
{
    return ((events & UV_READABLE) ? EPOLLIN : 0) | ((events & UV_WRITABLE) ? EPOLLOUT : 0)
           | (edge ? (unsigned int) EPOLLET : 0);
}

/* Let libuv forget the handle. The kernel's registration stays. */
static void hub_poll_forget(uv_poll_t *poll)
{
    uv_poll_stop(poll);
}

/* Watch `fd` for `events`. The handle must not be registered. Returns 0 or a negative error number:
 * -EBADF (closed), -EPERM (a regular file), -EEXIST (another libuv handle watches it on this loop), ... */
static int hub_poll_register(uv_loop_t *loop, uv_poll_t *poll, int fd, int events, uv_poll_cb callback)
{
    uv__io_t *io = &poll->io_watcher;
    void **queue = (void **) &io->watcher_queue;
    void **next, **previous;
    unsigned int mask = hub_poll_mask(events, 0);
    int error;

    if ((unsigned int) fd < loop->nwatchers && loop->watchers[fd] != NULL)
        return -EEXIST;
    io->fd = fd;
    error = uv_poll_start(poll, events, callback); /* first: later versions of libuv unregister in here */
    if (error)
        return error;
    /* Take it off the list of registrations that libuv has still to make. */
    next = (void **) queue[0];
    previous = (void **) queue[1];
    previous[0] = next;
    next[1] = previous;
    queue[0] = queue;
    queue[1] = queue;
    error = hub_poll_control(loop->backend_fd, EPOLL_CTL_ADD, fd, mask);
    if (error == -EEXIST) /* left in the kernel by a watch that libuv has stopped */
        error = hub_poll_control(loop->backend_fd, EPOLL_CTL_MOD, fd, mask);
    if (error) {
        hub_poll_forget(poll);
        return error;
    }
    io->events = mask;
    return 0;
}

/* Change the events of a registered handle. The kernel reports again what is ready already. Returns 0, or a negative
 * error number if the kernel has no such registration any more. Never makes one: another thread may be closing. */
static int hub_poll_modify(uv_loop_t *loop, uv_poll_t *poll, int events, int edge)
{
    uv__io_t *io = &poll->io_watcher;
    int error = hub_poll_control(loop->backend_fd, EPOLL_CTL_MOD, io->fd, hub_poll_mask(events, edge));
    if (error)
        return error;
    io->pevents = hub_poll_mask(events, 0);
    io->events = hub_poll_mask(events, edge);
    return 0;
}

/* Let libuv know a handle again that it has stopped of itself. The kernel still has the registration. */
static void hub_poll_resume(uv_loop_t *loop, uv_poll_t *poll, int events, int edge)
{
    uv__io_t *io = &poll->io_watcher;
    if (loop->watchers[io->fd] == NULL) {
        loop->watchers[io->fd] = io;
        loop->nfds++;
    }
    io->pevents = hub_poll_mask(events, 0);
    io->events = hub_poll_mask(events, edge);
}

/* Stop watching. Returns 0, or a negative error number where the kernel does not find the registration by this number:
 * the descriptor was closed, or is another file's. If the file is open elsewhere, its events go on coming. */
static int hub_poll_unregister(uv_loop_t *loop, uv_poll_t *poll)
{
    int error = hub_poll_control(loop->backend_fd, EPOLL_CTL_DEL, poll->io_watcher.fd, 0);
    hub_poll_forget(poll);
    return error;
}

/* Returns 0 if the kernel still finds the registration, or a negative error number. */
static int hub_poll_verify(uv_loop_t *loop, uv_poll_t *poll)
{
    int fd = poll->io_watcher.fd;
    int error = hub_poll_control(loop->backend_fd, EPOLL_CTL_ADD, fd, 0);
    if (error == -EEXIST)
        return 0;
    if (error)
        return error;
    hub_poll_withdraw(loop, fd);
    return -ENOENT; /* the number is another file's */
}

/* Make a new epoll with the registrations that libuv knows, and give it the number of the old one. Registrations that
 * no descriptor leads to any more are gone with the old one. Returns 0 or a negative error number. */
static int hub_poll_renew(uv_loop_t *loop)
{
    unsigned int fd;
    int result;
    int renewed = epoll_create1(EPOLL_CLOEXEC);
    if (renewed < 0)
        return -errno;
    for (fd = 0; fd < loop->nwatchers; fd++) {
        uv__io_t *io = loop->watchers[fd];
        if (io != NULL && io->events != 0)
            hub_poll_control(renewed, EPOLL_CTL_ADD, (int) fd, io->events);
    }
    do
        result = dup3(renewed, loop->backend_fd, O_CLOEXEC);
    while (result < 0 && (errno == EINTR || errno == EBUSY));
    result = result < 0 ? -errno : 0;
    close(renewed);
    return result;
}

#endif
