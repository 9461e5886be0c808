"""Receiving: the half of a WebSocket that reads frames and makes messages of them.

Theory
    The greenlet that receives reads the socket: a connection has no greenlet of its own. The received data is cut into
    frames. Nearly all messages are one uncompressed frame, which is handled here. Every other frame is fed to the
    protocol of `websockets`, which checks it, decompresses it, and makes the reply if there must be one. Frames are fed
    whole, so the protocol always stands between two frames.

Rules
    1. One greenlet reads at a time: the owner of the lock `_reading`. Others stand in line.
    2. Received data and messages are stored before a reply is sent. So a greenlet that is killed, or runs out of time,
       while it receives loses no message.
    3. No data is received while messages wait for the application. A slow application slows its peer down, and does not
       fill the memory.

What does not belong here: sending (sending.py).
"""

from __future__ import annotations

import socket as _standard
from _socket import socket as _basic
from _thread import get_ident
from collections import deque
from time import monotonic

from greenio._websocket.sending import Sending
from greenio.lock import Lock
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["Receiving"]

_BINARY, _CLOSE = 2, 8
_WHOLE_TEXT, _WHOLE_BINARY = 0x81, 0x82
_OPCODES = frozenset([0, 1, 2, 8, 9, 10])
#: The first two bytes of a client's short message -> the length of its frame.
_SMALL = {bytes([first, 128 | length]): 6 + length for first in (_WHOLE_TEXT, _WHOLE_BINARY) for length in range(126)}
#: How many bytes are received at a time.
_SIZE = 65536
#: From this size on (bytes), a payload is unmasked where it stands, instead of being copied out first.
_LARGE = 2048
_ABNORMAL, _INVALID, _TOO_BIG = 1006, 1007, 1009


