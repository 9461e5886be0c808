"""The order of the modules, from the bottom: each imports only from those that are named before it.

`docs/design.md`, `hub/__init__.py` and `greenio/__init__.py` list them in this order; tests/test_layers.py checks the
imports, and these lists, against it. A package stands for the module of its `__init__`.
"""

#: Layers of `hub`: what the layer is, and its modules.
HUB = [
    ("libuv's functions, and helpers that import nothing of ours", [
        "protocols", "generic", "errors", "arguments", "interpreter", "native", "forks", "unraisable",
        "low_descriptors", "pyuv_source", "greenlet_api", "libuv",
    ]),
    ("timers; the ready queue, and the C half of a wait", ["timers", "ready"]),
    ("the loop: descriptor watches, handles, its sleep and its end", [
        "core", "all_loops", "wakeup_slot", "watches", "handles", "sleeping", "stopped_clock", "loop_end",
        "loop", "pyuv",
    ]),
    ("exceptions thrown into greenlets; the timeouts of sockets", ["thrown", "deadlines"]),
    ("memory for greenlets; the end of the interpreter; reports of errors", ["stacks", "at_exit", "report", "repeats"]),
    ("a hub, floor by floor: its thread, callbacks, greenlets and waits", [
        "current", "callbacks", "greenlets", "waits",
    ]),
    ("the scheduler, which parks greenlets, wakes them and runs the loop", ["turns", "printing", "scheduler"]),
    ("signals; one hub for each thread; the end of a hub", ["signals", "threads", "ending"]),
    ("descriptors that are closed; standing in line", ["closing", "wait_queue"]),
    ("gevent's watchers, with Python callbacks", ["watchers", "event_loop"]),
    ("Hub: all of that in one class", ["hub"]),
]  # fmt: skip

