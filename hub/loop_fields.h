/* Reads fields of pyuv's and libuv's loops that have no public accessors. libuv declares its fields in public headers;
 * they are the same in libuv 1.13 (pyuv's) and 1.44.
 */
#ifndef HUB_LOOP_FIELDS_H
#define HUB_LOOP_FIELDS_H

#include <Python.h>
#include "uv.h"

/* The layout of pyuv's Loop object (pyuv 1.4.0, src/pyuv.h), as far as its pointer to the uv_loop_t. */
typedef struct {
    PyObject_HEAD
    PyObject *weakreflist;
    PyObject *dict;
    uv_loop_t loop_struct;
    uv_loop_t *uv_loop;
} hub_pyuv_loop;

#define hub_uv_loop(object) (((hub_pyuv_loop *) (object))->uv_loop)

/* The descriptors that libuv has opened for a loop. */
static inline void hub_loop_descriptors(const uv_loop_t *loop, int out[4])
{
    out[0] = loop->backend_fd;
    out[1] = loop->async_io_watcher.fd;
    out[2] = loop->signal_pipefd[0];
    out[3] = loop->signal_pipefd[1];
}

static inline long hub_active_handles(const uv_loop_t *loop)
{
    return (long) loop->active_handles;
}

#endif
