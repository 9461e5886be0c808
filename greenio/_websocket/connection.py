"""WebSocket: a connection after its handshake. Pings, and the end.

What does not belong here: messages (receiving.py, sending.py), handshakes (serving.py, client.py).
"""

from __future__ import annotations

from _thread import get_ident
from secrets import token_bytes
from time import monotonic
from weakref import ref

from hub import get_hub
from hub.arguments import count_of

from greenio._websocket.errors import WebSocketError
from greenio._websocket.receiving import Receiving
from greenio._websocket.sansio import frame_head, say_close
from greenio.greenlet import Greenlet
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["LAST_WORD", "WebSocket"]

#: Seconds that a greenlet which is being killed has to send a close frame and receive the answer.
LAST_WORD = 0.5

_PING = 0x89
#: Seconds between two checks of a connection on which no greenlet receives.
_CHECK_INTERVAL = 5.0
#: Seconds that a peer has to answer a close frame.
_CLOSE_TIMEOUT = 10.0
_NORMAL, _INTERNAL = 1000, 1011


class WebSocket(Receiving):
    """A connection on which both sides send messages: texts (str) and binary ones (bytes).

    Any number of greenlets, in any threads, may use one. ``for message in websocket`` receives until the end. A
    ``with`` statement closes it, with the code 1011 after an exception. After a kill or a Timeout the peer has only
    half a second to answer.
    """

    _ping_sent: float | None = None

    def _start(self, sock, protocol, settings, is_client, data):
        """Begin after the handshake. `data`: the data that came behind it."""
        self._reading.acquire()  # another thread may receive at once, and must not overtake `data`
        try:
            self._begin(sock, protocol, settings, is_client)
            if settings.ping_interval is not None:
                self._check_later(settings.ping_interval)
            if data:
                self._take(data)
                self._flush()
        finally:
            self._reading.release()

    # --- pings ---

    def _check_later(self, seconds):
        """Call _check_peer() after `seconds`, in a greenlet of its own."""
        hub = get_hub()
        connection_ref = ref(self)  # the timer does not keep a connection that the program has dropped

        def check():
            timer.close()
            connection = connection_ref()
            if connection is not None and connection._timer is timer and not connection._over:
                Greenlet.spawn(connection._check_peer, timer)

        self._timer = timer = hub.loop.timer(seconds, ref=False)
        timer.start(check)

    def _move_timer_here(self):
        self._timer_thread = get_ident()
        if self._timer is not None:
            self._stop_timer()
            self._check_later(self._settings.ping_interval)

    def _check_peer(self, timer):
        """Ping a peer that is silent, and give up one that does not answer. `timer`: the one that has fired."""
        interval, limit = self._settings.ping_interval, self._settings.ping_timeout
        nobody_reads = not self._reading.locked()
        if nobody_reads:
            self._read_pending()
            if self._messages:
                # The application is slow, and not the peer, whose pong may stand behind these messages.
                self._last_heard = monotonic()
        if self._over:
            return
        now = monotonic()
        silent = now - self._last_heard
        if self._ping_sent is not None and self._last_heard >= self._ping_sent:
            self._ping_sent = None
        if self._ping_sent is None and silent >= interval:
            self._ping_sent = now
            self._answer(self._control(_PING))
            now = monotonic()
        if self._ping_sent is not None:
            if limit is not None and now - self._ping_sent >= limit:
                self._lose(WebSocketError("the peer has not answered a ping"))
                return
            left = interval if limit is None else min(interval, self._ping_sent + limit - now)
        else:
            left = interval - silent
        if self._over or self._timer is not timer:
            return  # another thread's timer has taken over
        if nobody_reads:
            left = min(left, _CHECK_INTERVAL)
        self._check_later(max(left, 0.001))

    def _control(self, first):
        """A control frame without a payload."""
        return frame_head(first, 0, 128) + token_bytes(4) if self._is_client else frame_head(first, 0)

    # --- the end ---

    def close(self, code: int = _NORMAL, reason: str | bytes = "", timeout: float = _CLOSE_TIMEOUT) -> None:
        """Close the connection: send a close frame, and wait at most `timeout` seconds for the peer's. Switches.

        `code` (int) and `reason` (str of at most 123 bytes) tell the peer why. Messages that were not received yet are
        dropped. Does nothing if the connection is closed. Raises TypeError or ValueError for a code or a reason that
        cannot be sent.
        """
        if isinstance(reason, (bytes, bytearray)):
            reason = reason.decode()
        elif not isinstance(reason, str):
            raise TypeError(f"a reason is a text (str), not {reason!r}")
        code = count_of(code, "code")
        if len(reason.encode()) > 123:
            raise ValueError(f"the reason must have at most 123 bytes: {reason!r}")
        if not (1000 <= code < 1015 and code not in (1004, 1005, 1006) or 3000 <= code < 5000):
            raise ValueError(f"no WebSocket can be closed with the code {code!r}: see RFC 6455, 7.4")
        if self._protocol is None:
            try:
                self._open()
            except WebSocketError:
                if self.closed:
                    return  # the handshake has failed
                raise
        with Timeout(timeout, False):
            self._say_close(code, reason)
            self._await_end()
        if not self._over:
            self._lose(WebSocketError("the peer has not answered the close frame"))

    def _say_close(self, code, reason):
        self._writing.acquire()
        try:
            if self.closed:
                return
            self.closed = True
            self._messages.clear()
            self._unsent += say_close(self._protocol, code, reason)
            self._send_rest()
        except WebSocketError:
            pass  # the connection has failed, which _lose() has noted
        finally:
            self._writing.release()

    def _await_end(self):
        """Read until the peer has closed the connection."""
        self._reading.acquire()
        try:
            while not self._over:
                self._read()
        finally:
            self._reading.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A kill and a Timeout are no Exceptions: the greenlet should end soon.
        is_killed = kind is not None and not issubclass(kind, Exception)
        self.close(_NORMAL if kind is None else _INTERNAL, timeout=LAST_WORD if is_killed else _CLOSE_TIMEOUT)

    def __repr__(self) -> str:
        state = "open" if not self.closed else f"closed with {self.close_code}" if self._over else "closing"
        return f"<{type(self).__name__} at {id(self):#x} {state}>"
