from collections.abc import Callable
from typing import Any

from hub.greenlets import HubGreenlet
from hub.loop import Loop

__all__ = ["RawGreenlet", "spawn_raw"]

class RawGreenlet(HubGreenlet):
    @property
    def loop(self) -> Loop: ...
    def run(self) -> Any: ...

def no_function(value: object) -> TypeError: ...
def spawn_raw(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> RawGreenlet: ...
