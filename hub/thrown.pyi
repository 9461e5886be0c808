# Only compiled modules use it, through thrown.pxd.

__all__: list[str]
