"""What exceptions and repr() say of a lock. Cooperative ones tell more: who holds it, who waits."""
# natively: release unlocked lock
# patched: release of <unlocked _thread.lock object at 0x..., 0 waiting>, which nobody holds

import threading

try:
    threading.Lock().release()
except RuntimeError as error:
    print(error)
