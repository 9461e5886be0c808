"""Sending: the half of a WebSocket that speaks, and what both halves know of its end.

Rules
    1. One greenlet writes at a time: `_writing` says which. Others stand in line.
    2. Frames leave whole and one after the other. What is left of a frame when its writer is killed or runs out of
       time (`_unsent`) goes first with the next. That is never more than one message, and answers to pings.
    3. `closed` is set before a close frame leaves. After it no message does.

What does not belong here: what the peer says (receiving.py).
"""

from __future__ import annotations

import socket as _standard
from _socket import socket as _basic
from contextlib import suppress
from secrets import token_bytes
from time import monotonic

from hub.current import get_hub_if_exists
from hub.errors import HubDestroyed

from greenio._websocket.errors import WebSocketError
from greenio._websocket.sansio import frame_head, mask_function, whole_frame
from greenio.lock import Lock
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from greenio.socket import socket

__all__ = ["Sending", "Settings"]

_WHOLE_TEXT, _WHOLE_BINARY = 0x81, 0x82
_AT_ONCE = _standard.MSG_DONTWAIT
#: How much is sent at a time where it is encrypted, so that `write_timeout` counts from the last progress.
_BLOCK = 16384
#: Seconds after which a greenlet that only sends looks for what the peer has to say.
_LOOK_AFTER = 1.0
#: Beyond so many bytes that wait to be sent, pings are not answered.
_MOST_UNSENT = 65536
_ABNORMAL = 1006
_HEADS = {first: [frame_head(first, length) for length in range(126)] for first in (_WHOLE_TEXT, _WHOLE_BINARY)}


class Settings:
    """The limits of a connection: sizes in bytes, times in seconds; None for none (internal)."""

    __slots__ = ("max_fragments", "max_size", "ping_interval", "ping_timeout", "write_timeout")

    def __init__(
        self,
        max_size: int,
        max_fragments: int,
        ping_interval: float | None,
        ping_timeout: float | None,
        write_timeout: float | None,
    ) -> None:
        self.max_size = max_size
        self.max_fragments = max_fragments
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.write_timeout = write_timeout


