"""Finding what a piece of code leaves behind: greenlets, timeouts, handles, threads, descriptors.

A `Snapshot` has everything that exists at one time. `leftovers()` compares it with what exists later, and describes the
difference. Things that end by themselves in a moment do not count: it waits a little for them, in real time.

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
from hub.closing import program_ranges
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

__all__ = ["KINDS", "Snapshot", "check_kinds", "leftovers", "remember_starts"]

#: The kinds of things that are looked for, in the order of the report.
KINDS = ("clock", "hub", "greenlets", "timeouts", "handles", "threads", "descriptors")

PATIENCE = 1.0  # seconds that things have to end by themselves


def check_kinds(kinds: Iterable[str]) -> set[str]:
    """Return the kinds as a set; all of them if none is named. Raises ValueError for an unknown kind."""
    wanted = set(kinds) or set(KINDS)
    unknown = sorted(wanted.difference(KINDS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not a kind of leftovers; there are: {', '.join(KINDS)}")
    return wanted


# --- snapshots --------------------------------------------------------------------------------------------------


class Snapshot:
    """Everything that exists now, in the current thread's hub and in the process. Switches if greenlets are ready.

    Makes the hub if there is none, so that the hub's own things do not count as the program's.
    """

    def __init__(self) -> None:
        hub = get_hub()
        for _ in range(10):
            if not hub.loop.pendingcnt:
                break
            sleep(0)  # lets greenlets that were just spawned run up to their first wait
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

    def add_since(self, before: Snapshot) -> None:
        """Add everything that exists now and did not in another snapshot, so that it does not count. Switches."""
        now = Snapshot()
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
    """Return how many things keep the loop alive besides greenlets that wait: timeouts, watchers, calls in threads."""
    return counts["references"] - counts["parked"]


def _descriptors():
    """Return the program's open descriptors: a dict of int to the system's name for it (str)."""
    found = {}
    numbers = sorted(map(int, os.listdir("/proc/self/fd")))
    programs = program_ranges(0, numbers[-1] + 1)
    for fd in numbers:
        if not any(low <= fd < high for low, high in programs):
            continue
        with suppress(OSError):  # the descriptor of the listing itself
            name = os.readlink(f"/proc/self/fd/{fd}")
            # libuv opens an inotify for a loop's first file system event, and keeps it as long as the loop.
            if name != "anon_inode:inotify":
                found[fd] = name
    return found


# --- comparing --------------------------------------------------------------------------------------------------


def leftovers(before: Snapshot, kinds: Iterable[str] = KINDS) -> str:
    """Describe the things that exist now and did not before: text (str), empty if there are none. Switches.

    `kinds`: the kinds to look for, out of KINDS. Waits up to a second for things that end by themselves.
    """
    kinds = set(kinds)
    clock = active_clock()
    if clock is not None and clock is not before.clock and "clock" in kinds:
        text = f"a clock is still active: {clock!r}"
        clock.__exit__(None, None, None)  # so that the next code has real time
        return "\n".join(filter(None, [text, leftovers(before, kinds)]))
    found = _find(before, kinds)
    if not found:
        return ""
    gc.collect()
    end = perf_counter() + PATIENCE
    pause = 0.0
    while (found := _find(before, kinds)) and perf_counter() < end:
        if found.keys() <= {"hub", "timeouts"} and ("timeouts" not in found or any(_running_on_loop())):
            break  # they do not end by themselves, and waiting would let a timeout be raised here
        sleep(pause)
        pause = min(0.02, pause + 0.001)
    return "\n".join(line for kind in KINDS if kind in found for line in found[kind]())


def _find(before, kinds) -> dict[str, Callable[[], Iterator[str]]]:
    """Return the kinds of leftovers that are found, each with the function that describes them."""
    hub = get_hub_if_exists()
    found: dict[str, Callable[[], Iterator[str]]] = {}
    if hub is None or hub.destroyed:
        found["hub"] = _describe_hub
    else:
        now = Snapshot()
        # Greenlets that are threads are described as threads.
        idents = {thread.ident for thread in threading.enumerate()}
        waits = [
            wait for wait in hub.parked_waits()
            if id(wait.greenlet) not in idents and not _is_older(wait.greenlet, before.greenlets)
        ]  # fmt: skip
        ready = max(0, now.ready - before.ready)
        if waits or ready:
            found["greenlets"] = lambda: _describe_greenlets(hub, waits, ready, before)
        # A watcher that is started keeps the loop alive. It is described as a handle, and not a second time.
        if now.handles > before.handles:
            found["handles"] = lambda: _describe_handles(hub, now.handles - before.handles)
        elif now.references > before.references and hub is before.hub:
            found["timeouts"] = lambda: _describe_timeouts(hub, now.references - before.references)
    threads = set(threading.enumerate()) - set(before.threads) - {threading.current_thread()}
    pools = [pool for pool in living_pools() if pool.size and pool not in before.pools and not _is_a_hubs(pool, hub)]
    if threads or pools:
        found["threads"] = lambda: _describe_threads(threads, pools)
    descriptors = {fd: name for fd, name in _descriptors().items() if before.descriptors.get(fd) != name}
    if descriptors:
        found["descriptors"] = lambda: _describe_descriptors(descriptors)
    return {kind: describe for kind, describe in found.items() if kind in kinds}


def _is_older(greenlet, older):
    """Whether a greenlet is one of `older`, or was spawned by one of them, directly or not: a server's handler, say."""
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


