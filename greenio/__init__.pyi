from greenlet import GreenletExit as GreenletExit
from greenlet import getcurrent as getcurrent
from hub import __version__ as __version__
from hub import get_hub as get_hub
from hub import sleep as sleep

from greenio import hub as hub
from greenio.choosing import wait_any as wait_any
from greenio.config import config as config
from greenio.deadline import fail_after as fail_after
from greenio.deadline import move_on_after as move_on_after
from greenio.greenlet import Greenlet as Greenlet
from greenio.process import fork as fork
from greenio.process import getswitchinterval as getswitchinterval
from greenio.process import idle as idle
from greenio.process import reinit as reinit
from greenio.process import setswitchinterval as setswitchinterval
from greenio.process import signal_handler as signal_handler
from greenio.spawning import kill as kill
from greenio.spawning import spawn as spawn
from greenio.spawning import spawn_later as spawn_later
from greenio.spawning import spawn_raw as spawn_raw
from greenio.taskgroup import TaskGroup as TaskGroup
from greenio.timeout import Timeout as Timeout
from greenio.timeout import with_timeout as with_timeout
from greenio.waiting import iwait as iwait
from greenio.waiting import joinall as joinall
from greenio.waiting import killall as killall
from greenio.waiting import wait as wait

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
