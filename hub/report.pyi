from types import FrameType

from hub.hub import Hub

__all__ = ["format_waits", "where"]

def where(frame: FrameType | None) -> str: ...
def format_waits(hub: Hub) -> str: ...
