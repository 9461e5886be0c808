from greenlet import greenlet

__all__ = ["HubGreenlet"]

class HubGreenlet(greenlet): ...
