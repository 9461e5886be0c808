"""The standard library's `signal`, with cooperative forms of the functions that wait for a signal.

The hub has no handler of its own, not even for SIGCHLD. All other functions, such as `setitimer`, are the standard
ones. Handlers that are set with `signal` run on the main greenlet (see `greenio._patched.signal_handlers`). To run a
handler in a greenlet of its own, see `greenio.signal_handler`. Functions that wait say that they switch; the others do
not switch.

Theory
    Signals that are blocked and waited for stay pending until the thread that asks takes them. A signalfd only says
    when to look, so no signal is lost if the greenlet is killed. pause() must know that a handler has run. CPython
    reports that through the descriptor of set_wakeup_fd(). While a greenlet waits, that is a pipe of this module, and
    its bytes are passed on to the descriptor that was there before.
"""

import errno as _errno
from contextlib import contextmanager as _contextmanager
from contextlib import suppress as _suppress
from operator import index as _index
from os import O_CLOEXEC as _O_CLOEXEC
from os import O_NONBLOCK as _O_NONBLOCK
from os import close as _close
from os import pipe2 as _pipe2
from os import read as _read
from os import strerror as _strerror
from os import write as _write
from signal import *  # noqa: F403  (this module offers everything that the standard one does)
from signal import Signals as _Signals
from signal import pause as _pause
from signal import pthread_kill as _pthread_kill
from signal import pthread_sigmask as _pthread_sigmask
from signal import set_wakeup_fd as _set_wakeup_fd
from signal import sigtimedwait as _sigtimedwait
from time import monotonic as _monotonic
from weakref import WeakKeyDictionary as _WeakKeyDictionary

from greenlet import GreenletExit as _GreenletExit
from greenlet import getcurrent as _getcurrent
from hub import Wait as _Wait
from hub import get_hub as _get_hub
from hub import get_hub_if_exists as _get_hub_if_exists
from hub.closing import closing_descriptor as _closing_descriptor
from hub.forks import in_child as _in_child

from greenio._descriptors.pauses import Pauses as _Pauses
from greenio._descriptors.readiness import wait_read as _wait_read
from greenio._descriptors.signalfd import open_signalfd as _open_signalfd
from greenio._patched.identity import in_thread as _in_thread
from greenio._patched.identity import native_ident as _native_ident
from greenio._patched.signal_handlers import getsignal, signal
from greenio._patched.signal_handlers import require_main as _require_main
from greenio.event import Event as _Event
from greenio.greenlet import Greenlet as _Greenlet

__all__ = [
    "getsignal", "pause", "pthread_kill", "pthread_sigmask", "set_wakeup_fd", "signal", "sigtimedwait", "sigwait",
    "sigwaitinfo",
]  # fmt: skip


# --- signals that are blocked -----------------------------------------------------------------------------------


_masks: _WeakKeyDictionary = _WeakKeyDictionary()  # greenlets that stand for threads -> the signals they have blocked
_waited_for: dict = {}  # a signal that is blocked here because threads wait for it -> the number of those threads


@_contextmanager
def _blocked_in_system(sigset):
    """Block the signals of a set in the system, as far as the current thread has blocked them by `_masks`."""
    mine = sigset.intersection(_masks.get(_getcurrent(), ()) if _in_thread() else ())
    if mine:
        mine -= _pthread_sigmask(SIG_BLOCK, mine) - _waited_for.keys()  # noqa: F405
        for number in mine:
            _waited_for[number] = _waited_for.get(number, 0) + 1
    try:
        yield
    finally:
        for number in mine:
            if number in _waited_for:  # not in a forked child
                _waited_for[number] -= 1
                if _waited_for[number] == 0:
                    del _waited_for[number]
                    _pthread_sigmask(SIG_UNBLOCK, {number})  # noqa: F405


def _forget_waits():
    """In a forked child: unblock the signals. The greenlets that waited for them have stayed in the parent."""
    if _waited_for:
        _pthread_sigmask(SIG_UNBLOCK, _waited_for)  # noqa: F405
        _waited_for.clear()


_in_child(_forget_waits)


def _wait_for(sigset, timeout):
    """Take a pending signal of a set: its siginfo, or None if `timeout` seconds (None for ever) pass first."""
    sigset = set(sigset)
    with _blocked_in_system(sigset):
        return _take(sigset, timeout)


