"""The end of the program: the library's modules stay whole for finalizers that run late.

When the interpreter ends, it empties each module in `sys.modules` that something still refers to. A `__del__()` that
runs later finds None in the place of every global. The interpreter leaves objects in `sys.modules` alone that are not
modules.

Without the library such a finalizer may sleep, or wait for a descriptor. With the library it may, too. Greenlets do not
run any more by then, so the functions here make the thread itself wait.

What does not belong here: which calls can still wait (hub.scheduler).
"""

from __future__ import annotations

import sys
from time import monotonic_ns

from hub import timers
from hub.native import original, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

__all__ = ["KeptModule", "await_descriptor_late", "keep_modules", "keep_package", "sleep_late"]

packages: list[str] = []
native_poll = original("select", "poll")


class KeptModule:
    """Stands for a module in `sys.modules`. It has the module's attributes, and is not a module."""

    def __init__(self, module: ModuleType) -> None:
        self.__dict__ = module.__dict__


def keep_package(name: str) -> None:
    """Let the modules of a package stay whole when the interpreter ends (internal)."""
    packages.append(name)


def keep_modules() -> None:
    """Put KeptModules into the places of the kept packages' modules in `sys.modules`: the program ends (internal)."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages and isinstance(module, type(sys)):
            sys.modules[name] = KeptModule(module)  # type: ignore[assignment]  # no module, on purpose


def sleep_late(
    due: int,
    clock: Callable[[], int] = timers.monotonic_ns,
    now: Callable[[], int] = monotonic_ns,
    sleep: Callable[[float], object] = sleep,
) -> None:
    """Sleep until a time (int, nanoseconds of the hubs' clock), in a finalizer that runs when no greenlet does."""
    due += now() - clock()  # by CLOCK_MONOTONIC, as the hubs' clock may stand still
    while (left := due - now()) > 0:
        sleep(min(left / 1e9, 3600))


def await_descriptor_late(
    fd: int,
    events: int,
    due: int,
    clock: Callable[[], int] = timers.monotonic_ns,
    poll: Callable[[], Any] = native_poll,
) -> bool:
    """Wait until a descriptor is readable (events 1) or writable (2), where sleep_late() would sleep.

    `due`: the latest time (int, nanoseconds of the hubs' clock), 0 for ever. Returns whether it is ready (bool).
    """
    polled = poll()
    polled.register(fd, events if events == 1 else 4)  # POLLIN, POLLOUT
    return bool(polled.poll(max(0, -((clock() - due) // 1000000)) if due else None))


keep_package("hub")
