/* Watches a signal with libuv, and gives back what handled it before.
 *
 * libuv would leave the default action behind when the last watcher of a signal is stopped.
 */
#ifndef HUB_SIGNAL_WATCH_H
#define HUB_SIGNAL_WATCH_H

#include <errno.h>
#include <signal.h>
#include "uv.h"

/* How a signal was handled before the first of its watchers was started, in any thread, and how it is since. */
static struct {
    int watchers;
    struct sigaction before;
    struct sigaction watched;
} hub_signals[65];

static int hub_signal_start(uv_signal_t *handle, uv_signal_cb callback, int number)
{
    struct sigaction now;
    int error;
    if (sigaction(number, NULL, &now))
        return -errno;
    error = uv_signal_start(handle, callback, number);
    if (error)
        return error;
    if (hub_signals[number].watchers++ == 0) {
        hub_signals[number].before = now;
        sigaction(number, NULL, &hub_signals[number].watched);
    } else if (now.sa_handler != hub_signals[number].watched.sa_handler) {
        /* The program has set a handler meanwhile. libuv has not noticed. */
        hub_signals[number].before = now;
        sigaction(number, &hub_signals[number].watched, NULL);
    }
    return 0;
}

static void hub_signal_stop(uv_signal_t *handle, int number)
{
    struct sigaction now;
    sigaction(number, NULL, &now);
    uv_signal_stop(handle);
    if (--hub_signals[number].watchers == 0) {
        /* Unless the program has set a handler meanwhile. */
        if (now.sa_handler == hub_signals[number].watched.sa_handler)
            now = hub_signals[number].before;
        sigaction(number, &now, NULL);
    }
}

#endif
