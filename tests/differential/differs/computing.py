"""A thread that is ready, while another computes and waits for nothing."""
# natively: ran
# patched: had to wait

import threading
import time

ran = []
thread = threading.Thread(target=lambda: (time.sleep(0.001), ran.append(1)))
thread.start()
while not ran and time.process_time() < 0.3:
    pass
print("ran" if ran else "had to wait")
thread.join()