def _take(sigset, timeout):
    found = _sigtimedwait(sigset, 0)  # also raises for a wrong set
    if found is not None or timeout is not None and timeout <= 0:
        return found
    end = None if timeout is None else _monotonic() + timeout
    try:
        descriptor = _open_signalfd(sigset)
    except OSError as failure:
        if failure.errno not in (_errno.EMFILE, _errno.ENFILE, _errno.ENOMEM):
            raise
        # No descriptors are left: look again and again.
        pauses = _Pauses(0.0005, 0.01, timeout)
        while found is None and pauses.pause():
            found = _sigtimedwait(sigset, 0)
        return found
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


def _as_signal(number):
    try:
        return _Signals(number)
    except ValueError:
        return number  # a real-time signal without a name


def sigwait(sigset, /):
    """As signal.sigwait(): take one of these blocked signals and return its number. Switches while none is pending."""
    return _as_signal(_wait_for(sigset, None).si_signo)


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
            # The hub's own descriptor needs no copies: the hub looks at the slot whenever it sleeps.
            self.copies_to = -1 if self.displaced == _get_hub().loop.signal_descriptor else self.displaced
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
        read_end, copies_to, hub = self.read_end, self.copies_to, _get_hub()
        while True:
            try:
                _wait_read(read_end)
                signals = _read(read_end, 512)  # the handlers run here at the latest
            except (_GreenletExit, OSError):
                return
            except BaseException as error:
                # A handler has raised it. It must not come up in this greenlet, which happens to run.
                hub.handle_system_error(type(error), error, error.__traceback__)
                continue
            if copies_to >= 0:
                with _suppress(OSError):  # the descriptor is full, or closed: go on, as CPython's handler does
                    _write(copies_to, signals)
            self.event.set()
            self.event.clear()

    def after_fork_in_child(self):
        """In a forked child: close the pipe. The greenlets that waited have stayed in the parent."""
        if self.waiting:
            self.waiting = 0
            current = _set_wakeup_fd(-1)
            _set_wakeup_fd(self.copies_to if current == self.write_end else current, warn_on_full_buffer=False)
            _close(self.read_end)
            _close(self.write_end)


_handlers_run = _HandlersRun()
_in_child(_handlers_run.after_fork_in_child)


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


# --- threads, and descriptors -----------------------------------------------------------------------------------


def pthread_kill(thread_id, signalnum, /):
    """As signal.pthread_kill(). For a thread that is a greenlet, the native thread in which it runs gets the signal.

    Raises ProcessLookupError if there is no such thread.
    """
    _pthread_kill(_native_ident(thread_id), signalnum)


def pthread_sigmask(how, mask, /):
    """As signal.pthread_sigmask(): change the signals that the current thread blocks. Returns the set from before.

    All greenlets of a native thread share one mask. If a greenlet that stands for a thread blocks a signal, that is
    remembered, and returned by later calls, but the mask stays as it is: other greenlets, above all the main one, still
    get the signal. While the greenlet waits for the signal, with sigwait() and its like, it gets the signal itself.
    """
    if not _in_thread():
        return _pthread_sigmask(how, mask)
    current = _getcurrent()
    before = _masks.get(current)
    if before is None:
        before = _pthread_sigmask(SIG_BLOCK, ())  # noqa: F405
    numbers = {_index(number) for number in mask}
    for number in numbers:
        if not 0 < number < NSIG:  # noqa: F405
            raise ValueError(f"signal number {number} out of range [1; {NSIG - 1}]")  # noqa: F405
    if how == SIG_BLOCK:  # noqa: F405
        after = before | numbers
    elif how == SIG_UNBLOCK:  # noqa: F405
        after = before - numbers
    elif how == SIG_SETMASK:  # noqa: F405
        after = numbers
    else:
        raise OSError(_errno.EINVAL, _strerror(_errno.EINVAL))
    _masks[current] = {_as_signal(number) for number in after - {SIGKILL, SIGSTOP}}  # noqa: F405
    return set(before)


def set_wakeup_fd(fd, /, *, warn_on_full_buffer=True):
    """As signal.set_wakeup_fd(): have signals written to a descriptor (int; -1 for none). Returns the one before.

    The hub sets a descriptor of its own while the program has set none. That one counts as none.
    """
    _require_main("set_wakeup_fd")
    before = _set_wakeup_fd(fd, warn_on_full_buffer=warn_on_full_buffer)
    if _handlers_run.waiting and before == _handlers_run.write_end:
        before = _handlers_run.copies_to
    hub = _get_hub_if_exists()
    if hub is None or hub.destroyed or not hub.loop.default:
        return before
    ours = hub.loop.signal_descriptor
    if fd == -1:
        _set_wakeup_fd(ours, warn_on_full_buffer=False)  # at once, and not only when the hub looks next
    return -1 if before == ours else before
