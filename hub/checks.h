/* Checks of the invariants that the headings in hub/ state. HUB_DEBUG=1 at build time compiles them in.
 *
 * A check that fails prints the invariant, the condition and its place in the C file, and aborts the process: later
 * failures would hide the cause. Without HUB_DEBUG the conditions are not even compiled.
 */
#ifndef HUB_CHECKS_H
#define HUB_CHECKS_H

#ifdef HUB_DEBUG

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>

#define HUB_CHECKS 1

static __attribute__((noreturn, noinline, unused)) void
hub_check_failed(const char *what, const char *condition, const char *file, int line)
{
    void *stack[32];
    fprintf(stderr, "hub: a check failed: %s\n  %s:%d: %s\n", what, file, line, condition);
    fflush(stderr);
    backtrace_symbols_fd(stack, backtrace(stack, 32), 2);
    abort();
}

#define hub_check(condition, what) \
    ((condition) ? (void) 0 : hub_check_failed((what), #condition, __FILE__, __LINE__))

#else

#define HUB_CHECKS 0
#define hub_check(condition, what) ((void) (what))

#endif

#endif
