# Only compiled modules use it, through wakeup_slot.pxd.

__all__ = ["WakeupSlot"]

class WakeupSlot: ...
