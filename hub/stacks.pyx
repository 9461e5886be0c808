"""Memory for the Python frames of greenlets: cheaper to start with, and less of it.

Since CPython 3.11 the first Python frame of every greenlet allocates a 16 KiB "data stack chunk" with mmap, and
the greenlet's end unmaps it: most of what running a short greenlet costs. The chunk comes through the arena
allocator, which C code may wrap (PyObject_SetArenaAllocator, a public function).

Two things are done about that:
    1. The wrapper keeps up to `limit` free chunks of exactly that size and passes everything else on.
    2. A greenlet of ours starts with a small chunk, which is enough while it waits a few calls deep. So a parked
       greenlet takes some 2.5 KB less. CPython adds a full chunk when the small one overflows. greenlet frees the small
       chunk through the arena allocator, which knows it by its size.

Rules
    1. The allocator may be called without the GIL (when a thread's state is freed), so the lists have a lock of
       their own, held for a few instructions only, and never while calling anything.
    2. Chunks go back to the allocator they came from.
    3. Small chunks are made only on versions of CPython on which they were tested, and only if the thread state
       looks as expected when the wrapper is installed.
    4. HUB_STACK_CACHE=0 in the environment leaves all of it alone; another number is the limit.
"""

import os

__all__ = ["install", "statistics", "trim"]

