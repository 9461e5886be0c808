"""greenio: plain blocking Python, tens of thousands of connections in one thread.

Layers, from the bottom; each knows only those below it:

    hub (a package of its own)       the loop and the scheduler
    timeout, greenlet                Timeout; Greenlet
    spawning, waiting, process       spawn, kill; wait, joinall; signals and forks
    stream, socket                   cooperative sockets
    baseserver, server               servers

Importing it makes no event loop: that is made when a thread first waits for something.
"""

from greenlet import GreenletExit, getcurrent
from hub import __version__, get_hub, sleep

from greenio.config import config
from greenio.greenlet import Greenlet
from greenio.process import fork, getswitchinterval, idle, reinit, setswitchinterval, signal_handler
from greenio.spawning import kill, spawn, spawn_later, spawn_raw
from greenio.timeout import Timeout, with_timeout
from greenio.waiting import iwait, joinall, killall, wait

version_info = tuple(int(part) for part in __version__.split(".")[:3])

__all__ = [
    "Greenlet",
    "GreenletExit",
    "Timeout",
    "config",
    "fork",
    "get_hub",
    "getcurrent",
    "getswitchinterval",
    "idle",
    "iwait",
    "joinall",
    "kill",
    "killall",
    "reinit",
    "setswitchinterval",
    "signal_handler",
    "sleep",
    "spawn",
    "spawn_later",
    "spawn_raw",
    "wait",
    "with_timeout",
]

config.apply()
