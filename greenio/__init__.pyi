from greenlet import GreenletExit as GreenletExit
from greenlet import getcurrent as getcurrent
from hub import __version__ as __version__
from hub import get_hub as get_hub
from hub import sleep as sleep

from greenio import hub as hub
from greenio._tasks.choosing import wait_any as wait_any
from greenio._tasks.deadline import fail_after as fail_after
from greenio._tasks.deadline import move_on_after as move_on_after
from greenio._tasks.program import fork as fork
from greenio._tasks.program import getswitchinterval as getswitchinterval
from greenio._tasks.program import idle as idle
from greenio._tasks.program import reinit as reinit
from greenio._tasks.program import setswitchinterval as setswitchinterval
from greenio._tasks.program import signal_handler as signal_handler
from greenio._tasks.spawning import kill as kill
from greenio._tasks.spawning import spawn as spawn
from greenio._tasks.spawning import spawn_later as spawn_later
from greenio._tasks.spawning import spawn_raw as spawn_raw
from greenio._tasks.waiting import iwait as iwait
from greenio._tasks.waiting import joinall as joinall
from greenio._tasks.waiting import killall as killall
from greenio._tasks.waiting import wait as wait
from greenio.config import config as config
from greenio.greenlet import Greenlet as Greenlet
from greenio.taskgroup import TaskGroup as TaskGroup
from greenio.timeout import Timeout as Timeout
from greenio.timeout import with_timeout as with_timeout

version_info: tuple[int, ...]

__all__ = [
    "Greenlet",
    "GreenletExit",
    "TaskGroup",
    "Timeout",
    "config",
    "fail_after",
    "fork",
    "get_hub",
    "getcurrent",
    "getswitchinterval",
    "idle",
    "iwait",
    "joinall",
    "kill",
    "killall",
    "move_on_after",
    "reinit",
    "setswitchinterval",
    "signal_handler",
    "sleep",
    "spawn",
    "spawn_later",
    "spawn_raw",
    "wait",
    "wait_any",
    "with_timeout",
]
