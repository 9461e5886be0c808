"""A child that is waited for by its pidfd, and a handler of SIGCHLD that reaps."""
# natively: 6
# patched: No child processes

import os
import signal


def reap(*args):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


signal.signal(signal.SIGCHLD, reap)
pid = os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 0.2; exit 6"], os.environ)
pidfd = os.pidfd_open(pid)
try:
    print(os.waitid(os.P_PIDFD, pidfd, os.WEXITED).si_status)
except ChildProcessError as error:
    print(error.strerror)
