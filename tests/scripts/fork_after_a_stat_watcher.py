"""A stat watcher, for which libuv starts threads of its own, has run in the parent; a forked child ends as usual."""

import os
import sys

import greenio

with greenio.get_hub().loop.stat(__file__, 0.001) as watcher:
    watcher.start(int)
    greenio.sleep(0.01)
pid = greenio.fork()
if pid == 0:
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