# --- describing -------------------------------------------------------------------------------------------------


def _describe_hub():
    yield "the thread's hub was destroyed, and no new one was made"


def _describe_greenlets(hub, waits, ready, before):
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


def _describe_handles(hub, count):
    yield f"handles of the loop, {count} more than before. These are open:"
    for each in _objects(Watcher):
        text = safely(repr, each)
        if each.hub is hub and each is not hub.loop.own_timer and " closed" not in text and not isinstance(each, io):
            yield f"  {text}"


def _describe_timeouts(hub, count):
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
    """Yield the timeouts that run, and the watchers of descriptors that are started."""
    yield from (each for each in _objects(Timeout) if each.pending)
    yield from (each for each in _objects(io) if each.active)


def _describe_threads(threads, pools):
    yield "threads:"
    frames = sys._current_frames()  # in a patched program it has the frames of threads that are greenlets too
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


def _describe_descriptors(descriptors):
    yield "descriptors:"
    owners: dict[int, list[Any]] = {}
    for each in gc.get_objects():
        kind = type(each)
        # Only objects of these packages: the fileno() of another object might do anything.
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
    """Return `file:line` of a traceback of tracemalloc: the innermost frame of the program, if there is one."""
    frame = next((each for each in reversed(made) if not is_of_a_library(each.filename)), made[-1])
    return f"{frame.filename}:{frame.lineno}"


def _objects(kind):
    # Not isinstance(): it would load lazy objects, such as Django's.
    return [each for each in gc.get_objects() if issubclass(type(each), kind)]


# --- where threads were started ---------------------------------------------------------------------------------

_started_at: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()
_start = threading.Thread.start


def _noting_start(self):
    with suppress(RuntimeError):  # another thread has just done the same
        _started_at[self] = _place(sys._getframe().f_back)
    _start(self)


def remember_starts(yes: bool) -> None:
    """Begin to note where each thread is started, or stop it. Does not switch."""
    if yes:
        threading.Thread.start = _noting_start  # type: ignore[method-assign]
    elif threading.Thread.start is _noting_start:  # no other library has replaced it meanwhile
        threading.Thread.start = _start  # type: ignore[method-assign]


def _place(frame):
    """Return `file:line in function` of the frame that starts a thread, outside of the modules for threads."""
    passed = (__file__, threading.__file__, greenio.thread.__file__, greenio.threading.__file__)
    while frame is not None and frame.f_code.co_filename in passed:
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
