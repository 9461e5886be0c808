"""Waiting for child processes, and forking, for `greenio.os` and `greenio.subprocess`.

A wait for a child by its number uses a pidfd. It works in any thread, without a handler for SIGCHLD, and reaps nothing.
Without a pidfd (an old system, a sandbox that refuses it, no descriptors left), the wait looks at the child's state
again and again, in pauses of up to 50 ms. Other waits, such as for "any child" or "any of a group", are left to the
system itself, in a thread, which reaps no child either.

A wait for a child by its number must get the child's status. Natively it does, because a thread that blocks in
waitpid() is the first to see the child end. Here other code may be faster, such as a handler of SIGCHLD that reaps any
child that has ended. Therefore:
    1. The wait is announced before it begins: `AnnouncedWait`.
    2. If a call here reaps a child that has an announced wait, it hands the status over to that wait, and goes on as if
       it had seen nothing.
    3. Before a handler of SIGCHLD runs, announced waits get the statuses that are there, because the handler may call
       the system's own functions. A handler that was set with the standard library's signal() is wrapped for that when
       the main thread next waits.
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from operator import index
from os import P_ALL, P_PGID, P_PID, P_PIDFD, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WUNTRACED
from os import close as _close
from os import fork as _fork
from os import forkpty as _forkpty
from os import wait4 as _wait4
from os import waitid as _waitid
from resource import struct_rusage
from signal import SIGCHLD

from hub import get_hub, get_hub_if_exists
from hub.errors import HubDestroyed
from hub.forks import in_child

from greenio._descriptors.blocking import call_in_thread
from greenio._descriptors.pauses import Pauses
from greenio._descriptors.readiness import wait_read
from greenio._patched.signal_handlers import call_before, wrap_present_handler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from os import waitid_result
    from typing import Any

    from hub.event_loop import EventLoop, child
    from typing_extensions import Self

    _Found = tuple[int, struct_rusage]  # wait status, resource usage

_pidfd_open: Any = getattr(os, "pidfd_open", None)

__all__ = [
    "AnnouncedWait", "fork_and_watch", "fork_gevent", "forkpty_and_watch", "forkpty_gevent", "wait", "wait3", "wait4",
    "wait_for_exit", "waitid", "waitpid",
]  # fmt: skip

# Seconds between two looks at a child that has no pidfd: the first, and the longest.
_LOOK_FIRST, _LOOK_LONGEST = 0.0005, 0.05
# How many statuses of watched children are kept until the program asks for them.
_KEPT = 1000
# The codes of waitid() for children that have ended. With the other codes, a child has stopped or goes on.
_ENDS = (os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED)
# waitid() does not report the usage of resources.
_NO_USAGE = struct_rusage((0,) * 16)

_watched: dict[int, child] = {}  # the watchers of fork_and_watch(), by the child's number
_statuses: dict[int, _Found] = {}  # of children that their watcher has reaped


# --- one child --------------------------------------------------------------------------------------------------


def _runs(kind, number):
    """Whether this process has such a child, and it has not ended."""
    try:
        return _waitid(kind, number, WEXITED | WNOHANG | WNOWAIT) is None
    except ChildProcessError:
        return False  # other code has reaped it


def wait_for_exit(pid: int, timeout: float | None = None) -> None:
    """Wait until child `pid` has ended, or other code has reaped it. Does not reap it. Switches.

    `timeout` in seconds (float); when it passes first, raises TimeoutError.
    """
    if not _runs(P_PID, pid):
        return
    try:
        pidfd = _pidfd_open(pid)
    except ProcessLookupError:
        return
    except (OSError, TypeError):  # refused, or not there at all
        pauses = Pauses(_LOOK_FIRST, _LOOK_LONGEST, timeout)
        while _runs(P_PID, pid):
            if not pauses.pause():
                raise TimeoutError("timed out") from None
        return
    try:
        wait_read(pidfd, timeout)
    finally:
        _close(pidfd)


# --- announced waits --------------------------------------------------------------------------------------------

_announced: dict[AnnouncedWait, int] = {}  # an announced wait -> the child's number, in the order in which they began
_reaping: list[int] = []  # has an item for each call underway that may reap a child for which another one waits


class AnnouncedWait:
    """``with AnnouncedWait(pid) as waiting``: the current greenlet waits for this child, until the block ends.

    `pid`: the child's number (int); None if begin() is to start it. `on_status`: called with the wait status (int) at
    once when a call that has reaped the child hands the status over. `found` is (status, resource usage) then.
    """

    def __init__(self, pid: int | None = None, on_status: Callable[[int], object] | None = None) -> None:
        self.pid = pid
        self.on_status = on_status
        self.found: _Found | None = None

    def __enter__(self) -> Self:
        wrap_present_handler(SIGCHLD)
        if self.pid is not None:
            _announced[self] = self.pid
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        _announced.pop(self, None)
        if self.found is not None and self.on_status is None:  # the greenlet was killed before it could take the status
            _hand_over(self.pid, self.found)

    def begin(self, start: Callable[[bytes, AnnouncedWait, dict[AnnouncedWait, int]], None], command: bytes) -> None:
        """Call ``start(command, self, table)``, which starts a child, and at once sets `pid` and ``table[self]``."""
        start(command, self, _announced)

    def wait(self) -> int:
        """Wait for the child's end. Returns its wait status (int). Switches."""
        return _reaped(self.pid, 0, self)[1]

    def give(self, found: _Found) -> None:
        """Take the (status, resource usage) of the child, which another call has reaped. Does not switch."""
        self.found = found
        if self.on_status is not None:
            self.on_status(found[0])

    def settle(self) -> bool:
        """Wait until no other call may still hand the status over. Returns whether one has. Switches."""
        pauses = Pauses(_LOOK_FIRST, _LOOK_LONGEST)
        while self.found is None and _reaping:
            pauses.pause()
        return self.found is not None


