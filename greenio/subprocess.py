"""Processes: the standard library's `subprocess`, whose waiting lets other greenlets run.

A process is started by the standard library's own code, with vfork(). That blocks the thread for as long as the program
takes to start. `greenio._descriptors.children` waits for the process's end. Pipes are file objects of
`greenio.fileobject`.

The functions that make and wait for processes are the standard ones on another set of globals, in which the selector,
the file objects and `Popen` are ours. So their code is not repeated here, and settings of the standard module, such as
`_USE_VFORK`, hold here too.

`run`, `call`, `check_call`, `check_output`, `getoutput` and `getstatusoutput` switch until the process has ended.
"""

import io
import os
import subprocess as _standard
from contextlib import suppress
from subprocess import *  # noqa: F403  (this module offers everything that the standard one does)
from subprocess import TimeoutExpired
from types import FunctionType, SimpleNamespace

from greenlet import getcurrent
from hub import get_hub

from greenio._descriptors.accepting import make_blocking_again
from greenio._descriptors.buffered import TextIOWrapper
from greenio._descriptors.children import AnnouncedWait, wait_for_exit
from greenio.fileobject import FileObjectClosed, open_own_pipe
from greenio.greenlet import Greenlet
from greenio.selectors import PollSelector

__all__ = sorted({*_standard.__all__, "Popen"})


class _Globals(dict):
    """The globals that are set here and, for all other names, the present ones of the standard module."""

    def __missing__(self, name):
        return vars(_standard)[name]


class _StandardOs:
    """The module `os`, with the functions that it had when this module was imported: patching does not reach them."""

    close, read, write = map(staticmethod, (os.close, os.read, os.write))
    posix_spawn, waitpid = map(staticmethod, (os.posix_spawn, os.waitpid))

    def __getattr__(self, name):
        return getattr(os, name)


class _PipeSelector(PollSelector):
    """A selector that raises if a pipe is closed in the middle of communicate(): its number may be another file's."""

    def select(self, timeout=None):
        ready = super().select(timeout)
        if any(key.fileobj.closed for key in self.get_map().values()):
            raise FileObjectClosed()
        return ready


_namespace = _Globals(
    __builtins__=__builtins__,
    _PopenSelector=_PipeSelector,
    io=SimpleNamespace(**{**vars(io), "open": open_own_pipe, "TextIOWrapper": TextIOWrapper}),
    os=_StandardOs(),
)


def _on_our_globals(function):
    """A copy of a function of the standard module, with `_namespace` as its globals."""
    made = FunctionType(function.__code__, _namespace, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    made.__qualname__ = function.__qualname__
    made.__module__ = __name__
    return made


_communicate = _on_our_globals(vars(_standard.Popen)["_communicate"])
_execute_child = _on_our_globals(vars(_standard.Popen)["_execute_child"])
_parameters = _execute_child.__code__.co_varnames


class Popen(_standard.Popen):
    """As subprocess.Popen. wait(), communicate() and the pipes' methods switch; the other methods do not.

    May be used from any thread, and waited for together with other things: `greenio.wait`, `iwait`, `wait_any`.
    """

    __init__ = _on_our_globals(_standard.Popen.__init__)

    def _execute_child(self, *args, **kwargs):
        call = {**dict(zip(_parameters, (self, *args), strict=False)), **kwargs}
        for descriptor in (call["p2cread"], call["c2pwrite"], call["errwrite"], *call["pass_fds"]):
            if isinstance(descriptor, int) and descriptor >= 0:
                with suppress(OSError):  # the system says what is wrong with it
                    make_blocking_again(descriptor)
        return _execute_child(self, *args, **kwargs)

    def _communicate(self, input, endtime, orig_timeout):
        if self._communication_started and self.stdin and not self.stdin.closed:
            input = self._input  # the rest, which the call that timed out has not sent, and CPython forgets
        return _communicate(self, input, endtime, orig_timeout)

    def _wait(self, timeout):
        if self.returncode is None:
            with AnnouncedWait(self.pid, self._reaped_by_others) as waiting:
                try:
                    wait_for_exit(self.pid, timeout)
                except TimeoutError:
                    raise TimeoutExpired(self.args, timeout) from None
                waiting.settle()
                # The process has ended, so this does not block. It does the rest.
                return super()._wait(None)
        return super()._wait(None)

    def _reaped_by_others(self, status):
        self._handle_exitstatus(status)

    # --- waiting for it together with other things, by gevent's methods ---

    # Not links of greenio._tasks.link_list: no event reports the end of a process by itself. A greenlet waits for
    # each link, so that a process without links costs nothing.

    def ready(self):
        """Whether the process has ended (bool)."""
        return self.poll() is not None

    def rawlink(self, callback):
        """Call ``callback(self)`` on the hub, once, when the process has ended. The callback must not block."""
        job = Greenlet(self._link, callback)
        self.__dict__.setdefault("_links", {}).setdefault(callback, []).append(job)
        job.start()

    def _link(self, callback):
        wait_for_exit(self.pid)
        get_hub().run_callback(self._call, callback, getcurrent())

    def _call(self, callback, job):
        self.poll()
        jobs = self._links.get(callback, [])
        if job in jobs:
            jobs.remove(job)
            callback(self)

    def unlink(self, callback):
        """Forget a callback that was given to rawlink(). Does nothing if there is no such callback."""
        for waiting in self.__dict__.get("_links", {}).pop(callback, ()):
            waiting.kill(block=False)


_namespace["Popen"] = Popen
if hasattr(_standard, "_communicate_io_posix"):  # from CPython 3.15 on, apart from _communicate()
    _namespace["_communicate_io_posix"] = _on_our_globals(_standard._communicate_io_posix)
for _name in ("call", "check_call", "check_output", "run", "getstatusoutput", "getoutput"):
    _namespace[_name] = globals()[_name] = _on_our_globals(getattr(_standard, _name))