class Receiving(Sending):
    """Receives messages. The base of WebSocket, which documents them."""

    _failed = False  # whether the peer has broken a rule of the protocol
    _has_replies = False  # whether the protocol may have data to send
    _timer_thread = 0  # the ident of the thread whose hub sends pings
    _need = 0  # the length of the frame that `_partial` has the beginning of

    def __init__(self) -> None:
        super().__init__()
        self._messages: deque[Any] = deque()
        self._reading = Lock()
        self._partial = bytearray()
        self._fragments: list[Any] | None = None

    def _move_timer_here(self):
        """Let the current thread send pings: the one that did so may have ended, or may be blocked."""
        raise NotImplementedError

    def _begin(self, sock, protocol, settings, is_client):
        self._small = _SMALL if not is_client and settings.max_size > 125 else {}
        self._timer_thread = get_ident()
        super()._begin(sock, protocol, settings, is_client)

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        """Receive a message: a text (str) or a binary one (bytes). Switches.

        Returns None when the connection has ended, in whatever way. `timeout`: the most seconds to wait (float; None
        for ever). Raises TimeoutError after that. No message is lost then, nor if the greenlet is killed.
        """
        messages = self._messages
        if messages:
            return messages.popleft()  # type: ignore[no-any-return]
        if self._protocol is None:
            self._open()
        if timeout is None:
            return self._receive()  # type: ignore[no-any-return]
        limit = Timeout.start_new(timeout)
        try:
            return self._receive()  # type: ignore[no-any-return]
        except Timeout as error:
            if error is not limit:
                raise
            raise TimeoutError(f"no message has come within {timeout} s") from None
        finally:
            limit.cancel()

    def _receive(self):
        reading, messages = self._reading, self._messages
        reading.acquire()
        try:
            if get_ident() != self._timer_thread:
                self._move_timer_here()
            while not messages:
                if self._over:
                    return None
                self._read()
            return messages.popleft()
        finally:
            reading.release()

    def __iter__(self) -> Iterator[str | bytes]:
        """Receive messages until the end. Each step switches."""
        while (message := self.receive()) is not None:
            yield message

    def _read(self):
        """Receive data, and take it in. The caller holds `_reading`."""
        try:
            data = self._recv(_SIZE)
        except OSError as error:
            if error.errno is None:
                raise  # an exception of the program's own Timeout, and not an error of the socket
            self._lose(error)
            return
        self._received(data)

    def _received(self, data):
        self._last_heard = monotonic()
        if self._small.get(data[:2]) == len(data) and not self._partial and self._fragments is None:
            # The fast path: the data is one short message of a client, and nothing else.
            self._take_message(data[0], self._mask(data[6:], data[2:6]))
        elif data:
            self._take(data)
        else:
            self._lose(None)
            return
        if self._has_replies:
            self._flush()

    def _take(self, data):
        """Cut data into frames, and take in those that are whole. The rest waits in `_partial`."""
        if self._partial:
            self._partial += data
            if len(self._partial) < self._need:
                return
            data = bytes(self._partial)
            self._partial = bytearray()
        is_client, most = self._is_client, self._settings.max_size
        overhead = 2 if is_client else 6
        position, end = 0, len(data)
        while end - position > 1:
            first, second = data[position], data[position + 1]
            if (second < 128) is not is_client or first & 15 not in _OPCODES:
                self._feed(data[position : position + 2])  # enough for the protocol to refuse the frame
                return
            start = position + overhead
            length = second & 127
            if length > 125:
                wide = 4 if length == 126 else 10
                if end - position < wide:
                    stop = position + wide
                    break
                length = int.from_bytes(data[position + 2 : position + wide], "big")
                if length > most:
                    self._feed(data[position:])  # the protocol refuses the frame without seeing the rest of it
                    return
                start += wide - 2
            stop = start + length
            if stop > end:
                break
            if first in (_WHOLE_TEXT, _WHOLE_BINARY) and self._fragments is None and length <= most:
                payload: Any
                if is_client:
                    payload = data[start:stop]
                elif length < _LARGE:
                    payload = self._mask(data[start:stop], data[start - 4 : start])
                else:
                    payload = self._mask(memoryview(data)[start:stop], data[start - 4 : start])
                self._take_message(first, payload)
            else:
                self._feed(data[position:stop])
            if self._over:
                return
            position = stop
        else:
            stop = position + 2
        if position < end:
            self._partial += data[position:]
            self._need = stop - position

    def _take_message(self, first, payload):
        """Take in a message. `first`: the first byte of a frame that has all of it."""
        if first == _WHOLE_TEXT:
            try:
                payload = payload.decode()
            except UnicodeDecodeError:
                self._fail(_INVALID, "a text is not UTF-8")
                return
        if not self.closed:
            self._messages.append(payload)

    def _feed(self, data):
        """Have the protocol check and decode a frame."""
        protocol = self._protocol
        self._has_replies = True
        protocol.receive_data(data)
        for frame in protocol.events_received():
            opcode = frame.opcode
            if opcode <= _BINARY:
                self._take_fragment(frame)
            elif opcode == _CLOSE:
                received = protocol.close_rcvd
                self._end(received.code, received.reason)
        if protocol.parser_exc is not None and not self._over:
            self._refused()

    def _take_fragment(self, frame):
        fragments = self._fragments
        if fragments is None:
            self._fragments = fragments = [frame.opcode]
        fragments.append(frame.data)
        if frame.fin:
            self._fragments = None
            self._take_message(0x80 | fragments[0], b"".join(fragments[1:]))
        elif len(fragments) > self._settings.max_fragments:
            self._fail(_TOO_BIG, "a message has too many fragments")

    def _fail(self, code, reason):
        """Fail the connection, because the peer has broken a rule. `code`, `reason`: for the close frame."""
        self._has_replies = True
        self._protocol.fail(code, reason)
        self._refused()

    def _refused(self):
        """Note that the protocol fails the connection, because the peer has broken a rule."""
        self._failed = True
        sent = self._protocol.close_sent
        self._end(_ABNORMAL if sent is None else sent.code, "" if sent is None else sent.reason)

    def _end(self, code, reason):
        super()._end(code, reason)
        self._partial = bytearray()
        self._fragments = None

    def _read_pending(self):
        """Take in data that is there, such as pongs, pings and a close frame, unless another greenlet reads."""
        if self._messages or self._over or not self._reading.acquire(False):
            return
        try:
            if get_ident() != self._timer_thread:
                self._move_timer_here()
            try:
                if self._is_tls:
                    if self._sock.pending() or _basic.recv(self._sock, 1, _standard.MSG_PEEK | _standard.MSG_DONTWAIT):  # type: ignore[attr-defined]
                        # A TLS record may not have come whole.
                        with Timeout(0.1, False):
                            self._read()
                        return
                    data = b""
                else:
                    data = _basic.recv(self._sock, _SIZE, _standard.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                self._lose(error)
                return
            self._received(data)
        finally:
            self._reading.release()