def _waiting_for(pid):
    """The first announced wait for this child that has not got the status, or None."""
    for waiting, number in _announced.copy().items():
        if number == pid and waiting.found is None:
            return waiting
    return None


def _hand_over(pid, found):
    """Give the status of a child that was reaped to the announced wait for it; if that is gone, keep the status."""
    waiting = _waiting_for(pid)
    if waiting is None:
        _keep_status(pid, *found)
    else:
        waiting.give(found)


def _serve_announced():
    """Give announced waits the statuses that are there: other code is about to reap any child."""
    for pid in dict.fromkeys(_announced.copy().values()):
        _reaping.append(pid)
        try:
            found = _wait4(pid, WNOHANG)
            if found[0]:
                _tell_watcher(*found[:2])
                _hand_over(pid, found[1:])
        except ChildProcessError:
            pass  # another call has just reaped it
        finally:
            _reaping.pop()


call_before(SIGCHLD, _serve_announced)


# --- the functions of os ----------------------------------------------------------------------------------------


def _wait_for_change(pid, options):
    """Wait until ``wait4(pid, options)`` has something to report."""
    if pid > 0 and not options & (WUNTRACED | WCONTINUED):
        wait_for_exit(pid)
        return
    if pid > 0:
        kind, number = P_PID, pid
    elif pid == -1:
        kind, number = P_ALL, 0
    else:
        kind, number = P_PGID, -pid or os.getpgrp()
    _in_thread(kind, number, options | WEXITED)


def _in_thread(kind, number, options):
    try:
        call_in_thread(_waitid, kind, number, options | WNOWAIT)
    except ChildProcessError:
        return  # the caller's next call reports it


def waitpid(pid: int, options: int, /) -> tuple[int, int]:
    """As os.waitpid(). Switches while the child runs."""
    return wait4(pid, options)[:2]


def wait() -> tuple[int, int]:
    """As os.wait(): for any child. Switches while no child has ended."""
    return waitpid(-1, 0)


def wait3(options: int) -> tuple[int, int, struct_rusage]:
    """As os.wait3(). Switches while no child has ended."""
    return wait4(-1, options)


