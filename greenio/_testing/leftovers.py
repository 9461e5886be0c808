"""What a piece of code leaves behind: greenlets, timeouts, handles, threads, descriptors.

A `Look` is what there is at one time. `leftovers()` compares it with what there is later, and puts the difference into
words. Things that end by themselves in a moment do not count: it waits a little for them, in real time.

What does not belong here: pytest. See `greenio._testing.plugin`.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import tracemalloc
from contextlib import suppress
from time import perf_counter
from weakref import WeakKeyDictionary, WeakSet

from greenlet import getcurrent
from hub.closing import ranges_of_the_programs
from hub.current import get_hub, get_hub_if_exists
from hub.errors import HubDestroyed
from hub.report import format_wait, is_of_a_library, safely, where
from hub.scheduler import sleep
from hub.watchers import Watcher, io

import greenio.thread
import greenio.threading
from greenio._testing.clock import active_clock
from greenio.greenlet import Greenlet
from greenio.threadpool import ThreadPool, living_pools
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = ["KINDS", "Look", "check_kinds", "leftovers", "remember_starts"]

#: What is looked for, in this order.
KINDS = ("clock", "hub", "greenlets", "timeouts", "handles", "threads", "descriptors")

PATIENCE = 1.0  # for how many seconds things may take to end by themselves


def check_kinds(kinds: Iterable[str]) -> set[str]:
    """The kinds as a set; all of them if none is named. Raises ValueError if there is no such kind."""
    wanted = set(kinds) or set(KINDS)
    unknown = sorted(wanted.difference(KINDS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no kind of leftovers; there are: {', '.join(KINDS)}")
    return wanted


# --- what there is ----------------------------------------------------------------------------------------------


class Look:
    """What there is now, in the current thread's hub and in the process. Switches if greenlets are ready.

    The hub is made if there was none, so that its own things do not count as the program's.
    """

    def __init__(self) -> None:
        hub = get_hub()
        for _ in range(10):
            if not hub.loop.pendingcnt:
                break
            sleep(0)  # greenlets that were spawned a moment ago come to their first wait
        self.hub = hub
        self.clock = active_clock()
        self.greenlets: WeakSet[Any] = WeakSet(wait.greenlet for wait in hub.parked_waits())
        self.threads: WeakSet[threading.Thread] = WeakSet(threading.enumerate())
        self.pools: WeakSet[ThreadPool] = WeakSet(living_pools())
        counts = hub.statistics()
        self.ready = counts["ready"]
        self.handles = counts["handles"]
        self.references = _references(counts)
        self.descriptors = _descriptors()

    def add_since(self, before: Look) -> None:
        """What there is now, and was not at another look, is not to count."""
        now = Look()
        self.greenlets.update(now.greenlets - before.greenlets)
        self.threads.update(now.threads - before.threads)
        self.pools.update(now.pools - before.pools)
        self.ready += now.ready - before.ready
        self.handles += now.handles - before.handles
        self.references += now.references - before.references
        for fd, name in now.descriptors.items():
            if before.descriptors.get(fd) != name:
                self.descriptors[fd] = name


def _references(counts):
    """How much keeps the loop alive besides greenlets that wait: timeouts, watchers, calls in threads."""
    return counts["references"] - counts["parked"]


def _descriptors():
    """The program's open descriptors: a dict of int to what the system says they are."""
    found = {}
    numbers = sorted(map(int, os.listdir("/proc/self/fd")))
    programs = ranges_of_the_programs(0, numbers[-1] + 1)
    for fd in numbers:
        if not any(low <= fd < high for low, high in programs):
            continue
        with suppress(OSError):  # the descriptor of the listing itself
            name = os.readlink(f"/proc/self/fd/{fd}")
            # libuv opens one for a loop's first file system event, and keeps it as long as the loop.
            if name != "anon_inode:inotify":
                found[fd] = name
    return found


# --- what is left -----------------------------------------------------------------------------------------------


