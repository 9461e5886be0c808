"""The patch functions, one for each part of the standard library."""

from __future__ import annotations

import sys
from importlib import import_module

from hub.native import saved

from greenio.monkey import patching
from greenio.monkey.imports import when_imported
from greenio.monkey.patching import done, patch, warn
from greenio.monkey.replacing import patch_item
from greenio.monkey.tables import TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec

    Arguments = ParamSpec("Arguments")

__all__ = [
    "patch_asyncio", "patch_builtins", "patch_contextvars", "patch_dns", "patch_fcntl", "patch_multiprocessing",
    "patch_os", "patch_queue", "patch_select", "patch_selectors", "patch_signal", "patch_socket", "patch_ssl",
    "patch_subprocess", "patch_sys", "patch_thread", "patch_time",
]  # fmt: skip


def _once(function: Callable[Arguments, Any]) -> Callable[Arguments, bool]:
    """A patch function that does nothing when it has done its work, and returns whether it did anything."""
    name = function.__name__.removeprefix("patch_")

    def patch_once(*args: Arguments.args, **kwargs: Arguments.kwargs) -> bool:
        if name in done:
            return False
        replaced = function(*args, **kwargs)
        if replaced:
            done.add(name)
        return bool(replaced)

    patch_once.__name__ = patch_once.__qualname__ = function.__name__
    patch_once.__doc__ = function.__doc__
    patch_once.__wrapped__ = function  # type: ignore[attr-defined]  # as functools.wraps() does
    return patch_once


@_once
def patch_os() -> bool:
    """Let what waits in `os` let greenlets run: reading and writing pipes, waiting for children, `system`, `popen`."""
    return patch("os")


@_once
def patch_time() -> bool:
    """Let time.sleep() let greenlets run."""
    return patch("time")


@_once
def patch_queue() -> bool:
    """Put greenio's queues in the place of those of `queue`."""
    if not patch("queue"):
        return False
    # It may be imported anew, and is compiled: its own queue would block the thread.
    when_imported("_queue", lambda module: patch("_queue"), always=True)
    return True


@_once
def patch_thread(
    threading: bool = True,
    _threading_local: bool = True,
    Event: bool = True,
    logging: bool = True,
    existing_locks: bool = True,
) -> bool:
    """Let threads be greenlets: `_thread`, and `threading` on top of it.

    `_threading_local`: let `threading.local` be greenlet-local. `Event`: put greenio's in the place of threading's.
    `logging`: give what `logging` has made already locks for greenlets. `existing_locks`: replace the free locks that
    were made before.
    Warns if it is not called in the main thread, if other threads run, and of locks that somebody holds.
    """
    import threading as standard

    from greenio.monkey import locks

    if standard.current_thread() is not standard.main_thread():
        warn(
            f"threads are being patched in {standard.current_thread().name!r}, which is not the main thread: "
            "call greenio.monkey.patch_all() in the main thread, first thing in the program"
        )
    _warn_of_threads(standard)
    items = [
        each
        for each in TABLES["_thread"]
        if _threading_local or (each[0] if isinstance(each, tuple) else each) != "_local"
    ]
    replaced = patch("_thread", items)
    if replaced:
        import_module("greenio._sync.mutex").name_as_standard()
    replaced |= patch("sys", key="sys threads")
    if threading:
        source = import_module("greenio.threading")
        names = ["_CRLock", "_DeleteDummyThreadOnDel", "_DummyThread", "_thread_shutdown"]
        if Event:
            names.append("Event")
        replaced |= patch("threading", [(name, _THREADING[name]) for name in names])
        saved.setdefault("threading", {})["Thread"] = source.NativeThread
        source.adopt_running_threads()
        source.know_who_forks()
        source.wait_for_native_threads_too()
    if _threading_local:
        patch_item(import_module("_threading_local"), "local", import_module("greenio.local").local)
    if existing_locks:
        held = locks.replace_existing()
        if held:
            warn(
                f"somebody holds these locks, which stay native and would stop all greenlets: {', '.join(held)}; "
                "call greenio.monkey.patch_all() before anything takes locks"
            )
    if logging:
        when_imported("logging", locks.renew_logging)
    when_imported("concurrent.futures.thread", locks.renew_executors)
    return replaced


_THREADING = {
    "_DeleteDummyThreadOnDel": "_nothing_to_delete",
    "_CRLock": "RLock",
    "_DummyThread": "_DummyThread",
    "_thread_shutdown": "_shutdown",
    "Event": "Event",
}


def _warn_of_threads(threading):
    others = [each for each in threading.enumerate() if each is not threading.current_thread()]
    if others:
        names = ", ".join(repr(each.name) for each in others)
        warn(
            f"these threads run already and stay native: {names}; what they share with greenlets works, and takes "
            "longer. Call greenio.monkey.patch_all() before threads are started"
        )


