/* Watches signals with libuv, and restores the earlier handler when the last watcher of a signal is stopped.
 *
 * libuv itself would leave the default action behind.
 */
#ifndef HUB_SIGNAL_WATCH_H
#define HUB_SIGNAL_WATCH_H

#include <errno.h>
#include <signal.h>
#include "uv.h"

/* For each signal number. */
static struct {
    int watchers;             /* how many are started, in all threads */
    struct sigaction before;  /* the program's handler, from before the first of them was started */
    struct sigaction watched; /* libuv's */
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
        /* The program has set another handler meanwhile, which libuv does not notice. */
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
        /* If the program has set another handler meanwhile, that one stays. */
        if (now.sa_handler == hub_signals[number].watched.sa_handler)
            now = hub_signals[number].before;
        sigaction(number, &now, NULL);
    }
}

#endif