def leftovers(before: Look, kinds: Iterable[str] = KINDS) -> str:
    """What there is now that was not there before: text (str), empty if there is nothing. Switches.

    `kinds`: what is looked for, of KINDS. It waits up to a second for things that end by themselves.
    """
    kinds = set(kinds)
    clock = active_clock()
    if clock is not None and clock is not before.clock and "clock" in kinds:
        text = f"a clock is still active: {clock!r}"
        clock.__exit__(None, None, None)  # the code that comes next has real time
        return "\n".join(filter(None, [text, leftovers(before, kinds)]))
    found = _find(before, kinds)
    if not found:
        return ""
    gc.collect()
    end = perf_counter() + PATIENCE
    pause = 0.0
    while (found := _find(before, kinds)) and perf_counter() < end:
        if found.keys() <= {"hub", "timeouts"} and ("timeouts" not in found or any(_running_on_loop())):
            break  # they do not end by themselves, and a timeout would be raised here
        sleep(pause)
        pause = min(0.02, pause + 0.001)
    return "\n".join(line for kind in KINDS if kind in found for line in found[kind]())


def _find(before, kinds) -> dict[str, Callable[[], Iterator[str]]]:
    """The kinds of which something is left, and for each what tells of it."""
    hub = get_hub_if_exists()
    found: dict[str, Callable[[], Iterator[str]]] = {}
    if hub is None or hub.destroyed:
        found["hub"] = _tell_hub
    else:
        now = Look()
        # Those that are threads are told of as such.
        idents = {thread.ident for thread in threading.enumerate()}
        waits = [
            wait for wait in hub.parked_waits()
            if id(wait.greenlet) not in idents and not _is_older(wait.greenlet, before.greenlets)
        ]  # fmt: skip
        ready = max(0, now.ready - before.ready)
        if waits or ready:
            found["greenlets"] = lambda: _tell_greenlets(hub, waits, ready, before)
        # A watcher that is started keeps the loop alive, and is told of as a handle.
        if now.handles > before.handles:
            found["handles"] = lambda: _tell_handles(hub, now.handles - before.handles)
        elif now.references > before.references and hub is before.hub:
            found["timeouts"] = lambda: _tell_timeouts(hub, now.references - before.references)
    threads = set(threading.enumerate()) - set(before.threads) - {threading.current_thread()}
    pools = [pool for pool in living_pools() if pool.size and pool not in before.pools and not _is_a_hubs(pool, hub)]
    if threads or pools:
        found["threads"] = lambda: _tell_threads(threads, pools)
    descriptors = {fd: name for fd, name in _descriptors().items() if before.descriptors.get(fd) != name}
    if descriptors:
        found["descriptors"] = lambda: _tell_descriptors(descriptors)
    return {kind: tell for kind, tell in found.items() if kind in kinds}


def _is_older(greenlet, older):
    """Whether it was there before, or was spawned by one that was, and so on: it is a server's handler, say."""
    seen = set()
    while greenlet is not None and id(greenlet) not in seen:
        if greenlet in older:
            return True
        seen.add(id(greenlet))
        spawner = getattr(greenlet, "spawning_greenlet", None)
        greenlet = spawner() if spawner is not None else None
    return False


def _is_a_hubs(pool, hub):
    if hub is None:
        return False
    resolver = vars(hub).get("_resolver")
    return pool in (vars(hub).get("_threadpool"), getattr(resolver, "_pool", None))


# --- in words ---------------------------------------------------------------------------------------------------


def _tell_hub():
    yield "the thread's hub was destroyed, and no new one was made"


def _tell_greenlets(hub, waits, ready, before):
    if waits:
        yield "greenlets that wait:"
        for wait in waits:
            yield from format_wait(hub, wait)
    if ready:
        yield f"greenlets or callbacks that are ready to run, {ready} more than before"
        parked = {id(wait.greenlet) for wait in hub.parked_waits()}
        for each in _objects(Greenlet):
            if not each.started or each.ready() or id(each) in parked or each is getcurrent():
                continue
            if not _is_older(each, before.greenlets):
                yield f"  {safely(repr, each)}"
                yield f"    spawned at {each.format_spawn() or 'an unrecorded place'}"


