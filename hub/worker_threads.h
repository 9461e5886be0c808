/* The threads of libuv's own pool, which its stat watchers and pyuv's requests use, among the program's.
 *
 * They take no signals: sigwait(), and a program that blocks a signal in all of its threads, must not find them in the
 * way. setup.py has libuv's threadpool.c call this in the place of uv_thread_create().
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
