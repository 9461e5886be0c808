"""Child processes for tests, made without greenio."""

import os

from greenio import sleep, spawn


def child(code=0, after=lambda: sleep(0.01), end=None):
    """A child that ends when `after()` has returned in a greenlet here, and so not before others have run.

    It exits with `code`, or sends itself the signal `end` (int). Returns its number.
    """
    command = "read line; " + (f"kill -{end} $$" if end else f"exit {code}")
    reader, writer = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, reader, 0)]
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", command], {"PATH": "/usr/bin:/bin"}, file_actions=actions)
    os.close(reader)
    spawn(lambda: (after(), os.close(writer)))
    return pid
