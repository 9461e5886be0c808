"""A cache of data-stack chunks, which makes starting and ending a greenlet about ten times as cheap.

Since CPython 3.11 the first Python frame of every greenlet allocates a 16 KiB "data stack chunk" with mmap, and
the greenlet's end unmaps it: most of what running a short greenlet costs. The chunk comes through the arena
allocator, which C code may wrap (PyObject_SetArenaAllocator, a public function). The wrapper keeps up to
`limit` free blocks of exactly that size and passes everything else on.

Rules
    1. The allocator may be called without the GIL (when a thread's state is freed), so the list has a lock of its
       own, held for a few instructions only, and never while calling anything.
    2. Blocks go back to the allocator they came from.
    3. HUB_STACK_CACHE=0 in the environment leaves the allocator alone; another number is the limit.
"""

import os

__all__ = ["install", "statistics", "trim"]

cdef extern from *:
    """
    #include <stdatomic.h>

    #define HUB_CHUNK_SIZE 16384

    static PyObjectArenaAllocator hub_arena;        /* what was installed before */
    static atomic_flag hub_chunks_lock = ATOMIC_FLAG_INIT;
    static void *hub_chunks;                        /* free blocks, linked through their first word */
    static long hub_chunks_length;
    static long hub_chunks_limit;
    static long hub_chunks_hits, hub_chunks_misses;

    #define HUB_LOCK() while (atomic_flag_test_and_set_explicit(&hub_chunks_lock, memory_order_acquire)) { }
    #define HUB_UNLOCK() atomic_flag_clear_explicit(&hub_chunks_lock, memory_order_release)

    static void *hub_arena_alloc(void *context, size_t size)
    {
        void *block = NULL;
        if (size == HUB_CHUNK_SIZE) {
            HUB_LOCK();
            block = hub_chunks;
            if (block != NULL) {
                hub_chunks = *(void **) block;
                hub_chunks_length--;
                hub_chunks_hits++;
            }
            else
                hub_chunks_misses++;
            HUB_UNLOCK();
            if (block != NULL)
                return block;
        }
        return hub_arena.alloc(hub_arena.ctx, size);
    }

    static void hub_arena_free(void *context, void *block, size_t size)
    {
        if (size == HUB_CHUNK_SIZE) {
            int kept = 0;
            HUB_LOCK();
            if (hub_chunks_length < hub_chunks_limit) {
                *(void **) block = hub_chunks;
                hub_chunks = block;
                hub_chunks_length++;
                kept = 1;
            }
            HUB_UNLOCK();
            if (kept)
                return;
        }
        hub_arena.free(hub_arena.ctx, block, size);
    }

    static void hub_chunks_trim(long keep)
    {
        for (;;) {
            void *block = NULL;
            HUB_LOCK();
            if (hub_chunks_length > keep) {
                block = hub_chunks;
                hub_chunks = *(void **) block;
                hub_chunks_length--;
            }
            HUB_UNLOCK();
            if (block == NULL)
                return;
            hub_arena.free(hub_arena.ctx, block, HUB_CHUNK_SIZE);
        }
    }

    static void hub_chunks_install(void)
    {
        PyObjectArenaAllocator ours = { NULL, hub_arena_alloc, hub_arena_free };
        PyObject_GetArenaAllocator(&hub_arena);
        PyObject_SetArenaAllocator(&ours);
    }
    """
    long hub_chunks_length
    long hub_chunks_limit
    long hub_chunks_hits
    long hub_chunks_misses
    int HUB_CHUNK_SIZE
    int PY_VERSION_HEX
    void hub_chunks_trim(long keep)
    void hub_chunks_install()

# 1,024 blocks are 16 MiB: what a burst of a thousand greenlets needs, and no more than a program will miss.
DEFAULT_LIMIT = 1024

cdef bint installed = False


def install():
    """Put the cache in place, once, unless HUB_STACK_CACHE=0. Does nothing before CPython 3.11."""
    global installed, hub_chunks_limit
    setting = os.environ.get("HUB_STACK_CACHE", "")
    try:
        limit = int(setting) if setting else DEFAULT_LIMIT
    except ValueError:
        raise ValueError(f"HUB_STACK_CACHE must be a number of blocks, 0 for none, not {setting!r}") from None
    if installed or limit <= 0 or PY_VERSION_HEX < 0x030B0000:
        return
    hub_chunks_limit = limit
    hub_chunks_install()
    installed = True


def trim(long keep=0):
    """Give the free blocks back to the system, but for `keep` of them."""
    if installed:
        hub_chunks_trim(max(0, keep))


def statistics():
    """Counts: `cached` blocks now, `limit`, `block_size` in bytes, `hits` and `misses` so far (dict of int)."""
    return {
        "cached": hub_chunks_length,
        "limit": hub_chunks_limit if installed else 0,
        "block_size": HUB_CHUNK_SIZE,
        "hits": hub_chunks_hits,
        "misses": hub_chunks_misses,
    }
