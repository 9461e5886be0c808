"""Handlers of SIGCHLD that reap whatever has ended, while the main thread waits for a child of its own."""

import os
import signal
import subprocess

reaped = []


def reap(*args):
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            reaped.append(status)
    except ChildProcessError:
        pass


signal.signal(signal.SIGCHLD, reap)
print("system", os.system("exit 3"))
print("call", [subprocess.call(["sh", "-c", f"sleep 0.2; exit {code}"]) for code in (5, 6)])
print("popen", os.popen("sleep 0.2; exit 3").close())
pid = os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 0.2; exit 6"], os.environ)
print("waitpid", os.waitpid(pid, 0)[1])
pid = os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 0.2; exit 7"], os.environ)
print("waitid", os.waitid(os.P_PID, pid, os.WEXITED).si_status)
print("the handler's", reaped)
