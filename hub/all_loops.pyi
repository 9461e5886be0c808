# Only compiled modules use it, through all_loops.pxd.

__all__: list[str]
