"""Where each public name of gevent is in greenio: the tables of docs/coming_from/gevent.md.

    python docs/making/coming_from_gevent.py

prints them, and says which names have no place yet. gevent_names.json has gevent's names. A name that greenio has in
the module of the same name is the same there, and needs no line here; for every other one the tables below say what to
use instead. Names of greenio and hub in those texts are looked up, so that none is told of that is not there.
"""

import functools
import importlib
import importlib.util
import json
import pkgutil
import re
import socket
import sys
from pathlib import Path

NAMES = Path(__file__).with_name("gevent_names.json")
_WATCHED = (
    "there is no thread that watches the hub. `greenio.util.assert_switches` finds a block that keeps others from "
    "running; py-spy shows what a process does"
)
_MEMORY = "a greenlet that looks at `resource.getrusage()` now and then"

#: What to use instead of a name of a module, or of a whole module.
ELSEWHERE = {
    "gevent.ares": "`greenio.resolver.ares`; its channels are pycares' own",
    "gevent.contextvars": "`contextvars`: each greenlet has a context of its own",
    "gevent.core": "`hub.Hub.loop`, with the watchers of gevent's loop. There is one kind of loop, libuv's",
    "gevent.events.EventLoopBlocked": _WATCHED,
    "gevent.events.IEventLoopBlocked": _WATCHED,
    "gevent.events.IPeriodicMonitorThread": _WATCHED,
    "gevent.events.IPeriodicMonitorThreadStartedEvent": _WATCHED,
    "gevent.events.PeriodicMonitorThreadStartedEvent": _WATCHED,
    "gevent.events.IMemoryUsageThresholdExceeded": _MEMORY,
    "gevent.events.IMemoryUsageUnderThreshold": _MEMORY,
    "gevent.events.MemoryUsageThresholdExceeded": _MEMORY,
    "gevent.events.MemoryUsageUnderThreshold": _MEMORY,
    "gevent.events.IGeventPatchEvent": "`greenio.events.PatchEvent`; nothing needs zope.interface",
    "gevent.events.IGeventWillPatchEvent": "`greenio.events.WillPatchEvent`",
    "gevent.events.IGeventWillPatchModuleEvent": "`greenio.events.WillPatchModuleEvent`",
    "gevent.events.IGeventDidPatchModuleEvent": "`greenio.events.DidPatchModuleEvent`",
    "gevent.events.IGeventWillPatchAllEvent": "`greenio.events.WillPatchAllEvent`",
    "gevent.events.IGeventDidPatchEvent": "`greenio.events.PatchEvent`",
    "gevent.events.IGeventDidPatchBuiltinModulesEvent": "`greenio.events.DidPatchBuiltinModulesEvent`",
    "gevent.events.IGeventDidPatchAllEvent": "`greenio.events.DidPatchAllEvent`",
    "gevent.exceptions": "`hub.LoopExit` and its like: the exceptions are the hub's",
    "gevent.greenlet.joinall": "`greenio.joinall`",
    "gevent.greenlet.killall": "`greenio.killall`",
    "gevent.monkey.main": "`python -m greenio.monkey`",
    "gevent.monkey.api": "`greenio.monkey`",
    "gevent.monkey.api.patch_item": "`greenio.monkey.patch_module`, for a module of your own",
    "gevent.monkey.api.remove_item": "nothing: patching removes nothing",
    "gevent.resolver.blocking": "nothing: no resolver blocks",
    "gevent.resolver.cares": "pycares",
    "gevent.resolver_ares": "`greenio.resolver.ares`",
    "gevent.resolver_thread": "`greenio.resolver.thread`",
    "gevent.selectors.GeventSelector": "`greenio.selectors.DefaultSelector`",
    "gevent.ssl.RAND_pseudo_bytes": "`ssl.RAND_bytes()`: CPython 3.12 and later have no other",
    "gevent.ssl.match_hostname": "a context's `check_hostname`: CPython 3.12 and later have no such function",
    "gevent.ssl.wrap_socket": "`wrap_socket()` of a TLS context: CPython 3.12 and later have no such function",
    "gevent.thread.TIMEOUT_MAX": "`threading.TIMEOUT_MAX`",
    "gevent.thread.allocate": "`greenio.thread.allocate_lock`",
    "gevent.thread.get_native_id": "`threading.get_native_id()`",
    "gevent.thread.interrupt_main": "`_thread.interrupt_main()`",
    "gevent.thread.stack_size": "`threading.stack_size()`",
    "gevent.threading.Thread": "`threading.Thread`, whose threads are greenlets in a patched program",
    "gevent.threading.Timer": "`threading.Timer`, in the same way",
}

