"""The standard library's `signal`, with cooperative forms of the functions that wait for a signal.

The hub has no handler of its own, not even for SIGCHLD: `set_wakeup_fd`, `setitimer` and all others are the standard
ones. Handlers that are set with `signal` run on the main greenlet (see `greenio.signal_handlers`). To run one in a
greenlet of its own, see `greenio.signal_handler`.

Theory
    Signals that are blocked and waited for stay pending until they are taken by the thread that asks, so that none is
    lost if that greenlet is killed: a signalfd only says when to look.
    pause() must know that a handler has run. CPython tells so through the descriptor of set_wakeup_fd(); while somebody
    waits, that is a pipe of this module, and what comes is passed on to the descriptor that was there before.
"""

from contextlib import suppress as _suppress
from os import O_CLOEXEC as _O_CLOEXEC
from os import O_NONBLOCK as _O_NONBLOCK
from os import close as _close
from os import pipe2 as _pipe2
from os import read as _read
from os import register_at_fork as _register_at_fork
from os import write as _write
from signal import *  # noqa: F403  (this module offers everything that the standard one does)
from signal import Signals as _Signals
from signal import pause as _pause
from signal import set_wakeup_fd as _set_wakeup_fd
from signal import sigtimedwait as _sigtimedwait
from time import monotonic as _monotonic

from greenlet import GreenletExit as _GreenletExit
from hub import Wait as _Wait
from hub import get_hub as _get_hub
from hub.closing import closing_descriptor as _closing_descriptor

from greenio.event import Event as _Event
from greenio.greenlet import Greenlet as _Greenlet
from greenio.readiness import wait_read as _wait_read
from greenio.signal_handlers import getsignal, signal
from greenio.signalfd import open_signalfd as _open_signalfd

__all__ = ["getsignal", "pause", "signal", "sigtimedwait", "sigwait", "sigwaitinfo"]


# --- signals that are blocked -----------------------------------------------------------------------------------


def _wait_for(sigset, timeout):
    """Take a pending signal of a set: its siginfo, or None if `timeout` seconds (None for ever) pass first."""
    sigset = set(sigset)
    found = _sigtimedwait(sigset, 0)  # which also says what is wrong with the set
    if found is not None or timeout is not None and timeout <= 0:
        return found
    end = None if timeout is None else _monotonic() + timeout
    descriptor = _open_signalfd(sigset)
    try:
        while found is None:
            left = None if end is None else max(0, end - _monotonic())
            try:
                _wait_read(descriptor, left)
            except TimeoutError:
                return _sigtimedwait(sigset, 0)
            found = _sigtimedwait(sigset, 0)
        return found
    finally:
        _close(descriptor)


def sigwait(sigset, /):
    """As signal.sigwait(): take one of these blocked signals and return its number. Switches while none is pending."""
    number = _wait_for(sigset, None).si_signo
    try:
        return _Signals(number)
    except ValueError:
        return number  # a real-time signal without a name


def sigwaitinfo(sigset, /):
    """As signal.sigwaitinfo(): take one of these blocked signals. Switches while none is pending."""
    return _wait_for(sigset, None)


def sigtimedwait(sigset, timeout, /):
    """As signal.sigtimedwait(): as sigwaitinfo(), but return None after `timeout` seconds. Switches, unless it is 0."""
    if timeout < 0:
        raise ValueError("timeout must be non-negative")
    return _wait_for(sigset, timeout)


# --- handlers ---------------------------------------------------------------------------------------------------


class _HandlersRun:
    """Tells the greenlets of the main thread that wait in pause() when a handler has run."""

    def __init__(self):
        self.waiting = 0
        self.event = _Event()
        self.reader = None

    def __enter__(self):
        if self.waiting == 0:
            self.read_end, self.write_end = _pipe2(_O_NONBLOCK | _O_CLOEXEC)
            self.displaced = _set_wakeup_fd(self.write_end, warn_on_full_buffer=False)
            # The hub needs not be told: it looks at the slot whenever it sleeps.
            self.told = -1 if self.displaced == _get_hub().loop.signal_descriptor else self.displaced
            self.reader = _Greenlet.spawn(self.read)
        self.waiting += 1
        return self.event

    def __exit__(self, *exc_info):
        self.waiting -= 1
        if self.waiting == 0:
            current = _set_wakeup_fd(-1)
            _set_wakeup_fd(self.displaced if current == self.write_end else current, warn_on_full_buffer=False)
            self.reader.kill(block=False)
            _close(self.write_end)
            _closing_descriptor(self.read_end)
            _close(self.read_end)

    def read(self):
        read_end, told, hub = self.read_end, self.told, _get_hub()
        while True:
            try:
                _wait_read(read_end)
                signals = _read(read_end, 512)  # the handlers run here at the latest
            except (_GreenletExit, OSError):
                return
            except BaseException as error:
                # From a handler: it does not come up in whichever greenlet happens to run.
                hub.handle_system_error(type(error), error, error.__traceback__)
                continue
            if told >= 0:
                with _suppress(OSError):  # it is full, or closed: go on, as CPython's handler does
                    _write(told, signals)
            self.event.set()
            self.event.clear()

    def after_fork_in_child(self):
        """Those who waited have stayed in the parent, and so has their pipe."""
        if self.waiting:
            self.waiting = 0
            current = _set_wakeup_fd(-1)
            _set_wakeup_fd(self.told if current == self.write_end else current, warn_on_full_buffer=False)
            _close(self.read_end)
            _close(self.write_end)


_handlers_run = _HandlersRun()
_register_at_fork(after_in_child=_handlers_run.after_fork_in_child)


def pause():
    """As signal.pause(): wait until a signal handler has run. Returns None. Switches.

    In other threads than the main one, where no handlers run, it blocks the thread, as the standard one.
    """
    if not _get_hub().loop.default:
        return _pause()
    # The loop may still have to learn of signals that were handled before this call: they do not count.
    with _suppress(TimeoutError):
        _Wait("pause()").park(0)
    with _handlers_run as event:
        event.wait()
