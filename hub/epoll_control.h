/* Changes the registrations in a loop's epoll, with epoll_ctl(2). Any thread may call these functions.
 *
 * What does not belong here: libuv's own record of the registrations (descriptor_watch.h).
 */
#ifndef HUB_EPOLL_CONTROL_H
#define HUB_EPOLL_CONTROL_H

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include "uv.h"

static inline int hub_poll_control(int epoll, int operation, int fd, unsigned int mask)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = mask;
    event.data.u64 = (unsigned int) fd; /* libuv reads it back as the descriptor */
    return epoll_ctl(epoll, operation, fd, &event) ? -errno : 0;
}

/* Take a registration from the kernel, and leave libuv's record of it. Returns 0, or a negative error number if the
 * kernel does not find it by this number: the descriptor was closed, or is another file's. */
static inline int hub_poll_withdraw(uv_loop_t *loop, int fd)
{
    return hub_poll_control(loop->backend_fd, EPOLL_CTL_DEL, fd, 0);
}

#endif
