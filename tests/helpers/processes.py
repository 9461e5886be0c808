"""Child processes for tests: shells that greenio has not made, and forks."""

import os

from greenio import get_hub, sleep, spawn


def child(code=0, after=lambda: sleep(0.01), end=None):
    """A child that ends when `after()` has returned in a greenlet here, and so not before others have run.

    It exits with `code`, or sends itself the signal `end` (int). Returns its number.
    """
    return _shell(f"kill -{end} $$" if end else f"exit {code}", after)


def signal_from_child(number, after=lambda: sleep(0.01)):
    """Send a signal to this process when `after()` has returned in a greenlet: it may be asleep. Returns the child."""
    return _shell(f"kill -{int(number)} {os.getpid()}", after)


def _shell(command, after):
    reader, writer = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, reader, 0)]
    arguments = ["sh", "-c", f"read line; {command}"]
    pid = os.posix_spawn("/bin/sh", arguments, {"PATH": "/usr/bin:/bin"}, file_actions=actions)
    os.close(reader)
    # The hub closes it, in C: no greenlet is there for a signal's handler to run in, however soon the signal comes.
    spawn(lambda: (after(), get_hub().run_callback(os.close, writer)))
    return pid


def in_child(function):
    """Run a function in a forked child. Returns the repr() of what it returned, or the name and text of its error."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.write(write_end, repr(function()).encode())
            status = 0
        except BaseException as error:
            os.write(write_end, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(status)
    os.close(write_end)
    with open(read_end) as told:
        text = told.read()
    os.waitpid(pid, 0)
    return text