#: The same for members of classes: {class: {member: text}}; "*" there stands for all that are not named.
MEMBERS = {
    "Channel": {"getters, putters": "nothing: `repr()` tells who waits"},
    "Environ, SecureEnviron, WSGISecureEnviron": {"iteritems": "`items()`"},
    "FileObject, FileObjectBlock, FileObjectPosix, FileObjectThread": {
        "default_bufsize": "`io.DEFAULT_BUFFER_SIZE`",
    },
    "GeventDidPatchAllEvent, GeventDidPatchBuiltinModulesEvent, GeventWillPatchAllEvent": {},
    "Greenlet": {"spawning_stack_limit": "the setting `spawning_stack_limit`"},
    "Hub": {
        "backend": "nothing: it is epoll",
        "cancel_waits_close_and_then": "`close()` of the object, which ends the waits for its descriptor",
        "loop_class": "nothing: there is one loop",
        "main_hub": "`threading.current_thread() is threading.main_thread()`",
        "periodic_monitoring_thread, start_periodic_monitoring_thread": _WATCHED,
        "resolver_class": "the setting `resolver`, or an object that is assigned to `greenio.get_hub().resolver`",
        "threadpool_class": "a pool that is assigned to `greenio.get_hub().threadpool`",
        "ident_registry": "nothing: `minimal_ident` of a greenlet has its number",
    },
    "LockType, allocate_lock": {
        "counter": "`locked()`",
        "linkcount, rawlink, ready, unlink, wait": "a `greenio.lock.Semaphore`, which has them",
    },
    "Popen": {"pipe_cloexec": "nothing: pipes are not inherited"},
    "Resolver": {
        "EAI_FAMILY_MSG, EAI_NONAME_MSG, HOSTNAME_ENCODING, cares_class, fixup_gaierror": "nothing: a subclass of "
        "`greenio.resolver.base.BaseResolver` needs none",
        "resolver": "nothing: `config.resolver_nameservers` and `config.resolver_timeout` set it up",
    },
    "SSLSocket, SocketType, socket": {
        "closed": "`fileno() == -1`",
        "ref": "nothing: a wait for a socket always keeps the loop going",
    },
    "StreamServer": {
        "ssl_enabled, wrap_socket_and_handle": "`wrap_socket()` of a TLS context, in the handler",
    },
    "ThreadPool": {"fork_watcher, manager, pid": "nothing: the pool of a forked child is empty"},
    "ThreadResult": {
        "async_watcher, context, destroy_in_main_thread, handle_error, receiver": "nothing: parts of gevent's pool",
    },
    "WSGIHandler": {
        "MessageClass, headers, read_requestline": "nothing: llhttp reads requests. Their fields are in `environ`",
    },
    "Waiter": {"greenlet, value": "`ready()` and `get()`"},
    "assert_switches": {"tracer": "nothing: it uses none"},
    "signal, signal_handler": {"greenlet_class": "nothing: handlers run in a `Greenlet`"},
    "*": {"hub": "`greenio.get_hub()`: an object belongs to no hub, and every thread may use it"},
}

#: Attributes that instances have, and their class does not show.
OF_INSTANCES = {
    "FileObject": ["close", "closed", "io", "next"],
    "FileObjectBlock": ["closed", "io"],
    "FileObjectPosix": ["closed", "io"],
    "FileObjectThread": ["closed", "io"],
    "GeventDidPatchAllEvent": ["patch_all_arguments", "patch_all_kwargs"],
    "GeventDidPatchBuiltinModulesEvent": ["patch_all_arguments", "patch_all_kwargs"],
    "GeventWillPatchAllEvent": ["patch_all_arguments", "patch_all_kwargs"],
    "GreenletTree": ["greenlet", "root"],
    "Hub": ["name"],
    "LockType": ["acquire", "locked", "release"],
    "allocate_lock": ["acquire", "locked", "release"],
    "poll": ["modify", "poll", "register", "unregister"],
    "ThreadPool": ["task_queue"],
    "WSGIHandler": ["application", "environ", "response_headers"],
    "WSGIServer": ["error_log", "log"],
}