@_once
def patch_socket(dns: bool = True, aggressive: bool = True) -> bool:
    """Put greenio's sockets in the place of the standard ones. `dns`: and its name lookups.

    `aggressive` is accepted for compatibility.
    """
    replaced = patch("socket")
    if dns:
        replaced |= patch_dns()
    return replaced


@_once
def patch_dns() -> bool:
    """Let name lookups let greenlets run."""
    import_module("greenio.resolver.thread")  # the default: a program that has no descriptors left imports nothing
    return patch("socket", key="socket dns")


@_once
def patch_ssl() -> bool:
    """Let TLS connections let greenlets run. Warns of connections that were made before."""
    import gc

    late = "ssl" in sys.modules
    standard = import_module("ssl")
    native_sockets = [each for each in gc.get_objects() if type(each) is standard.SSLSocket] if late else ()
    if native_sockets:
        shown = ", ".join(repr(each) for each in native_sockets[:3])
        warn(
            f"{len(native_sockets)} TLS connections were made before patching and block all greenlets: {shown}; "
            "call greenio.monkey.patch_all() before connecting"
        )
    # Importing ours lets contexts make connections of either kind, whichever goes with the socket: nothing else needs
    # replacing, and the classes stay what they are.
    ours = import_module("greenio.ssl")
    if not patching.announce("ssl", standard, ours):
        return False
    saved.setdefault("ssl", {}).setdefault("SSLSocket._create", classmethod(ours.plain_create))
    return True


@_once
def patch_select(aggressive: bool = True) -> bool:
    """Let select(), poll() and epoll() let greenlets run, and the selectors on them.

    `aggressive` is accepted for compatibility: nothing is taken away.
    """
    replaced = patch("select")
    return patch_selectors() or replaced


@_once
def patch_selectors(aggressive: bool = True) -> bool:
    """Let the selectors of the standard library let greenlets run. The classes stay what they are."""
    standard = import_module("selectors")
    native_epoll = standard.EpollSelector._selector_cls
    replaced = patch("selectors")
    if replaced:
        saved["selectors"].setdefault(
            "DefaultSelector", type("EpollSelector", (standard.EpollSelector,), {"_selector_cls": native_epoll})
        )
    return replaced


@_once
def patch_subprocess() -> bool:
    """Let waiting for processes let greenlets run."""
    return patch("subprocess")


@_once
def patch_signal() -> bool:
    """Let waiting for signals let greenlets run, and signal handlers run on the main greenlet."""
    replaced = patch("signal")
    if replaced:
        import_module("greenio._patched.signal_handlers").move_to_main()
    return replaced


@_once
def patch_fcntl() -> bool:
    """Let waiting for file locks let greenlets run."""
    return patch("fcntl")


@_once
def patch_sys(stdin: bool = True, stdout: bool = True, stderr: bool = True) -> bool:
    """Put file objects that let greenlets run in the place of sys.stdin, sys.stdout and sys.stderr.

    Those that are regular files, or no files of the system at all, are left as they are.
    """
    from greenio.fileobject import FileObjectPosix

    replaced = False
    for name, wanted in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
        stream = getattr(sys, name)
        if not wanted or not _can_be_waited_for(stream):
            continue
        new = FileObjectPosix(
            stream.fileno(),
            "r" if name == "stdin" else "w",
            buffering=1,
            closefd=False,
            encoding=stream.encoding,
            errors=stream.errors,
        )
        replaced |= patch_item(sys, name, new)
    return replaced


def _can_be_waited_for(stream):
    import os
    import stat

    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not (stat.S_ISCHR(mode) and not os.isatty(stream.fileno()))


@_once
def patch_multiprocessing() -> bool:
    """Let the pipes, locks and pools of `multiprocessing` let greenlets run: now, or when it is imported."""

    def patch_it(name, function):
        when_imported(name, lambda module: getattr(import_module("greenio._patched.multiprocessing"), function)(module))

    patch_it("multiprocessing.connection", "adapt_connection")
    patch_it("multiprocessing.synchronize", "adapt_synchronize")
    patch_it("multiprocessing.util", "adapt_util")
    return True


@_once
def patch_asyncio() -> bool:
    """Let each greenlet have its own running event loop of asyncio: now, or when it is imported.

    And its own hooks of asynchronous generators, which loops of other packages set too.
    """
    patch("sys")
    when_imported("asyncio.events", lambda module: import_module("greenio._patched.running_loop").adapt(module))
    when_imported(
        "asyncio.base_events", lambda module: import_module("greenio._patched.running_loop").let_others_run(module)
    )
    return True


def patch_builtins() -> bool:
    """Nothing of the builtins waits for other greenlets: does nothing. Kept for programs written for gevent."""
    return False


def patch_contextvars() -> bool:
    """Each greenlet has a context of its own already: does nothing. Kept for programs written for gevent."""
    return False
