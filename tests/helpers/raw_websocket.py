"""A WebSocket client that sends any bytes, and reads the server's frames."""

from contextlib import contextmanager
from struct import pack

from raw_http import connect, receive_until

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
#: From RFC 6455, 1.3.
KEY, ACCEPTED = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x01\x02\x03\x04"


def request(*lines, target=b"/", host=b"a", key=KEY, version=b"13"):
    """Return the head of a request for a WebSocket."""
    every = [
        b"GET " + target + b" HTTP/1.1", b"Host: " + host, b"Upgrade: websocket", b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + key, b"Sec-WebSocket-Version: " + version, *lines,
    ]  # fmt: skip
    return b"\r\n".join(every) + b"\r\n\r\n"


def masked(data, mask=MASK):
    return bytes(each ^ mask[at % 4] for at, each in enumerate(data))


def frame(opcode, data=b"", fin=True, reserved=0, mask=MASK):
    """Return a client's frame; a server's if `mask` is None."""
    first, bit = fin << 7 | reserved << 4 | opcode, 0 if mask is None else 128
    if len(data) < 126:
        head = pack("!BB", first, bit | len(data))
    elif len(data) < 65536:
        head = pack("!BBH", first, bit | 126, len(data))
    else:
        head = pack("!BBQ", first, bit | 127, len(data))
    return head + data if mask is None else head + mask + masked(data, mask)


def closing(code, reason=b""):
    return frame(CLOSE, pack("!H", code) + reason)


class Peer:
    """A client's end of a WebSocket."""

    def __init__(self, sock, rest=b""):
        self.sock, self.buffer = sock, rest

    def send(self, *frames):
        self.sock.sendall(b"".join(frames))

    def _take(self, count):
        while len(self.buffer) < count:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"the connection has ended behind {self.buffer!r}")
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def frame(self):
        """Return ``(first byte, payload)`` of the next frame. Raises EOFError at the end of the connection."""
        first, length = self._take(2)
        assert length < 128, "the server has masked its frame"
        if length > 125:
            length = int.from_bytes(self._take(2 if length == 126 else 8), "big")
        return first, self._take(length)

    def message(self):
        """Return the text or the bytes of the next frame, which must be a whole message."""
        first, data = self.frame()
        assert first in (0x80 | TEXT, 0x80 | BINARY), (first, data)
        return data.decode() if first & 15 == TEXT else data

    def close_code(self):
        """Return the code of the next frame, which must be a close frame (int)."""
        first, data = self.frame()
        assert first == 0x80 | CLOSE, (first, data)
        return int.from_bytes(data[:2], "big") if data else 1005

    def ends(self):
        """Wait for the next frame; return whether the connection has ended instead."""
        try:
            self.frame()
        except (EOFError, ConnectionResetError):
            return True
        return False


@contextmanager
def peer_of(server, *lines, **more):
    """Yield a peer that has made the handshake."""
    with connect(server) as sock:
        sock.sendall(request(*lines, **more))
        answer, _, rest = receive_until(sock, b"\r\n\r\n").partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        peer = Peer(sock, rest)
        peer.answer = answer
        yield peer
