"""What threads raise: on standard error, to excepthook, to one's own hook, and hooks that raise themselves."""

import sys
import threading


class Own(Exception):
    pass


class Odd(Exception):
    def __str__(self):
        raise ValueError("no text")


def run(target, **named):
    thread = threading.Thread(target=target, **named)
    thread.start()
    thread.join()
    sys.stderr.flush()
    return thread


def fails(kind=Own):
    raise kind("in a thread")


def leaves(status):
    sys.exit(status)


def chained():
    try:
        fails()
    except Own as error:
        raise LookupError("second") from error


run(fails, name="one")
run(chained, name="two")
run(lambda: fails(KeyboardInterrupt), name="three")
run(lambda: fails(GeneratorExit), name="four")
run(lambda: fails(Odd), name="five")
run(lambda: leaves(3), name="exits")
run(lambda: leaves("text"), name="exits with text")

told = []


def hook(args):
    told.append((args.exc_type.__name__, str(args.exc_value), args.thread.name, args.exc_traceback is not None))


threading.excepthook = hook
run(fails, name="six")
run(chained, name="seven")
run(lambda: leaves(3), name="eight")
print(told)


def bad_hook(args):
    raise OSError("from the hook")


threading.excepthook = bad_hook
sys.excepthook = lambda kind, value, traceback: print("sys.excepthook:", kind.__name__, value)
run(fails, name="nine")
threading.excepthook = threading.__excepthook__
run(fails, name="ten")
sys.stderr.flush()


class Fails(threading.Thread):
    def run(self):
        raise Own("from run")


thread = Fails(name="eleven")
thread.start()
thread.join()
print(thread.is_alive())

# An exception in an except block of another thread is not seen here.
seen = []
inside, go_on = threading.Event(), threading.Event()


def holds():
    try:
        fails()
    except Own:
        inside.set()
        go_on.wait()
        seen.append(sys.exc_info()[0].__name__)


thread = threading.Thread(target=holds)
thread.start()
inside.wait()
print(sys.exc_info())
go_on.set()
thread.join()
print(seen)