def wait4(pid: int, options: int) -> tuple[int, int, struct_rusage]:
    """As os.wait4(). Switches while the child runs."""
    pid, options = index(pid), index(options)
    if pid <= 0 or options & WNOHANG:
        return _reaped(pid, options, None)
    with AnnouncedWait(pid) as waiting:
        return _reaped(pid, options, waiting)


def _reaped(pid, options, waiting):
    """Wait and reap as wait4(), and return its result. `waiting`: the caller's AnnouncedWait, or None."""
    while True:
        if waiting is not None and waiting.found is not None:
            found, waiting.found = waiting.found, None
            return (pid, *found)
        if waiting is None:
            _reaping.append(pid)
        try:
            found = _wait4(pid, options | WNOHANG)
            if waiting is None and _is_announced(*found[:2]):
                _tell_watcher(*found[:2])
                _hand_over(found[0], found[1:])
                continue
        except ChildProcessError:
            if waiting is not None and waiting.settle():
                continue
            kept = _kept_status(pid)
            if kept is None:
                raise
            return (pid, *kept)
        finally:
            if waiting is None:
                _reaping.pop()
        if found[0] != 0:
            _tell_watcher(*found[:2])
            return found
        if options & WNOHANG:
            return found
        _wait_for_change(pid, options)


def _is_announced(pid, status):
    """Whether this is the end of a child that has an announced wait."""
    return pid != 0 and not os.WIFSTOPPED(status) and not os.WIFCONTINUED(status) and _waiting_for(pid) is not None


def waitid(idtype: int, id: int, options: int, /) -> waitid_result | None:
    """As os.waitid(). Switches while the child runs."""
    options = index(options)
    if idtype != P_PID or options & (WNOHANG | WNOWAIT) or not options & WEXITED:
        return _reaped_by_id(idtype, id, options, None)
    with AnnouncedWait(id) as waiting:
        return _reaped_by_id(idtype, id, options, waiting)


def _reaped_by_id(idtype, id, options, waiting):
    """Wait and reap as waitid(), and return its result. `waiting`: the caller's AnnouncedWait, or None."""
    while True:
        if waiting is not None and waiting.found is not None:
            found, waiting.found = waiting.found, None
            return _result_of(id, found[0])
        if waiting is None:
            if options & WEXITED:
                _serve_announced()
            _reaping.append(id)
        try:
            found = _waitid(idtype, id, options | WNOHANG)
            if waiting is None and found is not None and not options & WNOWAIT:
                status = _status_of(found)
                if found.si_code in _ENDS and _is_announced(found.si_pid, status):
                    _tell_watcher(found.si_pid, status)
                    _hand_over(found.si_pid, (status, _NO_USAGE))
                    continue
        except ChildProcessError:
            if waiting is not None and waiting.settle():
                continue
            kept = _kept_status(id) if idtype == P_PID and options & WEXITED else None
            if kept is None:
                raise
            if options & WNOWAIT:
                _statuses[id] = kept
            return _result_of(id, kept[0])
        finally:
            if waiting is None:
                _reaping.pop()
        if found is not None:
            if not options & WNOWAIT and found.si_code in _ENDS:
                _tell_watcher(found.si_pid, _status_of(found))
            return found
        if options & WNOHANG:
            return found
        if options & ~WNOWAIT != WEXITED:
            _in_thread(idtype, id, options)
        elif idtype == P_PID:
            wait_for_exit(id)
        elif idtype == P_PIDFD:
            wait_read(id)
        else:
            _in_thread(idtype, id, options)


def _result_of(pid, status):
    """The result of waitid() for a child, made from its wait status."""
    if os.WIFEXITED(status):
        code, number = os.CLD_EXITED, os.WEXITSTATUS(status)
    else:
        code, number = os.CLD_DUMPED if os.WCOREDUMP(status) else os.CLD_KILLED, os.WTERMSIG(status)
    return os.waitid_result((pid, os.getuid(), SIGCHLD, number, code))


