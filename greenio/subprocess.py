"""Processes: the standard library's `subprocess`, whose waiting lets other greenlets run.

Starting a process is the standard library's own code, vfork and all. A process that is waited for is watched through
its pidfd: no SIGCHLD handler, from any thread, and none but our own children are reaped. Pipes are file objects of
`greenio.fileobject`.

The functions that make and wait for processes are the standard ones on another set of globals, in which the selector,
the file objects and `Popen` are ours: nothing of them is written again here.
"""

import io
import os
import subprocess as _standard
from subprocess import *  # noqa: F403  (this module offers everything that the standard one does)
from subprocess import TimeoutExpired
from types import FunctionType, SimpleNamespace

from hub import get_hub

from greenio.fileobject import open_pipe
from greenio.selectors import PollSelector
from greenio.socket import wait_read

__all__ = sorted({*_standard.__all__, "Popen"})

_namespace = dict(vars(_standard))
_namespace["_PopenSelector"] = PollSelector
_namespace["io"] = SimpleNamespace(**{**vars(io), "open": open_pipe})


def _on_ours(function):
    """A function of the standard module, with ours in place of what it refers to there."""
    made = FunctionType(function.__code__, _namespace, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    made.__qualname__ = function.__qualname__
    made.__module__ = __name__
    return made


class Popen(_standard.Popen):
    """As subprocess.Popen. wait(), communicate() and the pipes let other greenlets run. From any thread.

    May be waited for together with other things: `greenio.wait`, `iwait`, `wait_any`.
    """

    __init__ = _on_ours(_standard.Popen.__init__)
    _communicate = _on_ours(vars(_standard.Popen)["_communicate"])

    def _wait(self, timeout):
        if self.returncode is None:
            try:
                _wait_for_exit(self.pid, timeout)
            except TimeoutError:
                raise TimeoutExpired(self.args, timeout) from None
            # Only if another thread is reaping it at this very moment is it not known yet.
            while self.poll() is None:
                get_hub().threadpool.apply(os.sched_yield)
        return self.returncode

    # --- as gevent's, to be waited for with other things ---

    def ready(self):
        """Whether it has ended (bool)."""
        return self.poll() is not None

    def rawlink(self, callback):
        """Call ``callback(self)`` on the hub, once, when it has ended. It must not block."""
        pidfd = os.pidfd_open(self.pid) if self.poll() is None else None
        hub = get_hub()
        links = self.__dict__.setdefault("_links", {})
        if pidfd is None:
            hub.run_callback(callback, self)
            return
        watcher = hub.loop.io(pidfd, 1)
        links.setdefault(callback, []).append((watcher, pidfd))
        watcher.start(self._ended, callback)

    def _ended(self, callback):
        self.poll()
        self.unlink(callback)
        callback(self)

    def unlink(self, callback):
        """Forget a callback that was given to rawlink(). Does nothing if there is none."""
        for watcher, pidfd in self.__dict__.get("_links", {}).pop(callback, ()):
            watcher.close()
            os.close(pidfd)


def _wait_for_exit(pid, timeout):
    """Wait until a child has ended, but do not reap it. Raises TimeoutError."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # somebody has reaped it
    try:
        wait_read(pidfd, timeout)
    finally:
        os.close(pidfd)


_namespace["Popen"] = Popen
for _name in ("call", "check_call", "check_output", "run", "getstatusoutput", "getoutput"):
    _namespace[_name] = globals()[_name] = _on_ours(getattr(_standard, _name))
