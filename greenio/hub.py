"""The hub and what is close to it, under gevent's names. The engine itself is the package `hub`."""

from greenlet import GreenletExit, getcurrent
from hub.hub import Hub, Waiter, get_hub, sleep

from greenio.process import idle, reinit
from greenio.process import signal_handler as signal
from greenio.spawning import kill, spawn_raw
from greenio.waiting import iwait, wait

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