#: Layers of `greenio`, which may import all of `hub`.
GREENIO = [
    ("Timeout, and deadlines made of it", ["timeout", "_tasks.deadline"]),
    ("Greenlet, and the links to it", [
        "_tasks.raw", "_tasks.link_list", "_tasks.links", "_tasks.spawn_place", "_tasks.idents", "greenlet",
        "_tasks.spawning", "taskgroup",
    ]),
    ("the identity of a thread; data of each greenlet", ["_patched.identity", "local", "time"]),
    ("events, locks and queues", [
        "_sync.linkable", "event", "_sync.naming", "_sync.mutex", "_sync.condition", "_sync.semaphore", "lock", "mutex",
        "_sync.containers", "_sync.hooked", "_sync.channel", "queue",
    ]),
    ("several greenlets at once: waiting, pools, reports", [
        "_tasks.waiting", "_tasks.choosing", "_tasks.imap", "pool", "_tasks.pool_threads", "threadpool", "util",
    ]),
    ("settings; signals and forks of a program; gevent's names", [
        "config", "config.__main__", "_tasks.program", "hub",
    ]),
    ("waiting for a descriptor or a child; calls that block; signal handlers", [
        "_descriptors.pauses", "_descriptors.holding", "_descriptors.blocking", "_descriptors.bare",
        "_descriptors.endpoint", "_descriptors.addresses", "_descriptors.transfer", "_descriptors.accepting",
        "_descriptors.readiness", "_descriptors.nowait", "_patched.signal_handlers", "_descriptors.children",
        "_descriptors.shell", "_descriptors.signalfd",
    ]),
    ("files and locks of files; many descriptors at once", [
        "_descriptors.buffered", "fileobject", "fs", "fcntl", "select", "selectors",
    ]),
    ("names", [
        "resolver", "resolver.numeric", "resolver.hosts", "resolver.base", "resolver.names", "resolver.thread",
        "resolver.ares",
    ]),
    ("sockets and TLS", [
        "_descriptors.datagram", "_descriptors.whole", "_descriptors.connecting", "socket", "resolver.dnspython",
        "_descriptors.tls", "ssl",
    ]),
    ("processes and signals", ["subprocess", "os", "signal"]),
    ("servers", [
        "_servers.addresses", "_servers.listening", "_servers.handlers", "_servers.places", "_servers.unix_paths",
        "_servers.datagrams", "_servers.seconds", "_servers.other_threads", "_servers.tls", "_servers.streams",
        "_servers.counts", "baseserver", "server", "backdoor",
    ]),
    ("several processes that serve one address", [
        "_workers.standard_error", "_workers.options", "_workers.listeners", "_workers.notify", "_workers.stacks",
        "_workers.worker", "_workers.process", "_workers.slot", "_workers.metrics", "_workers.status",
        "_workers.supervisor", "workers",
    ]),
    ("the WSGI server", [
        "_wsgi.errors", "_wsgi.grammar", "_wsgi.limits", "_wsgi.parser", "_wsgi.request", "_wsgi.response",
        "_wsgi.stream", "_wsgi.body",
        "_wsgi.networks", "_wsgi.forwarded", "_wsgi.proxy_protocol", "_wsgi.files", "_wsgi.client", "_wsgi.environ",
        "_wsgi.log", "_websocket.request", "_wsgi.reading", "_wsgi.answering", "_wsgi.handler", "_wsgi.server",
        "_wsgi.loading", "_wsgi.arguments", "_wsgi.command", "wsgi", "pywsgi",
    ]),
    ("WebSocket", [
        "_websocket.errors", "_websocket.arguments", "_websocket.sansio", "_websocket.sending", "_websocket.receiving",
        "_websocket.connection", "_websocket.werkzeug_socket", "_websocket.serving", "_websocket.proxies",
        "_websocket.client", "websocket",
    ]),
    ("the replacements that patching uses, and its events", [
        "_patched.home", "_patched.frames", "_patched.running_loop", "thread", "threading", "_patched.multiprocessing",
        "_patched.interpreters", "events",
    ]),
    ("what tests need of a program", [
        "_testing.limits", "_testing.at_work", "_testing.clock", "_testing.leftovers", "testing", "_testing.plugin",
    ]),
    ("the names at the top of the package", [""]),
    ("other packages, and patching: nothing else imports them", [
        "contrib", "contrib.debugpy", "contrib.kombu", "contrib.psycopg", "contrib.psycopg2", "contrib.pycares",
        "contrib.zmq", "monkey.tables", "monkey.imports", "monkey.replacing", "monkey.patching", "monkey.adapters",
        "monkey.locks", "monkey.standard", "monkey", "monkey.__main__", "contrib.celery",
        "contrib._gunicorn", "contrib._gunicorn.process", "contrib._gunicorn.settings", "contrib._gunicorn.requests",
        "contrib.gunicorn",
    ]),
]  # fmt: skip

#: Modules that import other packages: a package may be missing, and the module for celery patches its process.
FOR_OTHER_PACKAGES = {"greenio.contrib.celery", "greenio.contrib.gunicorn"}

#: Imports of a module from a higher layer, which are made in a call and not when the module is imported.
LATE = {
    ("greenio", "greenio.resolver"), ("greenio", "greenio.threadpool"),
    ("greenio._wsgi.command", "greenio.monkey"), ("greenio.server", "greenio.workers"),
    ("greenio._wsgi.reading", "greenio._websocket.serving"),
}  # fmt: skip

#: Stubs that name the class `Hub` from the top layer: their functions return hubs, which are of that type for programs.
STUBS_THAT_NAME_HUB = {"current.pyi", "threads.pyi", "waits.pyi", "watchers.pyi"}

#: Files outside `greenio` that import its internal modules: they test types, or code that no public call reaches.
USERS_OF_INTERNAL_MODULES = {
    "fork_child_ends.py", "homes.py", "modules.py", "test_buffered.py", "test_children.py", "test_connecting.py",
    "test_gunicorn.py", "test_os.py", "test_refused_at_once.py", "test_signal_handlers.py", "test_subprocess.py",
    "test_websocket.py", "test_websocket_corpus.py", "test_websocket_server.py", "test_workers_replaced.py",
    "test_workers_status.py", "test_wsgi_input.py", "test_wsgi_limits.py",
}  # fmt: skip


def in_order():
    """Return the names of all modules, from the bottom (list of str)."""
    of_hub = [f"hub.{name}" for _, names in HUB for name in names]
    of_greenio = [f"greenio.{name}".rstrip(".") for _, names in GREENIO for name in names]
    return [*of_hub, "hub", *of_greenio]
