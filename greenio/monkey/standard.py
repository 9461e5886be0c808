"""The patch functions, one for each part of the standard library."""

from __future__ import annotations

import sys
from functools import partial
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
    """Let a patch function do its work once, and return whether it changed anything."""
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
    """Make `os` cooperative: reading and writing pipes, waiting for children, `system`, `popen`."""
    return patch("os")


@_once
def patch_time() -> bool:
    """Make time.sleep() cooperative."""
    return patch("time")


@_once
def patch_queue() -> bool:
    """Replace the queues of `queue` with greenio's."""
    if not patch("queue"):
        return False
    # `queue` may be imported anew, with the compiled `_queue`, whose SimpleQueue would block the thread.
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
    """Make threads greenlets: `_thread`, and `threading` on top of it.

    `_threading_local`: make `threading.local` greenlet-local. `Event`: replace threading's with greenio's.
    `logging`: give the handlers that `logging` has already locks for greenlets. `existing_locks`: replace free locks
    that were made before.
    Warns if it is called outside the main thread, if other threads run, and if locks are held.
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
        source.know_forking_greenlets()
        source.wait_for_native_threads_at_end()
    if _threading_local:
        patch_item(import_module("_threading_local"), "local", import_module("greenio.local").local)
    if existing_locks:
        held = locks.replace_existing()
        if held:
            warn(
                f"these locks are held, so they stay native and may stop all greenlets: {', '.join(held)}; "
                "call greenio.monkey.patch_all() before anything takes locks"
            )
    if logging:
        when_imported("logging", locks.renew_logging)
    when_imported("concurrent.futures.thread", locks.renew_executors)
    for name, adapt in (("concurrent.interpreters", "adapt"), ("concurrent.futures.interpreter", "adapt_executors")):
        when_imported(name, partial(_adapt_interpreters, adapt))
    return replaced


def _adapt_interpreters(function, module):
    getattr(import_module("greenio._patched.interpreters"), function)(module)


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
            f"these threads run already and stay native: {names}; objects that they share with greenlets work, but "
            "take longer. Call greenio.monkey.patch_all() before threads are started"
        )


@_once
def patch_socket(dns: bool = True, aggressive: bool = True) -> bool:
    """Replace the standard sockets with greenio's. `dns`: name lookups, too.

    `aggressive` is accepted for compatibility.
    """
    replaced = patch("socket")
    if dns:
        replaced |= patch_dns()
    return replaced


@_once
def patch_dns() -> bool:
    """Make name lookups cooperative."""
    # Import the default resolver now: a program that has no descriptors left cannot.
    import_module("greenio.resolver.thread")
    return patch("socket", key="socket dns")


@_once
def patch_ssl() -> bool:
    """Make TLS connections cooperative. Warns of connections that were made before."""
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
    # Once greenio.ssl is imported, a context makes the kind of connection that goes with the socket. Nothing else needs
    # replacing, and the classes stay the same.
    ours = import_module("greenio.ssl")
    if not patching.announce("ssl", standard, ours):
        return False
    saved.setdefault("ssl", {}).setdefault("SSLSocket._create", classmethod(ours.plain_create))
    return True


@_once
def patch_select(aggressive: bool = True) -> bool:
    """Make select(), poll() and epoll() cooperative, and the selectors on them.

    `aggressive` is accepted for compatibility: nothing is taken away.
    """
    replaced = patch("select")
    return patch_selectors() or replaced


@_once
def patch_selectors(aggressive: bool = True) -> bool:
    """Make the selectors of the standard library cooperative. Their classes stay the same."""
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
    """Make waiting for processes cooperative."""
    return patch("subprocess")


@_once
def patch_signal() -> bool:
    """Make waiting for signals cooperative, and let signal handlers run on the main greenlet."""
    replaced = patch("signal")
    if replaced:
        import_module("greenio._patched.signal_handlers").move_to_main()
    return replaced


@_once
def patch_fcntl() -> bool:
    """Make waiting for file locks cooperative."""
    return patch("fcntl")


@_once
def patch_sys(stdin: bool = True, stdout: bool = True, stderr: bool = True) -> bool:
    """Replace sys.stdin, sys.stdout and sys.stderr with cooperative file objects.

    Regular files, devices that are not terminals, and streams without a descriptor stay as they are.
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
    """Make the pipes, locks and pools of `multiprocessing` cooperative: now, or when it is imported."""

    def patch_it(name, function):
        when_imported(name, lambda module: getattr(import_module("greenio._patched.multiprocessing"), function)(module))

    patch_it("multiprocessing.connection", "adapt_connection")
    patch_it("multiprocessing.synchronize", "adapt_synchronize")
    patch_it("multiprocessing.util", "adapt_util")
    return True


@_once
def patch_asyncio() -> bool:
    """Give each greenlet a running event loop of asyncio of its own: now, or when it is imported.

    Each greenlet has its own hooks of asynchronous generators as well, which loops of other packages set too.
    """
    patch("sys")
    when_imported("asyncio.events", lambda module: import_module("greenio._patched.running_loop").adapt(module))
    when_imported(
        "asyncio.base_events", lambda module: import_module("greenio._patched.running_loop").let_others_run(module)
    )
    return True


def patch_builtins() -> bool:
    """Does nothing, as no builtin waits for other greenlets. It is there for programs written for gevent."""
    return False


def patch_contextvars() -> bool:
    """Does nothing, as each greenlet has a context of its own. It is there for programs written for gevent."""
    return False
