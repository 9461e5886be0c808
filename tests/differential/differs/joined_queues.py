"""What join() of a queue returns."""
# natively: None
# patched: True

import queue

print(queue.Queue().join())
