"""Child processes for tests: programs in Python, shells that greenio has not made, and forks."""

import os
import subprocess
import sys

from greenio import get_hub, sleep, spawn


def run_python(arguments, cwd, status=0, stderr=None, timeout=60, env=None):
    """Run Python with these arguments in a fresh process; return what it printed.

    Fails unless it exits with `status`, within `timeout` seconds, and unless `stderr` (a string) is in its
    standard error, which must be empty when `stderr` is None. `env` is added to the environment.
    """
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )
    program = " ".join(map(str, arguments))
    report = f"{program} exited with {result.returncode}\n--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}"
    assert result.returncode == status, report
    if stderr is None:
        assert not result.stderr, report
    else:
        assert stderr in result.stderr, report
    return result.stdout


def child(code=0, after=lambda: sleep(0.01), end=None):
    """Start a child that ends when `after()` has returned in a greenlet of this process. Returns its process number.

    So it never ends before other greenlets have run. It exits with `code`, or sends itself the signal `end` (int).
    """
    return _shell(f"kill -{end} $$" if end else f"exit {code}", after)


def signal_from_child(number, after=lambda: sleep(0.01)):
    """Start a child that sends this process a signal when `after()` has returned in a greenlet. Returns its number."""
    return _shell(f"kill -{int(number)} {os.getpid()}", after)


def _shell(command, after):
    reader, writer = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, reader, 0)]
    arguments = ["sh", "-c", f"read line; {command}"]
    pid = os.posix_spawn("/bin/sh", arguments, {"PATH": "/usr/bin:/bin"}, file_actions=actions)
    os.close(reader)
    # A callback of the hub closes the pipe. So no greenlet runs in which the signal's handler could be called at once.
    spawn(lambda: (after(), get_hub().run_callback(os.close, writer)))
    return pid


def in_child(function):
    """Run a function in a forked child. Returns the repr() of its result, or its error as "Type: text"."""
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
    with open(read_end) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return text