class Sending:
    """Sends messages. The base of WebSocket, which says more."""

    #: Whether no message can be sent any more: either side has said that it closes, or the connection has failed.
    closed: bool = False
    #: The code that it was closed with (int; RFC 6455, 7.4), 1006 if it failed; None before.
    close_code: int | None = None
    #: What the side that closed it gave for a reason (str).
    close_reason: str = ""
    #: The subprotocol that both sides speak (str), or None.
    subprotocol: str | None = None

    _over = False  # nothing more comes
    _error: BaseException | None = None  # of the connection
    _unsent = b""
    _timer: Any = None
    _protocol: Any = None

    def __init__(self) -> None:
        self._writing = Lock()

    def _begin(self, sock, protocol, settings, is_client):
        """The handshake is made. `_protocol` is set last: other threads use what is here as soon as there is one."""
        self._sock: socket = sock
        self._recv, self._send = sock.recv, sock.send
        self._is_tls = hasattr(sock, "do_handshake")
        self._settings = settings
        self._compresses = bool(protocol.extensions)
        self._mask: Any = mask_function()
        self._is_client = is_client
        # The socket's own limit would be for both directions.
        sock.settimeout(None)
        self._heard = monotonic()
        self._protocol = protocol

    def _open(self):
        """Make the handshake, if that was not done yet."""
        raise WebSocketError("this WebSocket is not connected")

    def _look(self):
        """Take in what has come, if nobody else does."""
        raise NotImplementedError

    # --- sending ---

    def send(self, message: str | bytes | bytearray | memoryview, binary: bool | None = None) -> None:
        """Send a message. Switches while the peer does not take it, and while others send.

        `message`: text (str) or bytes. `binary`: whether it is sent as a binary message (bool); by default if it is not
        a str. Raises WebSocketError if the connection is closed. A greenlet that is killed, or runs out of time, may
        have sent the message or not; it was not sent in parts.
        """
        payload: Any
        if type(message) is str:
            payload = message.encode()
            first = _WHOLE_BINARY if binary else _WHOLE_TEXT
        elif isinstance(message, str):
            payload = str(message).encode()
            first = _WHOLE_BINARY if binary else _WHOLE_TEXT
        else:
            payload = message if type(message) is bytes else _as_bytes(message)
            if binary is None or binary:
                first = _WHOLE_BINARY
            else:
                payload.decode()
                first = _WHOLE_TEXT
        if self._protocol is None:
            self._open()
        if monotonic() - self._heard > _LOOK_AFTER:
            self._look()
        writing = self._writing
        writing.acquire()
        try:
            if self._unsent:
                self._send_rest()
            if self.closed:
                raise self._is_closed()
            if self._is_client or self._compresses:
                frame = self._frame(first, payload)
            elif len(payload) < 126:
                frame = _HEADS[first][len(payload)] + payload
            else:
                frame = frame_head(first, len(payload)) + payload
            sent = 0
            if not self._compresses and not self._is_tls:
                try:
                    sent = self._send(frame, _AT_ONCE)
                    if sent == len(frame):
                        return
                except BlockingIOError:
                    pass
                except OSError as error:
                    raise self._lose(error) from error
            # What was compressed must arrive: what comes next refers to it.
            self._push(frame, sent, self._compresses)
        finally:
            writing.release()

    def _frame(self, first, payload):
        """A message as a frame, of a client, or compressed."""
        if self._compresses:
            return whole_frame(first & 15, payload, self._is_client, self._protocol.extensions)
        mask = token_bytes(4)
        return b"%b%b%b" % (frame_head(first, len(payload), 128), mask, self._mask(payload, mask))

    def _send_rest(self):
        """Send what is left from before. For who holds `_writing`."""
        rest, self._unsent = self._unsent, b""
        self._push(rest, 0, True)

    def _push(self, data, sent, is_kept):
        """Send data, of which so much was sent. For who holds `_writing`.

        If that is interrupted, and some of it was sent or it `is_kept`, the rest is left for the next.
        """
        view, limit = memoryview(data), None
        try:
            while sent < len(data):
                limit = Timeout.start_new(self._settings.write_timeout)
                sent += self._send(view[sent : sent + _BLOCK] if self._is_tls else view[sent:])
                limit.cancel()
        except BaseException as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise self._lose(error) from error
            if error is limit:
                raise self._lose(WebSocketError("the peer takes nothing")) from None
            if self._is_tls:
                # Nobody knows how much of the record that was under way will be sent.
                self._lose(error)
            elif sent or is_kept:
                self._unsent = data[sent:] + self._unsent
            raise
        finally:
            if limit is not None:
                limit.cancel()

    def _answer(self, data):
        """Send what is no message. If that is interrupted, the next who sends anything sends it."""
        if len(self._unsent) > _MOST_UNSENT:
            return  # a peer that takes nothing need not be answered each of its pings
        self._unsent += data
        self._writing.acquire()
        try:
            if self._error is None:
                self._send_rest()
        except WebSocketError:
            pass  # it is lost, and that is known
        finally:
            self._writing.release()

    def _flush(self):
        """Send what the protocol has to say."""
        self._answers = False
        data = b"".join(self._protocol.data_to_send())
        if data:
            self._answer(data)

    # --- the end ---

    def _end(self, code, reason):
        """Nothing more comes."""
        self.closed = self._over = True
        if self.close_code is None:
            self.close_code, self.close_reason = int(code), reason
        self._stop_timer()

    def _lose(self, error):
        """The connection has failed, or has ended without a close frame. Returns what to raise."""
        if self._error is None:
            self._error = error or WebSocketError("the peer has ended the connection")
        if not self._over:
            self._end(_ABNORMAL, "" if error is None else str(error))
        self._unsent = b""
        with suppress(OSError):  # it has ended already
            # Wakes whoever still waits for the socket.
            _basic.shutdown(self._sock, _standard.SHUT_RDWR)
        return self._is_closed()

    def _stop_timer(self):
        timer, self._timer = self._timer, None
        if timer is None:
            return
        hub = timer.hub
        # A thread that collects garbage may have no hub, and gets none for this.
        if get_hub_if_exists() is hub:
            timer.close()
        elif not hub.destroyed:
            with suppress(HubDestroyed):
                hub.run_callback_threadsafe(timer.close)

    def _is_closed(self):
        if self._error is not None:
            return WebSocketError(f"the WebSocket is closed: {self._error}")
        code = f" with {self.close_code}" if self.close_code is not None else ""
        reason = f": {self.close_reason}" if self.close_reason else ""
        return WebSocketError(f"the WebSocket is closed{code}{reason}")


def _as_bytes(message):
    if isinstance(message, (bytearray, memoryview)):
        return bytes(message)
    try:
        return bytes(memoryview(message))
    except TypeError:
        raise TypeError(f"a message is text (str) or bytes, not {message!r}") from None
