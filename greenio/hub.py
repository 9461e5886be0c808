"""The hub and the functions around it, under gevent's names. The engine itself is the package `hub`.

Functions and methods that wait say that they switch; the others do not switch.
"""

from greenlet import GreenletExit, getcurrent
from hub.hub import Hub, Waiter, get_hub, sleep

from greenio._tasks.program import idle, reinit
from greenio._tasks.program import signal_handler as signal
from greenio._tasks.spawning import kill, spawn_raw
from greenio._tasks.waiting import iwait, wait

__all__ = [
    "GreenletExit",
    "Hub",
    "Waiter",
    "get_hub",
    "getcurrent",
    "idle",
    "iwait",
    "kill",
    "reinit",
    "signal",
    "sleep",
    "spawn_raw",
    "wait",
]
