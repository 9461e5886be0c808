/* Lets libuv's sleep end at an exact time: our timers are kept in nanoseconds, libuv counts milliseconds.
 *
 * setup.py compiles libuv so that two of its calls come here instead; libuv's files stay as they are. libuv's core.c
 * asks hub_next_timeout() how long it may sleep. If a timer of ours comes first, the answer is "not at all", and the
 * time of that timer is noted. linux-core.c then calls hub_epoll_wait(), which sleeps until the noted time. To libuv
 * this looks like a poll that found nothing, and it returns.
 *
 * The kernel lets a sleep end late, by 50 microseconds (prctl(2), PR_SET_TIMERSLACK) or by a thousandth of its length,
 * whichever is more. For long sleeps that is milliseconds. A long sleep is therefore made of two, the second short. The
 * first needs no exact time. So waits for messages, which seldom last that long, cost no more than before.
 *
 * Waking up costs more than serving a timer. When timers are crowded, a sleep is prolonged by half a millisecond, so
 * that several timers are served at once.
 *
 * Some kernels have no epoll_pwait2 (it came with Linux 5.11), and some sandboxes forbid it. There the sleep is in
 * milliseconds, rounded up. The calls of a system's libuv (HUB_SYSTEM_LIBUV) cannot be redirected: see Loop.poll().
 */
#ifndef HUB_EXACT_SLEEP_H
#define HUB_EXACT_SLEEP_H

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "timer_heap.h"
#include "uv.h"

#ifdef HUB_SYSTEM_LIBUV
#define HUB_EXACT_SLEEP 0
#else
#define HUB_EXACT_SLEEP 1
#endif

#define HUB_CROWD_DELAY 500000
#define HUB_LONG_SLEEP 20000000
#define HUB_EPOLL_PWAIT2 441 /* the same on all architectures but alpha; older C libraries have no name for it */

/* Nanoseconds as milliseconds, rounded up. */
static inline int hub_milliseconds(uint64_t nanoseconds)
{
    uint64_t milliseconds = (nanoseconds + 999999) / 1000000;
    return milliseconds < INT_MAX ? (int) milliseconds : INT_MAX;
}

#if HUB_EXACT_SLEEP

/* The loop that runs in this thread, its timers, and when its sleep must end. In one struct, because finding a variable
   of a thread costs a call. */
static __thread struct {
    uv_loop_t *loop;
    const hub_heap *timers;
    uint64_t ahead; /* how far the timers' clock is ahead of CLOCK_MONOTONIC */
    uint64_t end; /* when the sleep that begins now must end; HUB_NEVER if libuv's timeout comes first */
    int *asleep; /* set to 0 as soon as the epoll reports something, before libuv learns of it; or NULL */
} hub_sleep = {NULL, NULL, 0, HUB_NEVER, NULL};

int uv__next_timeout(const uv_loop_t *loop);

int hub_next_timeout(const uv_loop_t *loop)
{
    int timeout = uv__next_timeout(loop);
    uint64_t due;

    if (timeout == 0 || loop != hub_sleep.loop)
        return timeout;
    due = hub_heap_due(hub_sleep.timers);
    if (due != HUB_NEVER)
        due -= hub_sleep.ahead;
    if (due == HUB_NEVER || (timeout > 0 && hub_now() + timeout * (uint64_t) 1000000 <= due))
        return timeout;
    if (hub_sleep.timers->crowded && due < hub_now() + HUB_CROWD_DELAY)
        due += HUB_CROWD_DELAY;
    hub_sleep.end = due;
    return 0;
}

static int hub_epoll_exact(int epoll, struct epoll_event *events, int length, uint64_t nanoseconds)
{
    static int missing;
    struct timespec timeout;
    int count;

    if (!missing) {
        timeout.tv_sec = nanoseconds / 1000000000;
        timeout.tv_nsec = nanoseconds % 1000000000;
        count = syscall(HUB_EPOLL_PWAIT2, epoll, events, length, &timeout, NULL, 0);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        missing = 1;
    }
    return epoll_wait(epoll, events, length, hub_milliseconds(nanoseconds));
}

static int hub_epoll_sleep(int epoll, struct epoll_event *events, int length, int timeout)
{
    uint64_t end, now, left;
    int count;

    if (timeout != 0 || (end = hub_sleep.end) == HUB_NEVER)
        return epoll_wait(epoll, events, length, timeout);
    hub_sleep.end = HUB_NEVER;
    now = uv_now(hub_sleep.loop) * 1000000; /* costs no system call, and is behind by up to 2 ms */
    do {
        left = end > now ? end - now : 0;
        if (left > HUB_LONG_SLEEP) {
            count = epoll_wait(epoll, events, length, hub_milliseconds(left - left / 128) - 4);
            if (count > 0)
                return count;
            now = hub_now();
        } else {
            now = hub_now();
            left = end > now ? end - now : 0;
            count = hub_epoll_exact(epoll, events, length, left);
            if (count == 0)
                return 0;
        }
        /* EINTR: Python's C signal handler has written to a watched descriptor, so there is something to report. */
    } while (count == 0 || (count < 0 && errno == EINTR));
    return count;
}

int hub_epoll_wait(int epoll, struct epoll_event *events, int length, int timeout)
{
    static const char lost[] =
        "greenio: the program has closed a descriptor of the event loop, perhaps with os.closerange(); it ends here. "
        "greenio.os.closerange() leaves those open.\n";
    int count = hub_epoll_sleep(epoll, events, length, timeout);
    if (count > 0 && hub_sleep.asleep != NULL)
        __atomic_store_n(hub_sleep.asleep, 0, __ATOMIC_RELEASE);
    if (count < 0 && (errno == EBADF || errno == EINVAL)) {
        ssize_t written = write(STDERR_FILENO, lost, sizeof lost - 1); /* libuv aborts now, and prints nothing */
        (void) written;
        errno = EBADF;
    }
    return count;
}

/* One turn of the loop. `ahead`: by how many nanoseconds the timers' clock is ahead of CLOCK_MONOTONIC. */
static int hub_run(uv_loop_t *loop, const hub_heap *timers, uint64_t ahead)
{
    int result;
    hub_sleep.loop = loop;
    hub_sleep.timers = timers;
    hub_sleep.ahead = ahead;
    result = uv_run(loop, UV_RUN_ONCE);
    hub_sleep.loop = NULL;
    return result;
}

/* One turn of the loop that sleeps for at most `nanoseconds`, and ignores timers. */
static int hub_run_for(uv_loop_t *loop, uint64_t nanoseconds, int *asleep)
{
    hub_heap_entry entry = {hub_now() + nanoseconds, NULL};
    hub_heap heap = {&entry, 1};
    int result;
    hub_sleep.asleep = asleep;
    result = hub_run(loop, &heap, 0);
    hub_sleep.asleep = NULL;
    return result;
}

#else

static int hub_run(uv_loop_t *loop, const hub_heap *timers, uint64_t ahead)
{
    return uv_run(loop, UV_RUN_ONCE);
}

static int hub_run_for(uv_loop_t *loop, uint64_t nanoseconds, int *asleep)
{
    int result = uv_run(loop, UV_RUN_NOWAIT);
    if (nanoseconds)
        usleep(nanoseconds < 1000000 ? nanoseconds / 1000 : 1000);
    return result;
}

#endif
#endif
