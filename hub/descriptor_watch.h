/* Registers descriptors with the kernel on behalf of a uv_poll_t, at once and without libuv's help.
 *
 * uv_poll_start() only notes what is wanted; libuv issues the epoll_ctl() later, inside uv_run(), and
 * ABORTS THE PROCESS when it fails: it fails when someone closed the descriptor in between, or closed and
 * reopened it behind our back. uv_poll_init() costs three system calls, sets O_NONBLOCK on a file that other
 * processes may share, and aborts too. So the handle is made once, on a descriptor of our own; later it is
 * pointed at the descriptor in question, the epoll_ctl() is issued here, where a failure is an error number
 * for the caller, and libuv is left to believe that it did it itself. It then dispatches the events as ever.
 *
 * This uses fields of uv__io_t and uv_loop_t that libuv calls private but declares in its public headers;
 * they are the same in libuv 1.13 (pyuv's) and 1.44.
 */
#ifndef HUB_DESCRIPTOR_WATCH_H
#define HUB_DESCRIPTOR_WATCH_H

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include "uv.h"

static unsigned int hub_poll_mask(int events)
{
    return ((events & UV_READABLE) ? POLLIN : 0) | ((events & UV_WRITABLE) ? POLLOUT : 0);
}

static int hub_poll_control(uv_loop_t *loop, int operation, int fd, unsigned int mask)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = mask;
    event.data.u64 = (unsigned int) fd; /* libuv reads it back as the descriptor */
    return epoll_ctl(loop->backend_fd, operation, fd, &event) ? -errno : 0;
}

/* Watch `fd` for `events`. The handle must not be registered. Returns 0 or a negative error number:
 * -EBADF (closed), -EPERM (a regular file), -EEXIST (another libuv handle watches it on this loop), ... */
static int hub_poll_register(uv_loop_t *loop, uv_poll_t *poll, int fd, int events, uv_poll_cb callback)
{
    uv__io_t *io = &poll->io_watcher;
    void **queue = (void **) &io->watcher_queue;
    void **next, **previous;
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
    error = hub_poll_control(loop, EPOLL_CTL_ADD, fd, hub_poll_mask(events));
    if (error == -EEXIST) /* left in the kernel by a watch that libuv has stopped */
        error = hub_poll_control(loop, EPOLL_CTL_MOD, fd, hub_poll_mask(events));
    if (error) {
        uv_poll_stop(poll);
        return error;
    }
    io->events = io->pevents;
    return 0;
}

/* Change the events of a registered handle. Returns 0 or a negative error number. */
static int hub_poll_modify(uv_loop_t *loop, uv_poll_t *poll, int events)
{
    uv__io_t *io = &poll->io_watcher;
    unsigned int mask = hub_poll_mask(events);
    int error = hub_poll_control(loop, EPOLL_CTL_MOD, io->fd, mask);
    if (error == -ENOENT) /* closed behind our back and opened again: another file, not registered yet */
        error = hub_poll_control(loop, EPOLL_CTL_ADD, io->fd, mask);
    if (error)
        return error;
    io->pevents = mask;
    io->events = mask;
    return 0;
}

/* Stop watching. Never fails: what the kernel no longer knows needs no removal. */
static void hub_poll_unregister(uv_loop_t *loop, uv_poll_t *poll)
{
    int fd = poll->io_watcher.fd;
    uv_poll_stop(poll);
    hub_poll_control(loop, EPOLL_CTL_DEL, fd, 0);
}

#endif
