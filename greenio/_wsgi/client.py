"""`environ["greenio.client"]`: whether somebody still waits for the answer.

Theory
    The system tells of a reset, an error and the peer's end of stream without a read (POLLRDHUP), also behind data that
    nobody has read. It wakes a wait for input then; but so does that data, again and again. A wait behind unread data
    is therefore a look from time to time.

What does not belong here: what is done about it (handler.py).
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
#: Seconds between two looks behind data that nobody reads.
_PAUSE = 0.2


class Client:
    """The client of a request."""

    __slots__ = ("_sock", "address")

    def __init__(self, sock: socket, address: Any) -> None:
        self._sock = sock
        #: Where it connected from, as the socket says: of a proxy, the proxy's.
        self.address = address

    @property
    def gone(self) -> bool:
        """Whether it has reset or ended the connection, or there is none any more (bool)."""
        fd = self._sock.fileno()
        if fd < 0:
            return True
        asking = _poll()
        asking.register(fd, _RDHUP)
        return bool(asking.poll(0))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is gone, or for `timeout` seconds; return whether it is. Switches."""
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
                sleep(_PAUSE if left is None else min(left, _PAUSE))
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
        self._io.start(self._look)

    def _look(self):
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
                self._timer = self._hub.loop.timer(_PAUSE)
            self._timer.start(self._look_again)

    def _look_again(self):
        self._timer.stop()
        if self._is_over or self._client.gone:
            self._look()
        else:
            self._io.start(self._look)

    def _close(self):
        for watcher in (self._io, self._timer):
            if watcher is not None:
                watcher.close()
        self._io = self._timer = None

    def stop(self) -> None:
        """Throw no more; take back what was not raised yet. For the greenlet itself, or for another thread's."""
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
