/* Starts the threads of libuv's pool, which libuv's stat watchers and pyuv's requests use, with all signals blocked.
 *
 * Otherwise a signal that the program has blocked in all of its own threads, for sigwait() perhaps, could be delivered
 * to one of these. setup.py compiles libuv's threadpool.c so that it calls this in the place of uv_thread_create().
 */
#ifndef HUB_WORKER_THREADS_H
#define HUB_WORKER_THREADS_H

#include <pthread.h>
#include <signal.h>
#include "uv.h"

int hub_thread_create(uv_thread_t *thread, uv_thread_cb entry, void *argument)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = uv_thread_create(thread, entry, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

#endif
