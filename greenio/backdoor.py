"""A backdoor: Python prompts in a running program, for those who can reach its socket.

    BackdoorServer("unix:/run/application.backdoor", locals={"server": server}).start()

and `nc -U /run/application.backdoor` shows what the program is doing. There is no password: who can connect can do
whatever the process can. So it listens on a Unix socket, whose file is its owner's only, or on loopback.

Methods that wait say that they switch; the others do not switch.

What does not belong here: whose the standard streams are (_servers/streams.py).
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
_LOOK_EVERY = 0.2  # seconds, for a peer that has gone while its line runs


class BackdoorServer(StreamServer):
    """Gives whoever connects a Python prompt in this process.

    `listener` and `server_args`: as in StreamServer. `locals`: the names that a prompt begins with (mapping); each
    prompt has a copy. `banner`: the text that it begins with (str); by default Python's version, none if it is empty.

    Several prompts work at once. What a line prints, and what it reads, is its own connection's; what greenlets print
    that it has started goes where the program's output goes. Lines run in a greenlet of the prompt's: a line that
    waits lets all others run, and one that computes keeps them from it. `quit()`, the end of the input, and a peer
    that has gone end a prompt. start() warns (RuntimeWarning) if others than users of this machine can connect.
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
        """Listen, if it does not yet, and warn if others than users of this machine can connect.

        Switches as start() does.
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
            # A machine that has gone without a word is noticed after a while.
            sock.setsockopt(_sockets.SOL_SOCKET, _sockets.SO_KEEPALIVE, 1)
        _Prompt(sock, self._locals_of_a_prompt(), self.banner).run()

    def _locals_of_a_prompt(self):
        return dict(self.locals)


def _who_else(family, address):
    """Who can connect besides those who may: a text, or None."""
    if family == _sockets.AF_UNIX:
        name = address if isinstance(address, bytes) else address.encode()
        return "every user of this machine" if name.startswith(b"\0") else None
    host = str(address[0]).removeprefix("::ffff:")
    return None if host.startswith("127.") or host == "::1" else "whoever can reach this machine"


class _PeerHasGone(BaseException):
    """Nobody is there any more to see what the line does."""


class _Prompt(code.InteractiveConsole):
    """One connection: lines come in, and what they print goes out."""

    def __init__(self, sock, names, banner):
        super().__init__(names)
        self.sock = sock
        self.banner = banner
        # A line ends with or without a carriage return: telnet sends it.
        self.input = sock.makefile("r", encoding="utf-8", errors="replace")
        self.output = sock.makefile("w", encoding="utf-8", errors="backslashreplace", newline="\n")
        self.output.reconfigure(line_buffering=True)
        # A line may take them apart: each part has to be closed for the socket to be.
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
            # A closed file is a ValueError: quit() closes sys.stdin, and a line may close it, too.
            pass
        finally:
            for file in self._files:
                with suppress(OSError, ValueError):  # or a line has detached it
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
                    # The last of what was sent to be run, without the empty line that ends a block.
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
        """Print the value of a line. It is this prompt's `_`."""
        if value is not None:
            self.write(f"{value!r}\n")
            self.locals["_"] = value

    def write(self, data):
        self.output.write(data)
        self.output.flush()

    def showtraceback(self):
        kind, error, trace = sys.exc_info()
        # Without the frame that runs the line.
        self.write("".join(traceback.format_exception(kind, error, trace.tb_next if trace else None)))

    def showsyntaxerror(self, filename=None, **kwargs):
        self.write("".join(traceback.format_exception_only(*sys.exc_info()[:2])))


class _PeerWatch:
    """In a ``with`` statement, ends the current greenlet's line when its peer has closed the connection.

    A peer that has only ended its side may still read: a script that sends lines and waits for what they print. The
    system tells of the one at once for Unix sockets, and for TCP when something was sent or the peer has reset.
    """

    def __init__(self, sock):
        self._sock = sock

    def __enter__(self):
        self._greenlet = getcurrent()
        self._hub = get_hub()
        self._exception = None
        self._timer = self._hub.loop.timer(_LOOK_EVERY, _LOOK_EVERY, ref=False)
        self._timer.start(self._look)

    def _look(self):
        descriptor = self._sock.fileno()
        asking = _poll()
        if descriptor >= 0:
            asking.register(descriptor, 0)
        if descriptor < 0 or any(told & (_standard.POLLHUP | _standard.POLLERR) for _, told in asking.poll(0)):
            self._timer.stop()
            self._exception = _PeerHasGone()
            self._hub.throw_soon(self._greenlet, self._exception)

    def __exit__(self, *exc_info):
        self._timer.close()
        if self._exception is not None:
            self._hub.take_back(self._greenlet, self._exception)
