"""The identifier that the system has for a thread."""
# natively: False
# patched: True

import threading

seen = []
thread = threading.Thread(target=lambda: seen.append(threading.get_native_id()))
thread.start()
thread.join()
print(seen == [threading.get_native_id()])
