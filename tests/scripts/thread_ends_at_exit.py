"""A thread with a hub ends while the program prepares for its own end, between two looks at that hub."""

import time

from greenio import monkey

monkey.patch_all()

from hub.hub import Hub  # noqa: E402
from hub.native import allocate_lock, sleep, start_new_thread  # noqa: E402
from hub.threads import existing_hubs, set_hub_class  # noqa: E402

begun, may_end = allocate_lock(), allocate_lock()
begun.acquire()
may_end.acquire()


def thread():
    time.sleep(0)  # makes its hub
    begun.release()
    may_end.acquire()


def make_hub():
    """Make the hub of the main thread, which has none until the program prepares for its end."""
    [hub] = existing_hubs()
    may_end.release()
    while not hub.destroyed:
        sleep(0.001)
    print("a thread has ended")
    return Hub()


start_new_thread(thread, ())
begun.acquire()
set_hub_class(make_hub)
