"""In a worker process: serve, tell that it is well, end. The process ends here: nothing of the supervisor's goes on.

Rules
    1. A worker that is not ready dies by SIGTERM, as any process does. One that is ready finishes what it has begun.
    2. Ctrl-C and a terminal that hangs up are sent to all processes of the terminal. They are the supervisor's affair.
    3. Stacks are printed by a handler of Python's, in the middle of whatever runs: the hub may be stuck.
    4. When the supervisor is gone, the worker finishes what it has begun. It hears of that by the end of a pipe, on its
       hub. The other way, prctl(PR_SET_PDEATHSIG), sends a signal when the *thread* ends that has forked, and is lost
       when the supervisor dies just before it is asked for; the end of a pipe is there whenever it is looked for.

What does not belong here: starting it again (slot.py).
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import sys
import traceback
from posix import write
from signal import SIG_DFL, SIG_SETMASK, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, pthread_sigmask
from time import monotonic_ns

from hub import get_hub
from hub.forks import in_child
from hub.native import original

from greenio._servers.counts import BEATS, ENDING, LAG, STACKS, Counts
from greenio._workers.options import CannotStart
from greenio._workers.stacks import describe
from greenio._workers.telling import say, write_to
from greenio.event import Event
from greenio.greenlet import Greenlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from greenio._workers.listeners import Listener
    from greenio._workers.options import Options
    from greenio.baseserver import BaseServer
    from greenio.socket import socket

    Make = Callable[[socket], BaseServer]

__all__ = ["FAILED", "HANDLED", "READY", "Worker"]

# The standard library's, also if the program is patched: its handlers run in the middle of whatever runs.
_set_handler = original("signal", "signal")
#: The signals that a worker or its supervisor does something about.
HANDLED = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1}
#: What a worker says when it serves, and what it begins with to say why it cannot.
READY, FAILED = b"ready\n", b"failed\n"
_FAILED = 3  # the status of a worker that could not start
#: Seconds for which stacks are printed, if nobody reads them.
_TO_PRINT = 1.5
#: What the library does at the end of a process, besides what the program has asked for.
_AT_EXIT = (("hub.repeats", "_tell_all"), ("greenio.threadpool", "_finish"))


class Worker:
    """The current process, as a worker.

    `told`: where it says how it starts. `alive`: a pipe of which the supervisor holds the other end.
    """

    def __init__(
        self, slot: int, listeners: list[Listener], counts: Counts, told: int, alive: int, options: Options
    ) -> None:
        self.slot = slot
        self.listeners = listeners
        self.counts = counts
        self.options = options
        self.servers: list[BaseServer] = []
        self._told = told
        self._alive = alive
        self._over = Event()
        self._at_once = Event()
        self._watchers: list[Any] = []
        self._due = 0

    def run(self, load: Callable[[], Make], mask: set[Any]) -> NoReturn:
        """Serve with what ``load()`` returns, and end the process. `mask`: the signals that were blocked before."""
        status = 1
        try:
            self._begin(mask)
            if self._start(load):
                status = self._serve()
                self._drain()
            else:
                status = _FAILED
        except BaseException:
            say(traceback.format_exc())
        _end_process(status)

    # --- beginning ---

    def _begin(self, mask):
        """What is the supervisor's is no affair of this process."""
        atexit._clear()
        for module, name in _AT_EXIT:
            if module in sys.modules:
                atexit.register(getattr(sys.modules[module], name))
        for number in (SIGTERM, SIGQUIT):
            _set_handler(number, SIG_DFL)
        for number in (SIGINT, SIGHUP):
            _set_handler(number, _do_nothing)  # and not SIG_IGN, which programs that are started inherit
        _set_handler(SIGUSR1, self._print_stacks)
        if not faulthandler.is_enabled():
            with contextlib.suppress(OSError, ValueError, AttributeError):
                faulthandler.enable(2)
        in_child(self._become_a_stranger)
        pthread_sigmask(SIG_SETMASK, mask)
        tick = self.options.tick
        self._due = monotonic_ns() + int(tick * 1e9)
        self._watch(get_hub().loop.timer(tick, tick, ref=False), self._beat)
        self._watch(get_hub().loop.io(self._alive, 1, ref=False), self._supervisor_is_gone)

    def _become_a_stranger(self):
        """In a process that the application has forked: what goes on there is no affair of the supervisor's."""
        told, self._told = self._told, -1
        if told >= 0:
            os.close(told)
        self.counts = Counts()
        for server in self.servers:
            server._numbers = self.counts.numbers

    def _watch(self, watcher, function):
        self._watchers.append(watcher)
        watcher.start(function)

    def _start(self, load):
        """Load, listen, and say so. Returns whether that worked."""
        answer = READY
        try:
            make = load()
            if not callable(make):
                raise CannotStart(f"load() must return a function that makes a server for a socket, not {make!r}")
            for listener in self.listeners:
                sock = listener.sockets[self.slot - 1]
                server = make(sock)
                if not hasattr(server, "_become_worker"):
                    raise CannotStart(f"the function that load() returns must return a StreamServer, not {server!r}")
                self.servers.append(server)
                server._become_worker(sock, listener.shared, self.counts.numbers)
            # What was loaded may have set handlers, and patching moves those that are there to the main greenlet.
            _set_handler(SIGUSR1, self._print_stacks)
            self._watch(get_hub().loop.signal(SIGTERM), self.end)
            self._watch(get_hub().loop.signal(SIGQUIT), self._end_at_once)
            for server in self.servers:
                server.start()
        except CannotStart as error:
            answer = FAILED + str(error).encode("utf-8", "backslashreplace")
        except BaseException as error:
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            answer = FAILED + text.encode("utf-8", "backslashreplace")
        told, self._told = self._told, -1
        if told < 0:  # the application has forked while it was loaded, and this is the child
            if answer != READY:
                say(answer.removeprefix(FAILED).decode("utf-8", "replace"))
            return answer == READY
        data = answer
        with contextlib.suppress(OSError):
            while data:
                data = data[write(told, data) :]
        os.close(told)
        return answer == READY

    def _serve(self):
        try:
            self._over.wait()
            return 0
        except BaseException:  # a handler of a signal has raised it, or a Timeout of the program around all this
            say(traceback.format_exc())
            return 1

    # --- being well ---

    def _beat(self):
        now = monotonic_ns()
        numbers = self.counts.numbers
        numbers[LAG] = max(0, now - self._due)
        numbers[BEATS] += 1
        self._due = now + int(self.options.tick * 1e9)

    def _print_stacks(self, number, frame):
        try:
            lines = [f"greenio: what worker {self.slot} (process {os.getpid()}) does:", *describe(), ""]
            data = "\n".join(lines).encode("utf-8", "backslashreplace")
            # Not sys.stderr, in the middle of whose write() this may be.
            with contextlib.suppress(OSError):
                write_to(2, data, _TO_PRINT)
        finally:
            self.counts.numbers[STACKS] += 1

    # --- ending ---

    def end(self) -> None:
        """Finish what has begun; the second time, end at once. Does not switch."""
        if self._over.is_set():
            self._at_once.set()
        self._over.set()

    def _end_at_once(self):
        self._at_once.set()
        self._over.set()

    def _supervisor_is_gone(self):
        self._watchers[1].stop()
        was_over = self._over.is_set()
        self._over.set()
        if not was_over:
            self.options.tell(f"the supervisor is gone: worker {self.slot} (process {os.getpid()}) ends")

    def _drain(self):
        self.counts.numbers[ENDING] = 1
        stopping = [Greenlet.spawn(server.stop, drain=self.options.drain) for server in self.servers]
        ending = Greenlet.spawn(self._close_at_once)
        for each in stopping:
            each.join()
        ending.kill()
        killed = sum(each.value or 0 for each in stopping)
        if killed and not self._at_once.is_set():
            self.options.tell(f"{killed} connections of worker {self.slot} were not served to their end in time")

    def _close_at_once(self):
        self._at_once.wait()
        for server in self.servers:
            server.close()


def _do_nothing(number, frame):
    """A signal that the supervisor sees to."""


def _end_process(status: int) -> NoReturn:
    """End this process, as the interpreter would, but without what the supervisor's code has left to do."""
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
    except BaseException:
        say(traceback.format_exc())
    finally:
        os._exit(status)
