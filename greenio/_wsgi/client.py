"""`environ["greenio.client"]`: whether the client still waits for the answer.

Theory
    poll(2) tells whether the peer has reset or ended the connection (POLLRDHUP) without reading anything, even if
    unread data is there. Such an event wakes a greenlet that waits for input. But unread data wakes it too, at once and
    every time. So while data is unread, the connection is checked every 0.2 s instead.

What does not belong here: what the server does when the client has gone (handler.py).
"""

from __future__ import annotations

import select as _standard
from contextlib import suppress
from time import monotonic

from hub import get_hub, sleep
from hub.current import get_hub_if_exists
from hub.errors import HubDestroyed
from hub.native import original

from greenio._descriptors.readiness import wait_read
from greenio._wsgi.errors import ClientGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio.socket import socket

__all__ = ["Client", "GoneWatch"]

_poll = original("select", "poll")
_RDHUP = getattr(_standard, "POLLRDHUP", 0x2000)
#: Seconds between two checks of a connection with unread data.
_CHECK_INTERVAL = 0.2


class Client:
    """The client of a request."""

    __slots__ = ("_sock", "address")

    def __init__(self, sock: socket, address: Any) -> None:
        self._sock = sock
        #: The address of the socket's peer: the proxy's, if the client has come through one.
        self.address = address

    @property
    def gone(self) -> bool:
        """Whether the client has reset or ended the connection, or the socket is closed (bool)."""
        fd = self._sock.fileno()
        if fd < 0:
            return True
        poll = _poll()
        poll.register(fd, _RDHUP)
        return bool(poll.poll(0))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the client is gone, at most `timeout` seconds (float; None for ever). Switches.

        Returns whether it is gone (bool).
        """
        end = None if timeout is None else monotonic() + timeout
        while not self.gone:
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                return False
            try:
                wait_read(self._sock, left)
            except TimeoutError:
                return self.gone
            except (OSError, ValueError):
                return True
            if not self.gone:
                sleep(_CHECK_INTERVAL if left is None else min(left, _CHECK_INTERVAL))
        return True


class GoneWatch:
    """Throws ClientGone into a greenlet when its client is gone, until stop() (internal)."""

    __slots__ = ("_client", "_exception", "_greenlet", "_hub", "_io", "_is_over", "_timer")

    def __init__(self, client: Client, fd: int, greenlet: Any) -> None:
        self._client = client
        self._greenlet = greenlet
        self._exception: ClientGone | None = None
        self._hub = get_hub()
        self._is_over = False
        self._timer: Any = None
        self._io: Any = self._hub.loop.io(fd, 1)
        self._io.start(self._check)

    def _check(self):
        if self._is_over:
            return
        if self._client.gone:
            self._exception = ClientGone("the client has gone")
            self._hub.throw_soon(self._greenlet, self._exception)
            self._close()
        else:
            # There is data that the application does not read: the watcher would fire on and on.
            self._io.stop()
            if self._timer is None:
                self._timer = self._hub.loop.timer(_CHECK_INTERVAL)
            self._timer.start(self._check_again)

    def _check_again(self):
        self._timer.stop()
        if self._is_over or self._client.gone:
            self._check()
        else:
            self._io.start(self._check)

    def _close(self):
        for watcher in (self._io, self._timer):
            if watcher is not None:
                watcher.close()
        self._io = self._timer = None

    def stop(self) -> None:
        """Throw nothing from now on, and take back an exception that was not raised yet. Does not switch.

        Any thread may call it.
        """
        self._is_over = True
        hub = self._hub
        if get_hub_if_exists() is hub:
            self._end()
        else:
            with suppress(HubDestroyed):
                hub.run_callback_threadsafe(self._end)

    def _end(self):
        self._close()
        if self._exception is not None:
            self._hub.take_back(self._greenlet, self._exception)
