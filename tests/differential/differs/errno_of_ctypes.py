"""The errno that ctypes keeps."""
# natively: 0
# patched: 5

import ctypes
import threading

thread = threading.Thread(target=ctypes.set_errno, args=(5,))
thread.start()
thread.join()
print(ctypes.get_errno())
