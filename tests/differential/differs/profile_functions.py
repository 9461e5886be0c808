"""A profile function that a thread sets."""
# natively: None
# patched: profile

import sys
import threading


def profile(frame, event, argument):
    return None


thread = threading.Thread(target=sys.setprofile, args=(profile,))
thread.start()
thread.join()
found = sys.getprofile()
sys.setprofile(None)
print(found and found.__name__)
