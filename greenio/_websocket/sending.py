"""Sending: the half of a WebSocket that sends messages, and the state of the connection that both halves share.

Rules
    1. One greenlet writes at a time: the owner of the lock `_writing`. Others stand in line.
    2. Frames are sent whole, one after the other. If a greenlet is killed or runs out of time in the middle of a frame,
       the rest stays in `_unsent`, and is sent before the next frame. It is never more than one message and some pongs.
    3. `closed` is set before a close frame is sent. No message follows a close frame.

What does not belong here: the peer's frames (receiving.py).
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
_DONT_WAIT = _standard.MSG_DONTWAIT
#: How many bytes a TLS socket is given at a time, so that `write_timeout` counts from the last progress.
_BLOCK = 16384
#: Seconds of silence after which a greenlet that only sends reads the frames that the peer may have sent.
_READ_PENDING_AFTER = 1.0
#: While more bytes than this wait to be sent, pings are not answered.
_MAX_UNSENT = 65536
_ABNORMAL = 1006
_HEADS = {first: [frame_head(first, length) for length in range(126)] for first in (_WHOLE_TEXT, _WHOLE_BINARY)}


class Settings:
    """The limits of a connection: sizes in bytes, times in seconds. None is no limit (internal)."""

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
    """Sends messages. The base of WebSocket, which documents them."""

    #: Whether no message can be sent any more (bool): either side has sent a close frame, or the connection has failed.
    closed: bool = False
    #: The code with which the connection was closed (int; RFC 6455, 7.4), 1006 if it has failed; None before.
    close_code: int | None = None
    #: The reason that the closing side gave (str).
    close_reason: str = ""
    #: The subprotocol that both sides have agreed on (str), or None.
    subprotocol: str | None = None

    _over = False  # whether nothing more can be received
    _error: BaseException | None = None  # why the connection has failed
    _unsent = b""
    _timer: Any = None
    _protocol: Any = None

    def __init__(self) -> None:
        self._writing = Lock()

    def _begin(self, sock, protocol, settings, is_client):
        """Begin after the handshake. `_protocol` is set last: other threads use this object as soon as it is set."""
        self._sock: socket = sock
        self._recv, self._send = sock.recv, sock.send
        self._is_tls = hasattr(sock, "do_handshake")
        self._settings = settings
        self._compresses = bool(protocol.extensions)
        self._mask: Any = mask_function()
        self._is_client = is_client
        # A timeout of the socket would hold for both directions.
        sock.settimeout(None)
        self._last_heard = monotonic()
        self._protocol = protocol

    def _open(self):
        """Make the handshake, unless it was made. Raises WebSocketError."""
        raise WebSocketError("this WebSocket is not connected")

    def _read_pending(self):
        """Take in frames that are there, unless another greenlet reads."""
        raise NotImplementedError

    # --- sending ---

    def send(self, message: str | bytes | bytearray | memoryview, binary: bool | None = None) -> None:
        """Send a message. Switches while the peer takes no more, and while other greenlets send.

        `message`: a text (str) or bytes. `binary`: whether it is sent as a binary message (bool); by default bytes are,
        and a str is not. Raises WebSocketError if the connection is closed or fails, TypeError or UnicodeError for a
        wrong message. If the greenlet is killed, or runs out of time, the message is sent whole or not at all.
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
        if monotonic() - self._last_heard > _READ_PENDING_AFTER:
            self._read_pending()
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
                    sent = self._send(frame, _DONT_WAIT)
                    if sent == len(frame):
                        return
                except BlockingIOError:
                    pass
                except OSError as error:
                    raise self._lose(error) from error
            # A compressed message must arrive, because later ones refer back to it.
            self._push(frame, sent, self._compresses)
        finally:
            writing.release()

    def _frame(self, first, payload):
        """Return the frame of a message that is masked or compressed."""
        if self._compresses:
            return whole_frame(first & 15, payload, self._is_client, self._protocol.extensions)
        mask = token_bytes(4)
        return b"%b%b%b" % (frame_head(first, len(payload), 128), mask, self._mask(payload, mask))

    def _send_rest(self):
        """Send `_unsent`. The caller holds `_writing`."""
        rest, self._unsent = self._unsent, b""
        self._push(rest, 0, True)

    def _push(self, data, sent, is_kept):
        """Send the rest of `data`, of which `sent` bytes were sent. The caller holds `_writing`.

        If this is interrupted, the rest stays in `_unsent`, provided that a part was sent or the data `is_kept`.
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
                raise self._lose(WebSocketError("the peer takes no data")) from None
            if self._is_tls:
                # Part of a TLS record may have been sent, and the rest cannot be sent later.
                self._lose(error)
            elif sent or is_kept:
                self._unsent = data[sent:] + self._unsent
            raise
        finally:
            if limit is not None:
                limit.cancel()

    def _answer(self, data):
        """Send a control frame. If this is interrupted, it stays in `_unsent`."""
        if len(self._unsent) > _MAX_UNSENT:
            return  # a peer that takes no data gets no answers to its pings
        self._unsent += data
        self._writing.acquire()
        try:
            if self._error is None:
                self._send_rest()
        except WebSocketError:
            pass  # the connection has failed, which _lose() has noted
        finally:
            self._writing.release()

    def _flush(self):
        """Send the data that the protocol has for the peer."""
        self._has_replies = False
        data = b"".join(self._protocol.data_to_send())
        if data:
            self._answer(data)

    # --- the end ---

    def _end(self, code, reason):
        """Note that nothing more can be received."""
        self.closed = self._over = True
        if self.close_code is None:
            self.close_code, self.close_reason = int(code), reason
        self._stop_timer()

    def _lose(self, error):
        """Note that the connection has failed, or has ended without a close frame. Returns the error to raise."""
        if self._error is None:
            self._error = error or WebSocketError("the peer has ended the connection")
        if not self._over:
            self._end(_ABNORMAL, "" if error is None else str(error))
        self._unsent = b""
        with suppress(OSError):  # the connection has ended already
            # Wakes greenlets that still wait for the socket.
            _basic.shutdown(self._sock, _standard.SHUT_RDWR)
        return self._is_closed()

    def _stop_timer(self):
        timer, self._timer = self._timer, None
        if timer is None:
            return
        hub = timer.hub
        # A thread that collects garbage may have no hub, and need not get one for this.
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
