from _thread import RLock as RLock
from _thread import _local as local
from _thread import allocate_lock as allocate_lock
from _thread import get_ident as get_ident
from _thread import start_new_thread as start_new_thread
from time import sleep as sleep
from typing import Any

__all__ = [
    "LibraryLock",
    "RLock",
    "allocate_lock",
    "get_ident",
    "local",
    "original",
    "saved",
    "sleep",
    "start_new_thread",
]

class LibraryLock(RLock): ...  # type: ignore[misc]  # final to type checkers only

saved: dict[str, dict[str, object]]

def original(module: str, name: str) -> Any: ...
