from collections.abc import Callable
from typing import Any

from greenlet import greenlet

from greenio._tasks.raw import RawGreenlet as RawGreenlet
from greenio._tasks.raw import spawn_raw as spawn_raw
from greenio.greenlet import Greenlet

__all__ = ["RawGreenlet", "kill", "spawn", "spawn_later", "spawn_raw"]

def spawn(function: Callable[..., Any] = ..., /, *args: Any, **kwargs: Any) -> Greenlet: ...
def spawn_later(seconds: float, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Greenlet: ...
def kill(greenlet: greenlet, exception: BaseException | type[BaseException] = ...) -> None: ...
