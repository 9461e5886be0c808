"""greenio: plain blocking Python, tens of thousands of connections in one thread.

Layers, from the bottom, above `hub`; each module knows only those named before it:

    Timeout, and deadlines made of it
            timeout, _tasks.deadline
    Greenlet, and the links to it
            _tasks.raw, _tasks.link_list, _tasks.links, _tasks.spawn_place, _tasks.idents, greenlet, _tasks.spawning,
            taskgroup
    the identity of a thread; data of each greenlet
            _patched.identity, local, time
    events, locks and queues
            _sync.linkable, event, _sync.naming, _sync.mutex, _sync.condition, _sync.semaphore, lock, mutex,
            _sync.containers, _sync.hooked, _sync.channel, queue
    several greenlets at once: waiting, pools, reports
            _tasks.waiting, _tasks.choosing, _tasks.imap, pool, _tasks.pool_threads, threadpool, util
    settings; signals and forks of a program; gevent's names
            config, config.__main__, _tasks.program, hub
    waiting for a descriptor or a child; calls that block; signal handlers
            _descriptors.pauses, _descriptors.holding, _descriptors.blocking, _descriptors.bare,
            _descriptors.endpoint, _descriptors.addresses, _descriptors.transfer, _descriptors.accepting,
            _descriptors.readiness, _descriptors.nowait, _patched.signal_handlers, _descriptors.children,
            _descriptors.shell, _descriptors.signalfd
    files and locks of files; many descriptors at once
            _descriptors.buffered, fileobject, fs, fcntl, select, selectors
    names
            resolver, resolver.numeric, resolver.hosts, resolver.base, resolver.names, resolver.thread,
            resolver.ares
    sockets and TLS
            _descriptors.datagram, _descriptors.whole, _descriptors.connecting, socket, resolver.dnspython,
            _descriptors.tls, ssl
    processes and signals
            subprocess, os, signal
    servers
            _servers.addresses, _servers.listening, _servers.handlers, _servers.places, _servers.unix_paths,
            _servers.datagrams, _servers.seconds, _servers.other_threads, _servers.tls, _servers.streams,
            _servers.counts, baseserver, server, backdoor
    several processes that serve one address
            _workers.standard_error, _workers.options, _workers.listeners, _workers.notify, _workers.stacks,
            _workers.worker, _workers.process, _workers.slot, _workers.metrics, _workers.status,
            _workers.supervisor, workers
    the WSGI server
            _wsgi.errors, _wsgi.grammar, _wsgi.limits, _wsgi.parser, _wsgi.request, _wsgi.response, _wsgi.stream,
            _wsgi.body, _wsgi.networks, _wsgi.forwarded, _wsgi.proxy_protocol, _wsgi.files, _wsgi.client,
            _wsgi.environ, _wsgi.log, _websocket.request, _wsgi.reading, _wsgi.answering, _wsgi.handler, _wsgi.server,
            _wsgi.loading, _wsgi.arguments, _wsgi.command, wsgi, pywsgi
    WebSocket
            _websocket.errors, _websocket.arguments, _websocket.sansio, _websocket.sending, _websocket.receiving,
            _websocket.connection, _websocket.werkzeug_socket, _websocket.serving, _websocket.proxies,
            _websocket.client, websocket
    the replacements that patching uses, and its events
            _patched.home, _patched.frames, _patched.running_loop, thread, threading, _patched.multiprocessing,
            _patched.interpreters, events
    what tests need of a program
            _testing.limits, _testing.at_work, _testing.clock, _testing.leftovers, testing, _testing.plugin
    the names at the top of the package
            __init__
    other packages, and patching: nothing else imports them
            contrib, contrib.debugpy, contrib.kombu, contrib.psycopg, contrib.psycopg2, contrib.pycares,
            contrib.zmq, monkey.tables, monkey.imports, monkey.replacing, monkey.patching, monkey.adapters,
            monkey.locks, monkey.standard, monkey, monkey.__main__, contrib.celery,
            contrib._gunicorn, contrib._gunicorn.process, contrib._gunicorn.settings, contrib._gunicorn.requests,
            contrib.gunicorn

Importing the package makes no event loop: a thread's loop is made when the thread first waits for something.
"""

# ruff: noqa: E402  (it says first whose `hub` it finds)

import sys as _sys
from importlib.util import find_spec as _find_spec


def _require_our_hub():
    """Raise ImportError if the name `hub` belongs to another package's module, before that module runs."""
    module = _sys.modules.get("hub")
    if module is None:
        spec = _find_spec("hub")
        place = spec.origin if spec else None
    else:
        place = getattr(module, "__file__", None) or "another module"
    if place is None or _is_our_hub(place):
        return
    by = _distribution_of(place)
    if by:
        raise ImportError(
            f"greenio's own package `hub` is hidden by {place}, of the distribution {by!r}: the two cannot be in one "
            f"environment; uninstall {by}, and install greenio again, or make another environment for it",
            name="hub",
        )
    raise ImportError(
        f"greenio's own package `hub` is hidden by {place}: rename that, greenio needs the name", name="hub"
    )


def _is_our_hub(place):
    """Whether the file is that of our package, and not one that another distribution has put in its place."""
    if not place.endswith("__init__.py"):
        return place.endswith("__init__.pyc")  # the program carries no sources
    try:
        with open(place, encoding="utf-8", errors="replace") as file:
            return file.readline().startswith('"""The engine: an event loop on libuv')
    except OSError:
        return True


def _distribution_of(place):
    """The name of the distribution that installed the file, or None."""
    from importlib.metadata import distributions
    from pathlib import Path

    place = Path(place).resolve()
    for found in distributions():
        name = found.metadata["Name"]
        files = [Path(str(found.locate_file(file))).resolve() for file in _files_of_hub(found)]
        if name != "greenio" and place in files:
            return name
    return None


def _files_of_hub(distribution):
    return [file for file in distribution.files or () if file.parts[0] in ("hub", "hub.py")]


_require_our_hub()
import hub.scheduler as _scheduler  # noqa: F401  (first: the hub says where it cannot be used)

# isort: split

from greenlet import GreenletExit, getcurrent
from hub import __version__ as __version__
from hub import get_hub, sleep
from hub.at_exit import keep_package
from hub.hub import set_factory

from greenio import hub as hub  # usable after `import greenio`, as gevent.hub is
from greenio._tasks.choosing import wait_any
from greenio._tasks.deadline import fail_after, move_on_after
from greenio._tasks.program import fork, getswitchinterval, idle, reinit, setswitchinterval, signal_handler
from greenio._tasks.spawning import kill, spawn, spawn_later, spawn_raw
from greenio._tasks.waiting import iwait, joinall, killall, wait
from greenio.config import config
from greenio.greenlet import Greenlet
from greenio.taskgroup import TaskGroup
from greenio.timeout import Timeout, with_timeout

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