def _status_of(found):
    """The wait status of a child that has ended, made from the result of waitid()."""
    if found.si_code == os.CLD_EXITED:
        return found.si_status << 8
    return found.si_status | (0x80 if found.si_code == os.CLD_DUMPED else 0)


# --- forks ------------------------------------------------------------------------------------------------------


def fork_gevent() -> int:
    """Fork the process, as os.fork() does, without CPython's warning that it has threads. Does not switch.

    The child has a new loop. Of the greenlets, only the one that forked goes on there. The warning may be about threads
    of the hub's pool, and the child does not need those.
    """
    return _quietly(_fork)


def forkpty_gevent() -> tuple[int, int]:
    """As fork_gevent(); the child has a new pseudo-terminal. Returns (child's id or 0, descriptor of the other end)."""
    return _quietly(_forkpty)


def _quietly(fork):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .*is multi-threaded", DeprecationWarning)
        return fork()


def fork_and_watch(
    callback: Callable[[child], object] | None = None,
    loop: EventLoop | None = None,
    ref: bool = False,
    fork: Callable[[], int] = fork_gevent,
) -> int:
    """Fork the process, and in the parent reap the child when it ends. Returns the result of `fork`. Does not switch.

    ``callback(watcher)`` is called on the hub then; `watcher.rpid` and `watcher.rstatus` are the child's number and
    status. The status is also kept for waitpid(), wait4() and waitid(). Without a callback the child is not watched, as
    those functions need no help. `loop`: the loop whose hub calls the callback. `ref`: whether the child keeps that
    loop alive (bool).
    """
    pid = fork()
    if pid != 0:
        _watch(pid, callback, loop, ref)
    return pid


def forkpty_and_watch(
    callback: Callable[[child], object] | None = None,
    loop: EventLoop | None = None,
    ref: bool = False,
    forkpty: Callable[[], tuple[int, int]] = forkpty_gevent,
) -> tuple[int, int]:
    """As fork_and_watch(), of a child with a new pseudo-terminal. Returns (child's id or 0, descriptor)."""
    pid, descriptor = forkpty()
    if pid != 0:
        _watch(pid, callback, loop, ref)
    return pid, descriptor


def _watch(pid, callback, loop, ref):
    _statuses.pop(pid, None)  # of an earlier child that had this number
    if callback is None:
        return
    watcher = _watched[pid] = (loop or get_hub().loop).child(pid, ref=ref)
    watcher.start(_ended, watcher, callback)


def _ended(watcher: child, callback):
    if _watched.pop(watcher.pid, None) is watcher and watcher.rstatus is not None:
        # No other call has got this status.
        _keep_status(watcher.pid, watcher.rstatus, watcher.rusage)
    callback(watcher)


def _keep_status(pid, status, usage):
    while len(_statuses) >= _KEPT:
        del _statuses[next(iter(_statuses))]
    _statuses[pid] = status, usage


def _kept_status(pid):
    """The (wait status, resource usage) of a child that its watcher has reaped, or None. It is given away once."""
    watcher = _watched.get(pid)
    if watcher is None or watcher.rstatus is None:
        return _statuses.pop(pid, None)
    del _watched[pid]  # the watcher still calls its callback
    return watcher.rstatus, watcher.rusage


def _tell_watcher(pid, status):
    """Tell the child's watcher that the child was reaped here: it cannot find that out any more."""
    if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
        return
    _statuses.pop(pid, None)  # of an earlier child that had this number
    watcher = _watched.pop(pid, None)
    if watcher is None:
        return
    hub = get_hub_if_exists()
    if hub is not None and hub.loop is watcher.loop:
        watcher.ended(status)  # now, before the watcher looks for itself
    else:
        with suppress(HubDestroyed):
            watcher.loop.run_callback_threadsafe(watcher.ended, status)


def _after_fork_in_child():
    _watched.clear()
    _statuses.clear()
    _announced.clear()
    _reaping.clear()


in_child(_after_fork_in_child)
