"""In a worker process: it loads the program, serves, counts its beats, and ends the process.

Rules
    1. SIGTERM kills a worker that is not ready, as it kills any process. A worker that is ready finishes its requests.
    2. A worker ignores SIGINT and SIGHUP. A terminal sends them to all of its processes, and the supervisor handles
       them.
    3. A signal handler of Python's prints the stacks, because it runs even if the hub is stuck.
    4. When the supervisor has died, the worker finishes its requests, and ends. It notices that by the end of a pipe,
       which its hub watches. The alternative is prctl(PR_SET_PDEATHSIG). Its signal is sent when the *thread* that has
       forked ends, and is lost if the supervisor dies before prctl() is called. The end of a pipe is not lost.

What does not belong here: starting another worker (slot.py).
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
from greenio._workers.standard_error import say, write_to
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

# The standard library's function, even in a patched program: its handlers run even if the hub is stuck.
_set_handler = original("signal", "signal")
#: The signals that a worker or its supervisor handles.
HANDLED = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1}
#: What a worker writes to its start pipe when it is ready, and what it begins with if it cannot start.
READY, FAILED = b"ready\n", b"failed\n"
_FAILED = 3  # the exit status of a worker that could not start
#: The most seconds for printing stacks, if nobody reads them.
_PRINT_LIMIT = 1.5
#: The library's own functions for the end of a process: (module, name).
_AT_EXIT = (("hub.repeats", "_tell_all"), ("greenio.threadpool", "_finish"))


class Worker:
    """The current process, as a worker.

    `slot`: the number of its slot (int). `start_pipe`: the descriptor on which it says that it is ready, or why it
    cannot start. `alive`: a pipe whose other end only the supervisor has.
    """

    def __init__(
        self, slot: int, listeners: list[Listener], counts: Counts, start_pipe: int, alive: int, options: Options
    ) -> None:
        self.slot = slot
        self.listeners = listeners
        self.counts = counts
        self.options = options
        self.servers: list[BaseServer] = []
        self._start_pipe = start_pipe
        self._alive = alive
        self._ending = Event()
        self._at_once = Event()
        self._watchers: list[Any] = []
        self._due = 0

    def run(self, load: Callable[[], Make], mask: set[Any]) -> NoReturn:
        """Load the program, serve, and end the process. `mask`: the signals that were blocked before the fork."""
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
        """Replace the supervisor's exit functions and signal handlers by the worker's own, and begin to beat."""
        atexit._clear()
        for module, name in _AT_EXIT:
            if module in sys.modules:
                atexit.register(getattr(sys.modules[module], name))
        for number in (SIGTERM, SIGQUIT):
            _set_handler(number, SIG_DFL)
        for number in (SIGINT, SIGHUP):
            _set_handler(number, _do_nothing)  # not SIG_IGN: programs that the worker starts would inherit that
        _set_handler(SIGUSR1, self._print_stacks)
        if not faulthandler.is_enabled():
            with contextlib.suppress(OSError, ValueError, AttributeError):
                faulthandler.enable(2)
        in_child(self._detach)
        pthread_sigmask(SIG_SETMASK, mask)
        tick = self.options.tick
        self._due = monotonic_ns() + int(tick * 1e9)
        self._watch(get_hub().loop.timer(tick, tick, ref=False), self._beat)
        self._watch(get_hub().loop.io(self._alive, 1, ref=False), self._supervisor_is_gone)

    def _detach(self):
        """In a process that the application has forked: the supervisor gets no messages and no numbers from it."""
        pipe, self._start_pipe = self._start_pipe, -1
        if pipe >= 0:
            os.close(pipe)
        self.counts = Counts()
        for server in self.servers:
            server._numbers = self.counts.numbers

    def _watch(self, watcher, function):
        self._watchers.append(watcher)
        watcher.start(function)

    def _start(self, load):
        """Load the program, start the servers, and write the result to the start pipe. Returns whether it worked."""
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
            # Again, because the program may have set a handler, and patching moves handlers to the main greenlet.
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
        pipe, self._start_pipe = self._start_pipe, -1
        if pipe < 0:  # the application has forked while it was loaded, and this is the child
            if answer != READY:
                say(answer.removeprefix(FAILED).decode("utf-8", "replace"))
            return answer == READY
        data = answer
        with contextlib.suppress(OSError):
            while data:
                data = data[write(pipe, data) :]
        os.close(pipe)
        return answer == READY

    def _serve(self):
        try:
            self._ending.wait()
            return 0
        except BaseException:  # raised by a signal handler, or by a Timeout of the program around serve()
            say(traceback.format_exc())
            return 1

    # --- beats and stacks ---

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
            # Not sys.stderr: this handler may have interrupted its write().
            with contextlib.suppress(OSError):
                write_to(2, data, _PRINT_LIMIT)
        finally:
            self.counts.numbers[STACKS] += 1

    # --- ending ---

    def end(self) -> None:
        """Finish the requests and end; at the second call, end at once. Does not switch."""
        if self._ending.is_set():
            self._at_once.set()
        self._ending.set()

    def _end_at_once(self):
        self._at_once.set()
        self._ending.set()

    def _supervisor_is_gone(self):
        self._watchers[1].stop()
        was_ending = self._ending.is_set()
        self._ending.set()
        if not was_ending:
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
    """Ignore a signal that the supervisor handles."""


def _end_process(status: int) -> NoReturn:
    """End this process as the interpreter would, but without running the supervisor's ``finally`` clauses."""
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