cdef extern from *:
    """
    #include <stdatomic.h>
    #include <stdlib.h>

    #define HUB_CHUNK_SIZE 16384
    #define HUB_SMALL_SIZE 1536  /* room for about ten frames of plain functions */

    #if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x03100000 && !defined(Py_GIL_DISABLED)
    #define HUB_SMALL_CHUNKS 1
    #else
    #define HUB_SMALL_CHUNKS 0
    #endif

    typedef struct {
        void *first;  /* free chunks, linked through their first word */
        long length;
    } hub_chunks_t;

    static PyObjectArenaAllocator hub_arena;  /* what was installed before */
    static atomic_flag hub_chunks_lock = ATOMIC_FLAG_INIT;
    static hub_chunks_t hub_chunks, hub_small;
    static long hub_chunks_limit;
    static long hub_chunks_hits, hub_chunks_misses;
    static int hub_small_on;

    #define HUB_LOCK() while (atomic_flag_test_and_set_explicit(&hub_chunks_lock, memory_order_acquire)) { }
    #define HUB_UNLOCK() atomic_flag_clear_explicit(&hub_chunks_lock, memory_order_release)

    /* A free chunk if there are more than `keep`, or NULL. */
    static void *hub_chunks_take(hub_chunks_t *chunks, long keep)
    {
        void *block = NULL;
        HUB_LOCK();
        if (chunks->length > keep) {
            block = chunks->first;
            chunks->first = *(void **) block;
            chunks->length--;
        }
        HUB_UNLOCK();
        return block;
    }

    /* Put a chunk on the list. Returns 0 if the list is full. */
    static int hub_chunks_keep(hub_chunks_t *chunks, void *block)
    {
        int kept = 0;
        HUB_LOCK();
        if (chunks->length < hub_chunks_limit) {
            *(void **) block = chunks->first;
            chunks->first = block;
            chunks->length++;
            kept = 1;
        }
        HUB_UNLOCK();
        return kept;
    }

    static void *hub_arena_alloc(void *context, size_t size)
    {
        if (size == HUB_CHUNK_SIZE) {
            void *block = hub_chunks_take(&hub_chunks, 0);
            if (block != NULL) {
                hub_chunks_hits++;
                return block;
            }
            hub_chunks_misses++;
        }
        return hub_arena.alloc(hub_arena.ctx, size);
    }

    static void hub_arena_free(void *context, void *block, size_t size)
    {
        if (size == HUB_SMALL_SIZE) {  /* CPython's own sizes are multiples of 16 KiB */
            if (!hub_chunks_keep(&hub_small, block))
                free(block);
        }
        else if (size != HUB_CHUNK_SIZE || !hub_chunks_keep(&hub_chunks, block))
            hub_arena.free(hub_arena.ctx, block, size);
    }

    static void hub_chunks_trim(long keep)
    {
        void *block;
        while ((block = hub_chunks_take(&hub_chunks, keep)) != NULL)
            hub_arena.free(hub_arena.ctx, block, HUB_CHUNK_SIZE);
        while ((block = hub_chunks_take(&hub_small, keep)) != NULL)
            free(block);
    }

    /* Whether the running thread's data stack has the layout that hub_small_begin() relies on. */
    static int hub_small_check(void)
    {
    #if HUB_SMALL_CHUNKS
        PyThreadState *state = PyThreadState_Get();
        _PyStackChunk *chunk = state->datastack_chunk;
        return chunk != NULL && chunk->size >= HUB_CHUNK_SIZE && chunk->size % HUB_CHUNK_SIZE == 0
            && (char *) state->datastack_limit == (char *) chunk + chunk->size
            && state->datastack_top > &chunk->data[0] && state->datastack_top <= state->datastack_limit;
    #else
        return 0;
    #endif
    }

    /* Gives a greenlet that has no chunk yet a small one. Without memory for it, CPython makes its own. */
    static void hub_small_begin(void)
    {
    #if HUB_SMALL_CHUNKS
        PyThreadState *state = PyThreadState_Get();
        _PyStackChunk *chunk;
        if (!hub_small_on || state->datastack_chunk != NULL)
            return;
        chunk = (_PyStackChunk *) hub_chunks_take(&hub_small, 0);
        if (chunk == NULL && (chunk = (_PyStackChunk *) malloc(HUB_SMALL_SIZE)) == NULL)
            return;
        chunk->previous = NULL;
        chunk->size = HUB_SMALL_SIZE;
        chunk->top = 0;
        state->datastack_chunk = chunk;
        state->datastack_top = &chunk->data[1];  /* CPython never pops its first word, and so never the chunk */
        state->datastack_limit = (PyObject **) ((char *) chunk + HUB_SMALL_SIZE);
    #endif
    }

    static void hub_chunks_install(void)
    {
        PyObjectArenaAllocator ours = { NULL, hub_arena_alloc, hub_arena_free };
        PyObject_GetArenaAllocator(&hub_arena);
        PyObject_SetArenaAllocator(&ours);
        hub_small_on = hub_small_check();
    }
    """
    ctypedef struct hub_chunks_t:
        long length

    hub_chunks_t hub_chunks
    hub_chunks_t hub_small
    long hub_chunks_limit
    long hub_chunks_hits
    long hub_chunks_misses
    int hub_small_on
    int HUB_CHUNK_SIZE
    int HUB_SMALL_SIZE
    int PY_VERSION_HEX
    void hub_chunks_trim(long keep)
    void hub_chunks_install()
    void hub_small_begin()

# 1,024 blocks are 16 MiB: enough for a burst of a thousand greenlets, and little for a program that has those.
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


cdef void begin_small() noexcept:
    """Give the current greenlet a small chunk. Our greenlets call this first, before any Python frame of their own."""
    hub_small_begin()


def trim(long keep=0):
    """Give free blocks back to the system, and keep `keep` of each size (int)."""
    if installed:
        hub_chunks_trim(max(0, keep))


def statistics():
    """Counts and sizes, as a dict of name to int.

    `cached`: free blocks now. `limit`: how many of them are kept. `block_size`: in bytes. `hits` and `misses`: how
    often a block was found free, or not. `small_cached` and `small_block_size`: the same for the small blocks that
    greenlets start with; size 0 if this CPython has none.
    """
    return {
        "cached": hub_chunks.length,
        "limit": hub_chunks_limit if installed else 0,
        "block_size": HUB_CHUNK_SIZE,
        "hits": hub_chunks_hits,
        "misses": hub_chunks_misses,
        "small_cached": hub_small.length,
        "small_block_size": HUB_SMALL_SIZE if hub_small_on else 0,
    }
