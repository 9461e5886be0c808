"""greenio: plain blocking Python, tens of thousands of connections in one thread.

Layers, from the bottom; each knows only those below it:

    hub (a package of its own)       the loop and the scheduler
    timeout; greenlet, identity      Timeout; Greenlet; which thread is this
    linkable, event, semaphore, mutex, condition, lock, queue, local
                                     where greenlets, and threads, meet
    spawning, waiting, choosing      spawn, kill; wait, joinall; wait_any
    deadline, taskgroup, mapping, pool, threadpool, util
                                     many greenlets or threads under one roof; who does what
    config, process, hub             settings; signals and forks
    resolver, stream, readiness, connecting, whole, socket
                                     names, and cooperative sockets
    nowait, blocking, children, shell, signalfd, signal_handlers
                                     descriptors that others share; calls that may block for ever; child processes
    ssl, select, selectors, fileobject, subprocess, os, fs, fcntl, signal, time
                                     TLS; many descriptors at once; pipes, files, processes, signals
    baseserver, server               servers
    thread, threading, multiprocessing, running_loop, events
                                     what patching puts in place, and whom it tells
    contrib, monkey                  other packages; patching. Nothing imports them

Importing it makes no event loop: that is made when a thread first waits for something.
"""

import hub as _hub  # noqa: F401  (first: it says where it cannot be used)

# isort: split

from greenlet import GreenletExit, getcurrent
from hub import __version__, get_hub, sleep
from hub.at_exit import keep_package
from hub.hub import set_factory

from greenio import hub as hub  # usable after `import greenio`, as gevent.hub is
from greenio.choosing import wait_any
from greenio.config import config
from greenio.deadline import fail_after, move_on_after
from greenio.greenlet import Greenlet
from greenio.process import fork, getswitchinterval, idle, reinit, setswitchinterval, signal_handler
from greenio.spawning import kill, spawn, spawn_later, spawn_raw
from greenio.taskgroup import TaskGroup
from greenio.timeout import Timeout, with_timeout
from greenio.waiting import iwait, joinall, killall, wait

version_info = tuple(int(part) for part in __version__.split(".")[:3])

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


def _make_threadpool(hub):
    from greenio.threadpool import ThreadPool

    return ThreadPool(hub.threadpool_size, hub, idle_task_timeout=5)


def _make_resolver(hub):
    from greenio.resolver import make_resolver

    return make_resolver(hub)


keep_package("greenio")
set_factory("threadpool", _make_threadpool)
set_factory("resolver", _make_resolver)
config.apply()
