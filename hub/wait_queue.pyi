# Only compiled modules use it, through wait_queue.pxd.

__all__: list[str]

class Waitable: ...
