from collections.abc import Callable
from typing import Any

from greenlet import greenlet
from hub.loop import Loop
from hub.scheduler import HubGreenlet

from greenio.greenlet import Greenlet

__all__ = ["RawGreenlet", "kill", "spawn", "spawn_later", "spawn_raw"]

class RawGreenlet(HubGreenlet):
    @property
    def loop(self) -> Loop: ...
    def run(self) -> Any: ...

def spawn(function: Callable[..., Any] | None = None, /, *args: Any, **kwargs: Any) -> Greenlet: ...
def spawn_later(seconds: float, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Greenlet: ...
def spawn_raw(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> RawGreenlet: ...
def kill(greenlet: greenlet, exception: BaseException | type[BaseException] = ...) -> None: ...
