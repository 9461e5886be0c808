"""A program gets LoopExit, and ends, while a thread of the library is in a call that does not return."""

import os
import signal
import sys

from hub import LoopExit

import greenio
from greenio import os as cooperative
from greenio.event import Event

pid = os.posix_spawn(
    "/bin/sleep", ["sleep", "2"], {}, file_actions=[(os.POSIX_SPAWN_CLOSE, 1), (os.POSIX_SPAWN_CLOSE, 2)]
)  # fmt: skip
waiting = greenio.spawn(cooperative.wait)
greenio.sleep(0.01)
if sys.argv[1] == "killed":
    waiting.kill()
    try:
        Event().wait()
    except LoopExit as error:
        print(type(error).__name__)
    os.kill(pid, signal.SIGKILL)
else:
    print("ends")
