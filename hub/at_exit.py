"""The end of the program: our modules stay whole for finalizers that run late.

When the interpreter ends it empties every module that is in `sys.modules` and that somebody still refers to. What is
looked up there then, in a `__del__()` say, is None. An object that is not a module is left alone.

Finalizers that run then may wait, as they may without the library, for time and for descriptors: greenlets do not run
any more, and so they wait for themselves, here.

What does not belong here: which calls can still wait. The scheduler says that.
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
    """Stands for a module in `sys.modules`, and has what that has."""

    def __init__(self, module: ModuleType) -> None:
        self.__dict__ = module.__dict__


def keep_package(name: str) -> None:
    """Let the modules of a package stay as they are when the interpreter ends (internal)."""
    packages.append(name)


def keep_modules() -> None:
    """To be called when the program ends, before the interpreter begins to clear modules (internal)."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages and isinstance(module, type(sys)):
            sys.modules[name] = KeptModule(module)  # type: ignore[assignment]  # no module, on purpose


def sleep_late(
    due: int,
    clock: Callable[[], int] = timers.monotonic_ns,
    now: Callable[[], int] = monotonic_ns,
    sleep: Callable[[float], object] = sleep,
) -> None:
    """Sleep until a time (int, nanoseconds of the hubs' clock): in a finalizer at the end, when nothing else runs."""
    due += now() - clock()  # that clock may stand still
    while (left := due - now()) > 0:
        sleep(min(left / 1e9, 3600))


def await_descriptor_late(
    fd: int,
    events: int,
    due: int,
    clock: Callable[[], int] = timers.monotonic_ns,
    poll: Callable[[], Any] = native_poll,
) -> bool:
    """Wait until a descriptor is readable (events 1) or writable (2), as sleep_late(); `due` 0 for ever.

    Returns whether it is (bool).
    """
    asked = poll()
    asked.register(fd, events if events == 1 else 4)  # POLLIN, POLLOUT
    return bool(asked.poll(max(0, -((clock() - due) // 1000000)) if due else None))


keep_package("hub")
