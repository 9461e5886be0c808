"""Code that runs in the middle of a greenlet's switch away, as a finalizer may, and waits there itself.

The argument is the name of a function below, whose result is printed unless it hangs. A thread's main greenlet looks up
the attribute `run` of a new hub when it first switches to the hub: a class of hubs that waits in this look-up stands
for a finalizer.
"""

import sys
import threading

from hub import get_hub, threads
from hub.hub import Hub

from greenio import Timeout, sleep, spawn
from greenio.event import Event
from greenio.lock import Lock

amid = []  # a function that is called in the middle of the switch


class InterruptedHub(Hub):
    def __getattribute__(self, name):
        if name == "run" and amid:
            amid.pop()()
        return super().__getattribute__(name)


class NestedHub(Hub):
    """A hub that calls the function while it is being made: the function needs a hub then."""

    def __init__(self):
        super().__init__()
        if amid:
            amid.pop()()


def result_of_a_greenlet():
    amid.append(lambda: sleep(0.001))
    return spawn(lambda: "done").get()


def result_while_others_run_once():
    amid.append(lambda: sleep(0))
    return spawn(lambda: "done").get()


def let_others_run_once():
    amid.append(lambda: sleep(0.001))
    spawn(lambda: None)
    sleep(0)
    return "done"


def a_sleep():
    amid.append(lambda: sleep(0.005))
    sleep(0.001)
    return "done"


def a_lock():
    lock = Lock()
    lock.acquire()
    amid.append(lambda: sleep(0.001))
    spawn(lock.release)
    lock.acquire()
    return "done"


def a_timeout():
    amid.append(lambda: sleep(0.005))
    try:
        with Timeout(0.001):
            Event().wait()
    except Timeout:
        return "done"


def twice():
    def on_top():
        job = spawn(lambda: "on top")
        assert job.get() == "on top"
        sleep(0.001)

    amid.append(on_top)
    job = spawn(lambda: "done")
    first = spawn(lambda: None)
    first.join()
    return job.get()


def a_hub_while_a_hub_is_made():
    made = []
    amid.append(lambda: (sleep(0.001), made.append(get_hub())))
    job = spawn(lambda: (sleep(0.001), "done")[1])
    assert job.get() == "done"
    assert made == [get_hub()] and threads.locals_of_thread.guard.hub is get_hub()
    return "done"


def main(name):
    threads.set_hub_class(NestedHub if name == "a_hub_while_a_hub_is_made" else InterruptedHub)
    hubs = threading.active_count()
    thread = threading.Thread(target=lambda: print(globals()[name]()))
    thread.start()
    thread.join()
    assert threading.active_count() == hubs and not threads.existing_hubs()


main(sys.argv[1])
