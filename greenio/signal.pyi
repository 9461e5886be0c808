from collections.abc import Callable, Iterable
from signal import Handlers as Handlers
from signal import Signals as Signals
from signal import struct_siginfo as struct_siginfo
from types import FrameType
from typing import Any

__all__ = ["getsignal", "pause", "signal", "sigtimedwait", "sigwait", "sigwaitinfo"]

_Handler = Callable[[int, FrameType | None], Any] | int | Handlers | None

def getsignal(signalnum: int) -> _Handler: ...
def signal(signalnum: int, handler: _Handler) -> _Handler: ...
def pause() -> None: ...
def sigtimedwait(sigset: Iterable[int], timeout: float, /) -> struct_siginfo | None: ...
def sigwait(sigset: Iterable[int], /) -> int | Signals: ...
def sigwaitinfo(sigset: Iterable[int], /) -> struct_siginfo: ...

# Last: what is defined above is not taken from there.
from signal import *  # noqa: E402, F403
