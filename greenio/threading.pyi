import threading as _standard
from collections.abc import Callable
from typing import Any

from greenio._patched.identity import get_ident as get_ident
from greenio._sync.mutex import Lock as Lock
from greenio._sync.mutex import ThreadRLock as RLock
from greenio.event import Event as Event
from greenio.local import local as local

__all__ = [
    "Event",
    "LibraryThread",
    "Lock",
    "NativeCondition",
    "NativeEvent",
    "NativeThread",
    "RLock",
    "get_ident",
    "local",
    "main_native_thread",
]

def main_native_thread() -> _standard.Thread: ...
def know_who_forks() -> None: ...
def wait_for_native_threads_too() -> None: ...
def natively(function: Callable[..., Any], **names: object) -> Callable[..., Any]: ...

class NativeThread(_standard.Thread):
    def join(self, timeout: float | None = None) -> None: ...

class LibraryThread(NativeThread): ...
class NativeCondition(_standard.Condition): ...
class NativeEvent(_standard.Event): ...

def join_native(
    thread: _standard.Thread,
    timeout: float | None = None,
    join: Callable[[_standard.Thread, float | None], None] = ...,
) -> None: ...
def adopt_running_threads() -> None: ...