def _tell_handles(hub, count):
    yield f"handles of the loop, {count} more than before. These are open:"
    for each in _objects(Watcher):
        text = safely(repr, each)
        if each.hub is hub and each is not hub.loop.own_timer and " closed" not in text and not isinstance(each, io):
            yield f"  {text}"


def _tell_timeouts(hub, count):
    yield f"timeouts, greenlets that are to start, and watchers of descriptors, {count} more than before. There are:"
    none = True
    for each in _running_on_loop():
        none = False
        yield f"  {safely(repr, each)}"
    begun = {id(wait.greenlet) for wait in hub.parked_waits()} | {id(getcurrent())}
    for each in _objects(Greenlet):
        if each.started and not each.ready() and each.gr_frame is None and id(each) not in begun:
            none = False
            yield f"  {safely(repr, each)}, which is to start later"
            yield f"    spawned at {each.format_spawn() or 'an unrecorded place'}"
    if none:
        yield "  none: perhaps a call in a thread"


def _running_on_loop():
    """The timeouts that run, and the watchers of descriptors that are started."""
    yield from (each for each in _objects(Timeout) if each.pending)
    yield from (each for each in _objects(io) if each.active)


def _tell_threads(threads, pools):
    yield "threads:"
    frames = sys._current_frames()  # in a patched program, also those of threads that are greenlets
    for thread in threads:
        yield f"  {safely(repr, thread)}"
        yield f"    at {where(frames.get(thread.ident))}"
        place = _started_at.get(thread)
        if place is None:
            for each in _objects(Greenlet):
                if id(each) == thread.ident:
                    place = _place(each.spawning_stack)
        yield f"    started at {place or 'an unrecorded place'}"
    for pool in pools:
        yield f"  those of {safely(repr, pool)}; kill() ends them"


def _tell_descriptors(descriptors):
    yield "descriptors:"
    owners: dict[int, list[Any]] = {}
    for each in gc.get_objects():
        kind = type(each)
        # Not each object that has a fileno(): asking may do anything.
        if str(kind.__module__).partition(".")[0] in _OWNERS and hasattr(kind, "fileno"):
            with suppress(Exception, HubDestroyed):  # a loop that has ended
                owners.setdefault(each.fileno(), []).append(each)
    for fd, name in descriptors.items():
        yield f"  {fd}: {name}"
        for owner in owners.get(fd, ()):
            yield f"    of {safely(repr, owner)}"
            made = tracemalloc.get_object_traceback(owner)
            if made is not None:
                yield f"      made at {_program_line(made)}"


_OWNERS = (
    "_io", "_socket", "asyncio", "greenio", "hub", "mmap", "multiprocessing", "select", "selectors", "socket", "ssl",
)  # fmt: skip


def _program_line(made):
    """`file:line` of the innermost frame of a traceback of tracemalloc that is the program's, if there is one."""
    lines = [f"{frame.filename}:{frame.lineno}" for frame in reversed(made)]
    return next((line for line in lines if not is_of_a_library(line)), lines[0])


def _objects(kind):
    # Not isinstance(): lazy objects, of Django say, would be made what they stand for.
    return [each for each in gc.get_objects() if issubclass(type(each), kind)]


# --- where threads were started ---------------------------------------------------------------------------------

_started_at: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()
_start = threading.Thread.start


def _noting_start(self):
    with suppress(RuntimeError):  # another thread has just done the same
        _started_at[self] = _place(sys._getframe().f_back)
    _start(self)


def remember_starts(yes: bool) -> None:
    """From now on, note where each thread is started, or do not."""
    if yes:
        threading.Thread.start = _noting_start  # type: ignore[method-assign]
    elif threading.Thread.start is _noting_start:  # nobody else has replaced it meanwhile
        threading.Thread.start = _start  # type: ignore[method-assign]


def _place(frame):
    """`file:line in function` of the innermost frame that starts a thread, and is not what all threads go through."""
    passed = (__file__, threading.__file__, greenio.thread.__file__, greenio.threading.__file__)
    while frame is not None and frame.f_code.co_filename in passed:
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
