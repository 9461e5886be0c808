from typing import Any

from hub.signals import SignalledHub

__all__ = ["EndingHub"]

class EndingHub(SignalledHub):
    def join(self, timeout: float | None = None) -> bool: ...
    def destroy(self, destroy_loop: Any = None) -> None: ...
    def on_destroy(self) -> None: ...