#: What to use instead of gevent's settings. Those of the same name are the same.
SETTINGS = {
    "ares_servers": "`resolver_nameservers`",
    "ares_timeout": "`resolver_timeout`",
    "ares_flags": "nothing; `/etc/resolv.conf` has options",
    "ares_ndots": "`options ndots:` in `/etc/resolv.conf`",
    "ares_tries": "`options attempts:` in `/etc/resolv.conf`",
    "ares_tcp_port": "a port in `resolver_nameservers`",
    "ares_udp_port": "a port in `resolver_nameservers`",
    "disable_watch_children": "nothing: children are watched one by one, and none is reaped that nobody waits for",
    "fileobject": "`greenio.fileobject.FileObjectPosix` or `FileObjectThread`, by name",
    "format_context": "`greenio.get_hub().format_context`",
    "libev_backend": "nothing: it is epoll",
    "loop": "nothing: it is libuv's",
    "max_blocking_time": "`max_blocking_time` of `greenio.util.assert_switches`",
    "max_memory_usage": _MEMORY,
    "memory_monitor_period": _MEMORY,
    "monitor_thread": _WATCHED,
    "print_blocking_reports": _WATCHED,
    "threadpool": "a pool that is assigned to `greenio.get_hub().threadpool`",
    "threadpool_idle_task_timeout": "`idle_task_timeout` of `greenio.threadpool.ThreadPool`",
    "trace_malloc": "nothing: there is no cffi to trace",
}


def gevent():
    """What list_gevent_names.py has found."""
    return json.loads(NAMES.read_text())


def require_greenio():
    """Raise RuntimeError if greenio cannot be imported: every name would be missing."""
    try:
        importlib.import_module("greenio")
    except ImportError as error:
        raise RuntimeError(f"the tables need greenio; pip install '.[docs]' installs it: {error}") from error


def find(name):
    """The object with a dotted name of greenio's or hub's. Raises LookupError if there is none."""
    parts = name.split(".")
    length = next(length for length in range(len(parts), 0, -1) if ".".join(parts[:length]) in modules_there())
    found = importlib.import_module(".".join(parts[:length]))
    for part in parts[length:]:
        if not hasattr(found, part) and part not in OF_INSTANCES.get(parts[length], ()):
            raise LookupError(name)
        found = getattr(found, part, None)
    return found


@functools.cache
def modules_there():
    """The names of all modules of greenio and hub (set of str)."""
    packages = [importlib.import_module(name) for name in ("greenio", "hub")]
    return {"greenio", "hub"} | {
        module.name
        for package in packages
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    }


def has(name):
    """Whether greenio has something with this dotted name."""
    try:
        find(name)
    except LookupError:
        return False
    return True


def same(module):
    """The module of greenio that has the name of one of gevent's."""
    return "greenio" + module.removeprefix("gevent")


def instead(module, name):
    """What to use instead of a name that greenio does not have in the same module; None if nothing says so."""
    return ELSEWHERE.get(f"{module}.{name}") or ELSEWHERE.get(module)


def instead_of_member(name, member):
    """The same for a member of a class."""
    for names in (name, "*"):
        for classes, members in MEMBERS.items():
            if names in classes.split(", "):
                for listed, text in members.items():
                    if member in listed.split(", "):
                        return text
    return None


def missing_members():
    """Members that greenio's classes do not have: {(class, member): text or None}."""
    found = {}
    for module, names in gevent()["modules"].items():
        for name, members in names.items():
            if has(f"{same(module)}.{name}"):
                for member in members:
                    if member not in OF_INSTANCES.get(name, ()) and not has(f"{same(module)}.{name}.{member}"):
                        found[name, member] = instead_of_member(name, member)
    return found


