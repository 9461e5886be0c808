"""Receiving: the half of a WebSocket that listens.

Theory
    The greenlet that receives reads the socket: a connection has no greenlet of its own. What has come is cut into
    frames. A whole message in one frame, uncompressed, is taken as it is: nearly all are. Every other frame is fed,
    whole, to the protocol of `websockets`, which judges it, decompresses, and says what is to be answered. The protocol
    therefore always stands between two frames.

Rules
    1. One greenlet reads at a time: `_reading` says which. Others stand in line.
    2. What has come and what was made of it is kept before anything is answered: a greenlet that is killed, or runs
       out of time, while it receives loses no message.
    3. Nothing is received while messages wait to be taken: a slow application holds up its peer, and not the memory.

What does not belong here: what is sent (sending.py).
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
#: The first two bytes of a client's short messages, and how long those frames are.
_SMALL = {bytes([first, 128 | length]): 6 + length for first in (_WHOLE_TEXT, _WHOLE_BINARY) for length in range(126)}
#: How much is received at a time.
_SIZE = 65536
#: From here on, a payload is unmasked where it stands, instead of being copied out first.
_LARGE = 2048
_ABNORMAL, _INVALID, _TOO_BIG = 1006, 1007, 1009


class Receiving(Sending):
    """Receives messages. The base of WebSocket, which says more."""

    _failed = False  # this side has found fault with the other
    _answers = False  # whether the protocol may have something to say
    _looking_thread = 0  # the one whose hub sends pings
    _need = 0  # how many bytes make the next frame whole, if `_partial` has some of it

    def __init__(self) -> None:
        super().__init__()
        self._messages: deque[Any] = deque()
        self._reading = Lock()
        self._partial = bytearray()
        self._fragments: list[Any] | None = None

    def _look_here(self):
        """Have the current thread send pings: that which made the connection may not last, or wait elsewhere."""
        raise NotImplementedError

    def _begin(self, sock, protocol, settings, is_client):
        self._small = _SMALL if not is_client and settings.max_size > 125 else {}
        self._looking_thread = get_ident()
        super()._begin(sock, protocol, settings, is_client)

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        """Receive a message: text (str) or a binary one (bytes). None at the end, however that came. Switches.

        `timeout`: seconds after which TimeoutError is raised; then, and if the greenlet is killed, no message is lost.
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
            if get_ident() != self._looking_thread:
                self._look_here()
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
        """Wait for more, and take it in. For who holds `_reading`."""
        try:
            data = self._recv(_SIZE)
        except OSError as error:
            if error.errno is None:
                raise  # it is not the socket's: a Timeout of the program raises it
            self._lose(error)
            return
        self._received(data)

    def _received(self, data):
        self._heard = monotonic()
        if self._small.get(data[:2]) == len(data) and not self._partial and self._fragments is None:
            # One short message of a client, and nothing else.
            self._take_message(data[0], self._mask(data[6:], data[2:6]))
        elif data:
            self._take(data)
        else:
            self._lose(None)
            return
        if self._answers:
            self._flush()

    def _take(self, data):
        """Take in what has come: frames that are whole at once, the rest of it when that is."""
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
                self._feed(data[position : position + 2])  # which is enough to be refused
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
                    self._feed(data[position:])  # which is refused without the rest
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
        """Take in a message, whose frame, if it had only one, would begin with `first`."""
        if first == _WHOLE_TEXT:
            try:
                payload = payload.decode()
            except UnicodeDecodeError:
                self._fail(_INVALID, "a text is not UTF-8")
                return
        if not self.closed:
            self._messages.append(payload)

    def _feed(self, data):
        """Have the protocol judge a frame."""
        protocol = self._protocol
        self._answers = True
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
        """The peer breaks a rule."""
        self._answers = True
        self._protocol.fail(code, reason)
        self._refused()

    def _refused(self):
        """The protocol has found fault with the peer, and will say so."""
        self._failed = True
        sent = self._protocol.close_sent
        self._end(_ABNORMAL if sent is None else sent.code, "" if sent is None else sent.reason)

    def _end(self, code, reason):
        super()._end(code, reason)
        self._partial = bytearray()
        self._fragments = None

    def _look(self):
        """Take in what has come, if nobody else does: answers to pings, the peer's pings, its close frame."""
        if self._messages or self._over or not self._reading.acquire(False):
            return
        try:
            if get_ident() != self._looking_thread:
                self._look_here()
            try:
                if self._is_tls:
                    if self._sock.pending() or _basic.recv(self._sock, 1, _standard.MSG_PEEK | _standard.MSG_DONTWAIT):  # type: ignore[attr-defined]
                        # There may be less than a record.
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
