from _thread import error as error
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from greenio._patched.identity import get_ident as get_ident
from greenio._sync.mutex import ThreadLock
from greenio._sync.mutex import ThreadRLock as RLock
from greenio._sync.mutex import allocate_lock as allocate_lock
from greenio.greenlet import Greenlet
from greenio.local import local as local

__all__ = [
    "LockType",
    "RLock",
    "ThreadGreenlet",
    "allocate_lock",
    "error",
    "exit",
    "get_ident",
    "local",
    "start_new_thread",
]

LockType = ThreadLock
lock = ThreadLock

class ThreadGreenlet(Greenlet):
    def __init__(self, function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None: ...

class _ThreadHandle:
    ident: int
    def is_done(self) -> bool: ...
    def join(self, timeout: float | None = None) -> None: ...

def start_new_thread(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, /
) -> int: ...
def start_new(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, /
) -> int: ...
def exit() -> NoReturn: ...
def exit_thread() -> NoReturn: ...
def start_joinable_thread(
    function: Callable[[], object], handle: _ThreadHandle | None = None, daemon: bool = True
) -> _ThreadHandle: ...
