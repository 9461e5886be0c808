/* Lets libuv's poll end at an exact time: our timers are kept in nanoseconds, libuv counts milliseconds.
 *
 * Two calls that libuv makes come here instead (setup.py redirects them when it compiles libuv; its files stay as they
 * are). core.c asks hub_next_timeout() how long it may sleep. If a timer of ours comes first, the answer is "not at
 * all", and the end of the sleep is noted; linux-core.c then calls hub_epoll_wait(), which sleeps until there. So when
 * that time comes, libuv sees a look at the descriptors that found nothing, and returns.
 *
 * The kernel lets a sleep end late by 50 microseconds (prctl(2), PR_SET_TIMERSLACK), or by a thousandth of its
 * length if that is more, which adds up to milliseconds. A long sleep is therefore made of two, the second short. The
 * first needs no exact time, and so the waits for messages, which seldom last that long, cost as little as ever.
 *
 * To wake up costs more than to serve a timer. When there is a crowd of them, a sleep is prolonged by half a
 * millisecond, and more of them are served at once.
 *
 * Where the kernel has no epoll_pwait2 (it came with Linux 5.11), or the sandbox does not let it through, the sleep is
 * in milliseconds, rounded up. A libuv of the system (HUB_SYSTEM_LIBUV) cannot be redirected: see Loop.poll().
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

/* The loop that runs in this thread, with its timers, and when the sleep that begins now must end. In one place, as
   finding what belongs to a thread costs a call. */
static __thread struct {
    uv_loop_t *loop;
    const hub_heap *timers;
    uint64_t ahead; /* how far the timers' clock is ahead of CLOCK_MONOTONIC */
    uint64_t end;
    int *asleep; /* set to 0 as soon as there is something, before anybody learns of it; or NULL */
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
    now = uv_now(hub_sleep.loop) * 1000000; /* costs nothing, and is behind by up to 2 ms */
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
        /* A signal that was handled has written to a descriptor that is watched: look what there is. */
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
        ssize_t told = write(STDERR_FILENO, lost, sizeof lost - 1); /* libuv aborts now, without a word */
        (void) told;
        errno = EBADF;
    }
    return count;
}

/* One turn of the loop. The timers' clock is so far `ahead` of CLOCK_MONOTONIC. */
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

/* One turn of the loop that sleeps for so many nanoseconds at most, whatever timers there are. */
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
