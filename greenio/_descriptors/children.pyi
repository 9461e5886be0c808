from collections.abc import Callable
from os import waitid_result
from resource import struct_rusage

from hub.event_loop import EventLoop, child

__all__ = [
    "fork_and_watch",
    "fork_gevent",
    "forkpty_and_watch",
    "forkpty_gevent",
    "wait",
    "wait3",
    "wait4",
    "wait_for_exit",
    "waitid",
    "waitpid",
]

def wait_for_exit(pid: int, timeout: float | None = None) -> None: ...
def waitpid(pid: int, options: int, /) -> tuple[int, int]: ...
def wait() -> tuple[int, int]: ...
def wait3(options: int) -> tuple[int, int, struct_rusage]: ...
def wait4(pid: int, options: int) -> tuple[int, int, struct_rusage]: ...
def waitid(idtype: int, id: int, options: int, /) -> waitid_result | None: ...
def fork_gevent() -> int: ...
def forkpty_gevent() -> tuple[int, int]: ...
def fork_and_watch(
    callback: Callable[[child], object] | None = None,
    loop: EventLoop | None = None,
    ref: bool = False,
    fork: Callable[[], int] = ...,
) -> int: ...
def forkpty_and_watch(
    callback: Callable[[child], object] | None = None,
    loop: EventLoop | None = None,
    ref: bool = False,
    forkpty: Callable[[], tuple[int, int]] = ...,
) -> tuple[int, int]: ...