def unplaced():
    """What no table has a place for (list of str).

    Constants of the system that this CPython's `socket` does not know yet, and newer ones do, are left out.
    """
    left = []
    for module, names in gevent()["modules"].items():
        left += [f"{module}.{name}" for name in names if not (has(f"{same(module)}.{name}") or instead(module, name))]
    left = [name for name in left if not is_unknown_constant(*name.rpartition(".")[::2])]
    left += [f"{name}.{member}" for (name, member), text in missing_members().items() if text is None]
    return left + [name for name in gevent()["settings"] if not (has_setting(name) or name in SETTINGS)]


def is_unknown_constant(module, name):
    """Whether it is a constant of `socket` that the running CPython does not have."""
    return module == "gevent.socket" and name.isupper() and not hasattr(socket, name)


def has_setting(name):
    return name in find("greenio.config.config").settings


def told_of():
    """The names of greenio's and hub's that the texts tell of (set of str)."""
    texts = [*ELSEWHERE.values(), *SETTINGS.values(), *(text for each in MEMBERS.values() for text in each.values())]
    return set(re.findall(r"`((?:greenio|hub)(?:\.\w+)+)[`(]", " ".join(texts)))


def link(name):
    """A module of greenio's as a link to its page, if it has one."""
    from reference import modules

    return f"[`{name}`](../reference/{name}.md)" if name in modules() else f"`{name}`"


def quoted(names):
    return ", ".join(f"`{name}`" for name in names)


def own_names(module, names):
    """Those of a module's names that are not the standard library's of the same module; how many others there are."""
    try:
        standard = set(vars(importlib.import_module(module.rpartition(".")[2])))
    except ModuleNotFoundError:
        standard = set()
    if module.count(".") != 1 or len(standard & set(names)) < 20:
        return names, 0
    return [name for name in names if name not in standard], len(standard & set(names))


def table_of_names():
    require_greenio()
    lines = ["| gevent | greenio |", "| --- | --- |"]
    for module, names in gevent()["modules"].items():
        there = [name for name in names if has(f"{same(module)}.{name}")]
        if there:
            own, others = own_names(module, there)
            listed = (
                quoted(own) + (" and " if own and others else "") + ("the standard module's names" if others else "")
            )
            lines.append(f"| `{module}`: {listed} | {link(same(module))}: the same |")
        texts = {}
        for name in names:
            if name not in there:
                texts.setdefault(instead(module, name), []).append(name)
        lines += [f"| `{module}`: {quoted(missing)} | {text} |" for text, missing in texts.items()]
    return "\n".join(lines)


def table_of_members():
    texts = {}
    for (name, member), text in sorted(missing_members().items()):
        if member != "hub":
            texts.setdefault(text, []).append(f"{name}.{member}")
    lines = [f"| {quoted(names)} | {text} |" for text, names in sorted(texts.items(), key=lambda each: each[1])]
    lines.append(f"| `hub` of sockets, locks, queues and their like | {MEMBERS['*']['hub']} |")
    return "\n".join(["| gevent | greenio |", "| --- | --- |", *lines])


def table_of_settings():
    lines = ["| gevent | variable | greenio |", "| --- | --- | --- |"]
    settings = find("greenio.config.config").settings
    for name, variable in sorted(gevent()["settings"].items()):
        text = f"`{name}`, `{settings[name].environment_key}`" if has_setting(name) else SETTINGS[name]
        lines.append(f"| `{name}` | `{variable}` | {text} |")
    return "\n".join(lines)


#: What stands in the page where each table belongs.
TABLES = {
    "<!-- table: names -->": table_of_names,
    "<!-- table: members -->": table_of_members,
    "<!-- table: settings -->": table_of_settings,
}


def main():
    for package in ("pycares", "dns"):
        if importlib.util.find_spec(package) is None:
            sys.exit(f"the tables need the resolvers' packages, and {package} is missing: pip install '.[docs]'")
    for table in TABLES.values():
        print(table(), end="\n\n")
    if unplaced():
        sys.exit(f"without a place in {__file__}: {', '.join(unplaced())}")


if __name__ == "__main__":
    main()
