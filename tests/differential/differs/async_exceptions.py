"""An exception that is raised in another thread, by its identifier."""
# natively: 1
# patched: 0

import ctypes
import threading

go_on = threading.Event()
thread = threading.Thread(target=go_on.wait)
thread.start()
found = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), None)
go_on.set()
thread.join()
print(found)
