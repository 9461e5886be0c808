"""The program's module while its last threads run, and at exit."""

import atexit
import pickle
import sys
import threading
import time


class Thing:
    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return Thing, (self.value,)


def at_exit():
    import __main__

    print("at exit:", hasattr(__main__, "Thing"), pickle.loads(pickle.dumps(Thing(2))).value)
    print(threading.current_thread().name, threading.active_count())


class Gone:
    def __init__(self, name):
        self.name = name

    def __del__(self, write=sys.stdout.write):
        write(f"{self.name} is gone\n")


def work():
    while threading.main_thread().is_alive():  # until the interpreter ends, and waits for this thread
        time.sleep(0.001)
    main = sys.modules["__main__"]
    print("in a thread:", main.__name__, main.__dict__ is globals(), pickle.loads(pickle.dumps(Thing(1))).value)
    print(threading.main_thread().is_alive())


print(__name__, sys.argv[1:], sys.path[0] == __file__.rpartition("/")[0], __spec__, __package__)
kept = Gone("a global")
atexit.register(at_exit)
threading.Thread(target=work).start()
print("end of the module")
