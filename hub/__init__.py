"""The engine: an event loop on libuv, and a scheduler that switches greenlets on it.

Layers, from the bottom; each module knows only those named before it:

    libuv's functions, and helpers that import nothing of ours
            protocols, generic, errors, arguments, interpreter, native, forks, unraisable, low_descriptors,
            pyuv_source, greenlet_api, libuv
    timers; the ready queue, and the C half of a wait
            timers, ready
    the loop: descriptor watches, handles, its sleep and its end
            core, all_loops, wakeup_slot, watches, handles, sleeping, stopped_clock, loop_end, loop, pyuv
    exceptions thrown into greenlets; the timeouts of sockets
            thrown, deadlines
    memory for greenlets; the end of the interpreter; reports of errors
            stacks, at_exit, report, repeats
    a hub, floor by floor: its thread, callbacks, greenlets and waits
            current, callbacks, greenlets, waits
    the scheduler, which parks greenlets, wakes them and runs the loop
            turns, printing, scheduler
    signals; one hub for each thread; the end of a hub
            signals, threads, ending
    descriptors that are closed; standing in line
            closing, wait_queue
    gevent's watchers, with Python callbacks
            watchers, event_loop
    Hub: all of that in one class
            hub

Only `loop` calls libuv. Nothing here imports `greenio`.
"""

import os as _os

from hub.interpreter import import_at_once, require_main

require_main()
import_at_once()

try:
    from hub import stacks
except ImportError as _error:
    if _error.name not in ("hub.stacks", "hub"):
        raise
    raise ImportError(
        f"the hub is not compiled in {__path__[0]}: run `pip install -e .` in the checkout to compile it there, "
        "or start Python from another folder to use an installed greenio"
    ) from None

stacks.install()

from hub.errors import (  # noqa: E402  (the cache must be in place before the first greenlet runs)
    BlockingSwitchOutError,
    ConcurrentObjectUseError,
    HubDestroyed,
    InvalidSwitchError,
    InvalidThreadUseError,
    LoopExit,
)
from hub.hub import Hub, Waiter, get_hub, get_hub_if_exists, sleep  # noqa: E402
from hub.waits import Wait  # noqa: E402

with open(_os.path.join(_os.path.dirname(__file__), "version.txt"), encoding="utf-8") as _file:
    __version__ = _file.read().strip()

__all__ = [
    "BlockingSwitchOutError",
    "ConcurrentObjectUseError",
    "Hub",
    "HubDestroyed",
    "InvalidSwitchError",
    "InvalidThreadUseError",
    "LoopExit",
    "Wait",
    "Waiter",
    "get_hub",
    "get_hub_if_exists",
    "sleep",
    "stacks",
]
