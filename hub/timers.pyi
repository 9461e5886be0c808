# Only compiled modules use it, through timers.pxd.

__all__: list[str]
