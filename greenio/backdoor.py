"""A Python prompt in a running program, for looking at what it does.

    BackdoorServer("unix:/run/application.backdoor", locals={"server": server}).start()

and `nc -U /run/application.backdoor` connects to it. There is no password: everybody who can connect can do whatever
the process can. So let it listen on a Unix socket, whose file only its owner may use, or on loopback.

Methods that wait say that they switch; the others do not switch.

What does not belong here: a greenlet's own standard streams (_servers/streams.py).
"""

from __future__ import annotations

import code
import select as _standard
import socket as _sockets
import sys
import traceback
import warnings
from contextlib import suppress

from greenlet import GreenletExit, getcurrent
from hub import get_hub
from hub.native import original

from greenio._servers.streams import OwnStreams
from greenio.server import StreamServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from greenio._servers.addresses import Address
    from greenio.baseserver import Listener
    from greenio.socket import socket

__all__ = ["BackdoorServer"]

_poll = original("select", "poll")
_PEER_CHECK_INTERVAL = 0.2  # seconds; checks whether the peer has gone while its line runs


class BackdoorServer(StreamServer):
    """Gives each client a Python prompt in this process.

    `listener`, `server_args`: as in StreamServer. `locals`: the names that are defined at a prompt (mapping); each
    prompt has a copy. `banner`: the text that is shown first (str); Python's version by default, "" for none.

    There may be several prompts at once. A line reads from its own connection and prints to it. Greenlets that a line
    starts print where the program prints. Each prompt runs its lines in its own greenlet: a line that waits lets all
    others run, and a line that computes does not. A prompt ends with `quit()`, at the end of its input, and when the
    peer has gone. start() warns (RuntimeWarning) if others than users of this machine can connect.
    """

    def __init__(
        self,
        listener: Address | Listener,
        locals: Mapping[str, Any] | None = None,
        banner: str | None = None,
        **server_args: Any,
    ) -> None:
        super().__init__(listener, **server_args)
        self.locals: dict[str, Any] = {"__name__": "__console__", "__doc__": None, **(locals or {})}
        self.banner = banner

    def init_socket(self) -> None:
        """Make the listening socket, unless there is one, and warn if others than users of this machine can connect.

        Called by start(). Switches as that does.
        """
        super().init_socket()
        reason = _who_else(self.family, self.address)
        if reason is not None:
            warnings.warn(
                f"{reason} can run any code in this process through the backdoor at {self.address!r}: "
                "use 'unix:/path' or 127.0.0.1",
                RuntimeWarning,
                stacklevel=3,
            )

    def handle(self, sock: socket, address: Any) -> None:
        """Serve one prompt. Switches."""
        if sock.family != _sockets.AF_UNIX:
            # So that a machine that was switched off is noticed after a while.
            sock.setsockopt(_sockets.SOL_SOCKET, _sockets.SO_KEEPALIVE, 1)
        _Prompt(sock, self._locals_of_a_prompt(), self.banner).run()

    def _locals_of_a_prompt(self):
        return dict(self.locals)


def _who_else(family, address):
    """Return who can connect besides this machine's users, or besides the file's owner, as text; None if nobody."""
    if family == _sockets.AF_UNIX:
        name = address if isinstance(address, bytes) else address.encode()
        return "every user of this machine" if name.startswith(b"\0") else None
    host = str(address[0]).removeprefix("::ffff:")
    return None if host.startswith("127.") or host == "::1" else "everybody who can reach this machine"


class _PeerHasGone(BaseException):
    """Thrown into a line whose peer has closed the connection."""


class _Prompt(code.InteractiveConsole):
    """The prompt of one connection. It runs the lines that come in, and sends their output."""

    def __init__(self, sock, names, banner):
        super().__init__(names)
        self.sock = sock
        self.banner = banner
        # A line ends with or without a carriage return: telnet sends it.
        self.input = sock.makefile("r", encoding="utf-8", errors="replace")
        self.output = sock.makefile("w", encoding="utf-8", errors="backslashreplace", newline="\n")
        self.output.reconfigure(line_buffering=True)
        # The socket is closed when every part is. The parts are kept here because a line may detach them.
        self._files = [
            part
            for file in (self.input, self.output)
            for part in (file, file.buffer, getattr(file.buffer, "raw", file))
        ]

    def run(self):
        """Read lines and run them until the prompt is over. Switches."""
        try:
            with OwnStreams(self.input, self.output, self.display) as self.streams:
                self.interact()
        except (SystemExit, OSError, ValueError, _PeerHasGone):
            # ValueError: the file is closed, by quit() or by a line of the user's.
            pass
        finally:
            for file in self._files:
                with suppress(OSError, ValueError):  # ValueError: a line has detached it
                    file.close()

    def interact(self, banner=None, exitmsg=None):
        if self.banner is None:
            self.write(f"Python {sys.version} on {sys.platform}\n")
        elif self.banner:
            self.write(f"{self.banner}\n")
        more = False
        while True:
            self.write("... " if more else ">>> ")
            line = self.input.readline()
            if not line:
                if more:
                    # A script's last block may lack the empty line that ends it.
                    self.push("")
                return
            more = self.push(line.removesuffix("\n"))

    def runcode(self, code):
        self.streams.install()
        try:
            with _PeerWatch(self.sock):
                exec(code, self.locals)
        except (SystemExit, GreenletExit, _PeerHasGone):
            raise
        except BaseException:
            self.showtraceback()

    def display(self, value):
        """Print the value of a line, and keep it as this prompt's `_`."""
        if value is not None:
            self.write(f"{value!r}\n")
            self.locals["_"] = value

    def write(self, data):
        self.output.write(data)
        self.output.flush()

    def showtraceback(self):
        kind, error, trace = sys.exc_info()
        # tb_next leaves out the frame of runcode().
        self.write("".join(traceback.format_exception(kind, error, trace.tb_next if trace else None)))

    def showsyntaxerror(self, filename=None, **kwargs):
        self.write("".join(traceback.format_exception_only(*sys.exc_info()[:2])))


class _PeerWatch:
    """In a ``with`` statement, ends the line that the current greenlet runs when its peer has closed the connection.

    A peer that has only shut down its writing side may still read, as a script does that sends lines and waits for
    their output. The system can tell the two apart at once for Unix sockets. For TCP it can after something was sent to
    the peer, or when the peer resets the connection.
    """

    def __init__(self, sock):
        self._sock = sock

    def __enter__(self):
        self._greenlet = getcurrent()
        self._hub = get_hub()
        self._exception = None
        self._timer = self._hub.loop.timer(_PEER_CHECK_INTERVAL, _PEER_CHECK_INTERVAL, ref=False)
        self._timer.start(self._check_peer)

    def _check_peer(self):
        descriptor = self._sock.fileno()
        poll = _poll()
        if descriptor >= 0:
            poll.register(descriptor, 0)
        if descriptor < 0 or any(events & (_standard.POLLHUP | _standard.POLLERR) for _, events in poll.poll(0)):
            self._timer.stop()
            self._exception = _PeerHasGone()
            self._hub.throw_soon(self._greenlet, self._exception)

    def __exit__(self, *exc_info):
        self._timer.close()
        if self._exception is not None:
            self._hub.take_back(self._greenlet, self._exception)
