/* The timers of a loop, ordered by the times at which they are due: a heap with four children to a node.
 *
 * Times are nanoseconds of the hubs' clock (timers.pxd). Of timers that are due at the same time, the one that was
 * started first comes first.
 *
 * Rules
 *     1. Only the loop's own thread touches its heap.
 *     2. Starting a timer never fails: there is room for every timer that was made, see hub_heap_reserve().
 *     3. A timer's `place` is 0 when it is not running, else the number of its entry, counted from 1.
 *     4. The entries hold the times, so that finding the least of four children reads one or two cache lines.
 */
#ifndef HUB_TIMER_HEAP_H
#define HUB_TIMER_HEAP_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <Python.h>

static inline uint64_t hub_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The CPU time of this thread. */
static inline uint64_t hub_worked(void)
{
    struct timespec worked;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked);
    return (uint64_t) worked.tv_sec * 1000000000 + worked.tv_nsec;
}

/* Not inline: callers on the way to a switch have small frames. */
#define HUB_OWN_FRAME __attribute__((noinline, unused))

/* The first field of a timer. */
typedef struct {
    size_t place;
    uint64_t order; /* counts the starts */
} hub_heap_node;

typedef struct {
    uint64_t due;
    hub_heap_node *node;
} hub_heap_entry;

typedef struct {
    hub_heap_entry *entries;
    size_t length;
    size_t room;     /* how many entries there is memory for */
    uint64_t starts; /* how many timers were ever started */
    uint64_t counted_from; /* when hub_heap_count() last began to count */
    uint64_t fired;        /* how many timers have fired since then */
    int crowded;     /* whether timers fire so often that serving them in batches costs less */
} hub_heap;

#define HUB_NEVER UINT64_MAX

/* Make room for `count` timers. Returns -1 if there is no memory. */
static inline int hub_heap_reserve(hub_heap *heap, size_t count)
{
    hub_heap_entry *entries;
    size_t room = heap->room ? heap->room : 64;

    if (count <= heap->room)
        return 0;
    while (room < count)
        room *= 2;
    entries = PyMem_RawRealloc(heap->entries, room * sizeof *entries);
    if (entries == NULL)
        return -1;
    heap->entries = entries;
    heap->room = room;
    return 0;
}

static inline int hub_heap_before(const hub_heap_entry *entry, const hub_heap_entry *other)
{
    return entry->due < other->due || (entry->due == other->due && entry->node->order < other->node->order);
}

static inline void hub_heap_put(hub_heap *heap, size_t at, hub_heap_entry entry)
{
    heap->entries[at] = entry;
    entry.node->place = at + 1;
}

/* Find the place for `entry` from the free place `at` towards the root. */
static inline void hub_heap_up(hub_heap *heap, size_t at, hub_heap_entry entry)
{
    size_t parent;

    while (at > 0) {
        parent = (at - 1) / 4;
        if (!hub_heap_before(&entry, &heap->entries[parent]))
            break;
        hub_heap_put(heap, at, heap->entries[parent]);
        at = parent;
    }
    hub_heap_put(heap, at, entry);
}

/* Find the place for `entry` from the free place `at` towards the leaves. */
static inline void hub_heap_down(hub_heap *heap, size_t at, hub_heap_entry entry)
{
    size_t child, end, least;

    for (;;) {
        child = 4 * at + 1;
        if (child >= heap->length)
            break;
        end = child + 4 < heap->length ? child + 4 : heap->length;
        for (least = child++; child < end; child++)
            if (hub_heap_before(&heap->entries[child], &heap->entries[least]))
                least = child;
        if (!hub_heap_before(&heap->entries[least], &entry))
            break;
        hub_heap_put(heap, at, heap->entries[least]);
        at = least;
    }
    hub_heap_put(heap, at, entry);
}

/* Stop a timer, if it is running. */
static HUB_OWN_FRAME void hub_heap_remove(hub_heap *heap, hub_heap_node *node)
{
    size_t at = node->place - 1;
    hub_heap_entry last;

    if (node->place == 0)
        return;
    node->place = 0;
    last = heap->entries[--heap->length];
    if (at == heap->length)
        return;
    if (at > 0 && hub_heap_before(&last, &heap->entries[(at - 1) / 4]))
        hub_heap_up(heap, at, last);
    else
        hub_heap_down(heap, at, last);
}

/* Start a timer, or change the time at which it is due. */
static HUB_OWN_FRAME void hub_heap_set(hub_heap *heap, hub_heap_node *node, uint64_t due)
{
    hub_heap_entry entry = {due, node};

    hub_heap_remove(heap, node);
    node->order = heap->starts++;
    hub_heap_up(heap, heap->length++, entry);
}

/* Take out the first timer if it is due at `now`; else NULL. */
static inline hub_heap_node *hub_heap_pop(hub_heap *heap, uint64_t now)
{
    hub_heap_node *node;

    if (heap->length == 0 || heap->entries[0].due > now)
        return NULL;
    node = heap->entries[0].node;
    hub_heap_remove(heap, node);
    return node;
}

/* Count timers that have fired. Every 10 ms it is decided whether they are crowded: more than 20,000 a second. */
static inline void hub_heap_count(hub_heap *heap, uint64_t fired, uint64_t now)
{
    heap->fired += fired;
    if (now - heap->counted_from >= 10000000) {
        heap->crowded = heap->fired * 50000 > now - heap->counted_from;
        heap->counted_from = now;
        heap->fired = 0;
    }
}

/* When the next timer is due, or HUB_NEVER. */
static inline uint64_t hub_heap_due(const hub_heap *heap)
{
    return heap->length ? heap->entries[0].due : HUB_NEVER;
}

#endif
