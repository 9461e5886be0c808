from greenlet import GreenletExit
from hub.hub import Hub

__all__ = [
    "BlockingSwitchOutError",
    "ConcurrentObjectUseError",
    "HubDestroyed",
    "InvalidSwitchError",
    "InvalidThreadUseError",
    "LoopExit",
]

class LoopExit(Exception):
    message: str
    hub: Hub | None
    report: str
    def __init__(
        self, message: str = "This operation would block forever", hub: Hub | None = None, report: str = ""
    ) -> None: ...

class BlockingSwitchOutError(AssertionError): ...
class InvalidSwitchError(AssertionError): ...
class ConcurrentObjectUseError(AssertionError): ...
class InvalidThreadUseError(RuntimeError): ...
class HubDestroyed(GreenletExit): ...
