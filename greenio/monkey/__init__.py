"""Monkey patching: the standard library becomes cooperative, and programs written for threads run in greenlets.

    from greenio import monkey
    monkey.patch_all()

stands at the top of a program, or ``python -m greenio.monkey program.py`` runs it patched. Modules, from the bottom:

    tables       the names that are replaced, and their replacements
    replacing    replaces a name, also in modules of the standard library that took it earlier
    locks        replaces locks that were made before
    imports      calls functions when a module is imported
    patching     patches one module, with its events
    standard     has the patch functions
    adapters     adapts other packages

Nothing else of the library imports this one. Nothing in it switches.
"""

from __future__ import annotations

from hub.native import original, saved

from greenio import events
from greenio.monkey import adapters, patching, standard
from greenio.monkey.imports import when_imported
from greenio.monkey.patching import (
    MonkeyPatchWarning,
    is_anything_patched,
    is_module_patched,
    is_object_patched,
    patch_module,
)
from greenio.monkey.standard import (
    patch_asyncio,
    patch_builtins,
    patch_contextvars,
    patch_dns,
    patch_fcntl,
    patch_multiprocessing,
    patch_os,
    patch_queue,
    patch_select,
    patch_selectors,
    patch_signal,
    patch_socket,
    patch_ssl,
    patch_subprocess,
    patch_sys,
    patch_thread,
    patch_time,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, overload

    Names = str | list[str] | tuple[str, ...]

__all__ = [
    "MonkeyPatchWarning", "get_original", "is_anything_patched", "is_module_patched", "is_object_patched",
    "patch_all", "patch_asyncio", "patch_builtins", "patch_contextvars", "patch_dns", "patch_fcntl", "patch_module",
    "patch_multiprocessing", "patch_os", "patch_queue", "patch_select", "patch_selectors", "patch_signal",
    "patch_socket", "patch_ssl", "patch_subprocess", "patch_sys", "patch_thread", "patch_time", "saved",
    "when_imported",
]  # fmt: skip


if TYPE_CHECKING:

    @overload
    def get_original(mod_name: Names, item_name: str) -> Any: ...
    @overload
    def get_original(mod_name: Names, item_name: list[str] | tuple[str, ...]) -> list[Any]: ...


def get_original(mod_name: Names, item_name: Names) -> Any:
    """The object that a module had under a name before patching, or has now if it was not replaced.

    Both names are str. A list of names gives a list of originals. ``get_original("threading", "Thread")`` is a class
    whose threads are native. Raises AttributeError if there is no such name.
    """
    module = mod_name[0] if isinstance(mod_name, (list, tuple)) else mod_name
    if isinstance(item_name, (list, tuple)):
        return [original(module, name) for name in item_name]
    return original(module, item_name)


def patch_all(
    socket: bool = True,
    dns: bool = True,
    time: bool = True,
    select: bool = True,
    thread: bool = True,
    os: bool = True,
    ssl: bool = True,
    subprocess: bool = True,
    sys: bool = False,
    aggressive: bool = True,
    Event: bool = True,
    builtins: bool = True,
    signal: bool = True,
    queue: bool = True,
    contextvars: bool = True,
    *,
    fcntl: bool = True,
    multiprocessing: bool = True,
    asyncio: bool = True,
    **kwargs: Any,
) -> bool | None:
    """Make the standard library cooperative: call all patch functions except those that are switched off.

    Call it once, at the top of the program, in the main thread. A second call patches the parts that were left out, and
    warns if its arguments leave out a part that is patched. Other keyword arguments are for subscribers
    (`greenio.events`) and for adapters, such as ``psycopg=False`` (`greenio.monkey.adapters`).
    Returns True; None if there was nothing left to do; False if a subscriber raised DoNotPatch. Does not switch.
    """
    wanted = {
        "os": os, "thread": thread, "time": time, "sys": sys, "socket": socket, "dns": dns, "select": select,
        "ssl": ssl, "subprocess": subprocess, "builtins": builtins, "signal": signal, "queue": queue,
        "contextvars": contextvars, "fcntl": fcntl, "multiprocessing": multiprocessing, "asyncio": asyncio,
    }  # fmt: skip
    arguments = {**wanted, "aggressive": aggressive, "Event": Event}
    late = [name for name, value in wanted.items() if not value and name in patching.done]
    if late:
        patching.warn(f"patching cannot be undone: {', '.join(late)} stay patched, which this patch_all() leaves out")
    try:
        events.notify_and_call_entry_points(events.WillPatchAllEvent(arguments, kwargs))
    except events.DoNotPatch:
        return False
    changed = False
    for name, value in wanted.items():
        if not value:
            continue
        function = getattr(standard, f"patch_{name}")
        if name == "thread":
            changed |= function(Event=Event)
        elif name == "socket":
            changed |= function(dns=dns, aggressive=aggressive)
        elif name == "dns":
            changed |= bool(socket) and function()
        else:
            changed |= function()
    events.notify_and_call_entry_points(events.DidPatchBuiltinModulesEvent(arguments, kwargs))
    adapters.install(kwargs)
    events.notify_and_call_entry_points(events.DidPatchAllEvent(arguments, kwargs))
    return True if changed else None
