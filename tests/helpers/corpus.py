"""Requests from real attacks, and requests that a strict server refuses and a lenient one answers.

Each entry is sent in three ways: whole, byte by byte, and cut at every line's end. AFTER follows it, and must not be
answered if the entry is refused. `rule` is a section of RFC 9112, unless it names another document.

    REFUSED   the answer is `code`, and the connection ends; the application is not called
    FAILS     the application is called, and `wsgi.input` raises; the answer is `code`, and the connection ends
    TAKEN     the application is called as `calls` has it, (method, target, body) each, and AFTER is answered, too
    LAST      the application is called as `calls` has it, and the connection ends

FRAMES are sent behind the handshake of a WebSocket.
"""

import zlib
from dataclasses import dataclass

from raw_websocket import BINARY, CLOSE, MASK, PING, TEXT, closing, frame, request

REFUSED, FAILS, TAKEN, LAST = "refused", "fails", "taken", "last"

AFTER = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
HELLO = bytes.fromhex("16030100c5010000c10303") + bytes(range(32)) + b"\x00\x20" + b"\x13\x01" * 16


@dataclass(frozen=True)
class Entry:
    number: int
    what: str
    rule: str
    data: bytes
    outcome: str
    code: int = 400
    calls: tuple = ()
    reads: bool = True  # whether the application reads the body
    ends: bool = False  # whether the client ends the connection behind it, instead of sending AFTER

    def __str__(self):
        return f"{self.number} {self.what}"


def refused(number, what, rule, data, code=400):
    return Entry(number, what, rule, data, REFUSED, code)


def fails(number, what, rule, data, ends=False):
    return Entry(number, what, rule, data, FAILS, 400, ends=ends)


def taken(number, what, rule, data, *calls, reads=True):
    return Entry(number, what, rule, data, TAKEN, 200, calls, reads)


def last(number, what, rule, data, *calls, reads=True):
    return Entry(number, what, rule, data, LAST, 200, calls, reads)


def length(value, body=b"hello"):
    return POST + b"Content-Length: " + value + b"\r\n\r\n" + body


def coding(value, more=b""):
    return POST + b"Transfer-Encoding: " + value + b"\r\n" + more + b"\r\n3\r\nabc\r\n0\r\n\r\n"


def chunks(data):
    return CHUNKED + data


def size(text):
    return chunks(text + b"\r\nabc\r\n0\r\n\r\n")


def websocket(first, more=b"", **fields):
    """Return a request for a WebSocket that begins with these lines."""
    _, fields = request(**fields).split(b"Host: a\r\n")
    return first + more + fields


def trailer(line):
    return chunks(b"3\r\nabc\r\n0\r\n" + line + b"\r\n\r\n")


def field(line):
    return GET + line + b"\r\n\r\n"


def line(text):
    return text + b"\r\nHost: a\r\n\r\n"


GOT = ("GET", "/", b"")
ABC = ("POST", "/", b"abc")
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"

ENTRIES = [
    refused(1, "Content-Length and chunked", "6.1", coding(b"chunked", b"Content-Length: 4\r\n")),
    refused(2, "chunked and Content-Length", "6.1",
            POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    refused(3, "two lengths that differ", "6.3", length(b"5\r\nContent-Length: 6")),
    refused(4, "two lengths that are equal", "6.3", length(b"5\r\nContent-Length: 5")),
    refused(5, "a list of lengths", "6.3", length(b"5, 5")),
    refused(6, "length +5", "9110 8.6", length(b"+5")),
    refused(7, "length -5", "9110 8.6", length(b"-5")),
    refused(8, "length 1_0", "9110 8.6", length(b"1_0", b"helloworld")),
    refused(9, "length 0x5", "9110 8.6", length(b"0x5")),
    refused(10, "length 1 0", "9110 8.6", length(b"1 0", b"helloworld")),
    refused(11, "empty length", "9110 8.6", length(b"", b"")),
    refused(12, "length in Arabic", "9110 8.6", length(b"\xd9\xa5")),
    refused(13, "length beyond 64 bits", "9110 8.6", length(b"18446744073709551621")),
    taken(14, "length 0005", "9110 8.6", length(b"0005"), ("POST", "/", b"hello")),
    refused(15, "coding xchunked", "6.1", coding(b"xchunked")),
    refused(16, "coding in quotes", "6.1", coding(b'"chunked"')),
    refused(17, "coding with a parameter", "6.1", coding(b"chunked;q=1")),
    refused(18, "coding identity", "6.1", coding(b"identity")),
    refused(19, "chunked, then identity", "6.1", coding(b"chunked, identity")),
    refused(20, "chunked twice", "6.1", coding(b"chunked, chunked")),
    refused(21, "two lines of codings", "6.1", coding(b"chunked", b"Transfer-Encoding: identity\r\n")),
    refused(22, "a vertical tab before chunked", "6.1", coding(b"\x0bchunked")),
    refused(23, "gzip, chunked", "6.1", coding(b"gzip, chunked"), code=501),
    taken(24, "CHUNKED", "6.1", coding(b"CHUNKED"), ABC),
    refused(25, "a space before the colon of a coding", "5.1",
            POST + b"Transfer-Encoding : chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    taken(26, "Transfer_Encoding", "5.1",
          POST + b"Transfer_Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", ABC),
    refused(27, "chunked in HTTP/1.0", "6.1",
            b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    fails(28, "chunk size +3", "7.1", size(b"+3")),
    fails(29, "chunk size 0x3", "7.1", size(b"0x3")),
    fails(30, "chunk size 0_3", "7.1", size(b"0_3")),
    fails(31, "a space before a chunk size", "7.1", size(b" 3")),
    fails(32, "a space after a chunk size", "7.1", size(b"3 ")),
    fails(33, "chunk size -3", "7.1", size(b"-3")),
    fails(34, "empty chunk size", "7.1", size(b"")),
    fails(35, "chunk size of 17 digits", "7.1", size(b"10000000000000003")),
    fails(36, "a chunk size ended by LF", "7.1", chunks(b"3\nabc\r\n0\r\n\r\n")),
    fails(37, "chunk data ended by LF", "7.1", chunks(b"3\r\nabc\n0\r\n\r\n")),
    fails(38, "chunk data ended by XX", "7.1", chunks(b"3\r\nabcXX0\r\n\r\n")),
    fails(39, "a last chunk with LF", "7.1", chunks(b"0\n\n")),
    fails(40, "CR in an extension", "7.1.1", size(b"3;a\rb")),
    fails(41, "LF in an extension", "7.1.1, CVE-2025-55315", size(b"3;\nxx")),
    fails(42, "an extension of 1 MB", "7.1.1", size(b"3;" + b"a" * 1_000_000)),
    taken(43, "an extension", "7.1.1", size(b'3;a="b"'), ABC),
    taken(44, "two trailers", "7.1.2, CVE-2023-41419, CVE-2025-58068", trailer(b"X-A: b\r\nX-C: d"), ABC),
    fails(45, "a trailer Content-Length", "9110 6.5.1", trailer(b"Content-Length: 5")),
    fails(46, "a trailer Transfer-Encoding", "9110 6.5.1", trailer(b"Transfer-Encoding: chunked")),
    fails(47, "a trailer Host", "9110 6.5.1", trailer(b"Host: b")),
    fails(48, "a trailer without a colon", "9110 6.5.1", trailer(b"abc")),
    fails(49, "the end behind the last chunk's line", "8", chunks(b"3\r\nabc\r\n0\r\n"), ends=True),
    fails(50, "the end in the middle of a body", "8", length(b"5", b"hel"), ends=True),
    refused(51, "a name with a space", "5.1", field(b"A : b")),
    refused(52, "a name with a tab", "5.1", field(b"A\t: b")),
    refused(53, "an empty name", "5.1", field(b": b")),
    refused(54, "a name with NUL", "5.1", field(b"A\0: b")),
    refused(55, "a name that is not ASCII", "5.1", field(b"A\xc3\xa9: b")),
    refused(56, "a field without a colon", "5.1", field(b"Abc")),
    refused(57, "a value with NUL", "9110 5.5", field(b"A: b\0c")),
    refused(58, "a value with CR", "9110 5.5", field(b"A: b\rc")),
    refused(59, "a value with 0x01", "9110 5.5", field(b"A: b\x01c")),
    taken(60, "a value in latin-1", "9110 5.5", field(b"X-A: \xe9"), GOT),
    refused(61, "a folded line", "5.2", field(b"A: b\r\n c")),
    refused(62, "a space behind the request line", "2.2", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    refused(63, "one line with LF", "2.2", b"GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n"),
    refused(64, "all lines with LF", "2.2", b"GET / HTTP/1.1\nHost: a\n\n"),
    refused(65, "the last line with LF", "2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    refused(66, "all lines with CR", "2.2", b"GET / HTTP/1.1\rHost: a\r\r"),
    refused(67, "no Host", "3.2", b"GET / HTTP/1.1\r\n\r\n"),
    refused(68, "two Hosts", "3.2", field(b"Host: a")),
    refused(69, "a Host with a path", "3.2", b"GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n"),
    taken(70, "a URL for a target", "3.2.2", b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "http://b/", b"")),
    refused(71, "no version", "2.3", line(b"GET /")),
    refused(72, "HTTP/1.10", "2.3", line(b"GET / HTTP/1.10")),
    refused(73, "http/1.1", "2.3", line(b"GET / http/1.1")),
    refused(74, "HTTP/2.0", "2.3", line(b"GET / HTTP/2.0"), code=505),
    refused(75, "two spaces", "3", line(b"GET  / HTTP/1.1")),
    refused(76, "tabs", "3", line(b"GET\t/\tHTTP/1.1")),
    refused(77, "a space in the target", "3", line(b"GET /a b HTTP/1.1")),
    refused(78, "0x01 in the target", "3", line(b"GET /\x01 HTTP/1.1")),
    refused(79, "NUL in the target", "3", line(b"GET /\0 HTTP/1.1")),
    refused(80, "a fragment", "3", line(b"GET /#f HTTP/1.1")),
    refused(81, "a target without a slash", "3", line(b"GET x HTTP/1.1")),
    refused(82, "GET *", "3", line(b"GET * HTTP/1.1")),
    refused(83, "GET with host and port", "3", line(b"GET a:80 HTTP/1.1")),
    refused(84, "CONNECT", "3", line(b"CONNECT a:80 HTTP/1.1"), code=501),
    refused(85, "an unknown method", "3", line(b"BREW / HTTP/1.1"), code=501),
    refused(86, "a method that is no token", "3", line(b"G@T / HTTP/1.1")),
    refused(87, "the preface of HTTP/2", "2.3", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    refused(88, "TLS", "3", HELLO),
    taken(89, "an empty line before", "2.2", b"\r\n" + GET + b"\r\n", GOT),
    refused(90, "a thousand empty lines before", "2.2", b"\r\n" * 1000 + GET + b"\r\n"),
    refused(91, "two Content-Types", "9110 5.3", field(b"Content-Type: text/plain\r\nContent-Type: text/html")),
    refused(92, "a good request behind a malformed one", "CVE-2024-49768", field(b"A : b") + GET + b"\r\n"),
    last(93, "another request behind Connection: close", "9.6", field(b"Connection: close") + GET + b"\r\n", GOT),
    taken(94, "a body that is not read and holds a request", "6.3", length(b"%d" % len(HIDDEN), HIDDEN),
          ("POST", "/", None), reads=False),
    taken(95, "GET with such a body", "6.3", field(b"Content-Length: %d" % len(HIDDEN)) + HIDDEN,
          ("GET", "/", None), reads=False),
    last(96, "Expect, and the body is not read", "9110 10.1.1, gevent#2075",
         POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", ("POST", "/", None), reads=False),
    refused(97, "Expect: x", "9110 10.1.1", field(b"Expect: x"), code=417),
    taken(98, "an Upgrade that is ignored", "9110 7.8, gevent#2035", GET + H2C + b"\r\n", GOT),
    taken(99, "the same with a body that is a request", "9110 7.8",
          POST + H2C + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, ("POST", "/", HIDDEN)),
    refused(100, "WebSocket with a body", "RFC 6455 4.2", websocket(GET, b"Content-Length: 5\r\n") + b"hello"),
    refused(101, "WebSocket by POST", "RFC 6455 4.1", websocket(POST)),
    refused(102, "WebSocket in HTTP/1.0", "RFC 6455 4.1", websocket(b"GET / HTTP/1.0\r\nHost: a\r\n")),
    refused(103, "WebSocket with a short key", "RFC 6455 4.2.1", websocket(GET, key=b"dGhlIHNhbXBsZQ==")),
    refused(104, "WebSocket of version 8", "RFC 6455 4.4", websocket(GET, version=b"8"), code=426),
]  # fmt: skip


@dataclass(frozen=True)
class Frames:
    """Frames that are sent behind the handshake of a WebSocket, and the code with which the server closes it."""

    number: int
    what: str
    data: bytes
    code: int
    compressed: bool = False

    def __str__(self):
        return f"{self.number} {self.what}"


def deflated(data):
    deflater = zlib.compressobj(9, wbits=-12)
    return (deflater.compress(data) + deflater.flush())[:-1] + b"\0\0\xff\xff"


FRAMES = [
    Frames(112, "unmasked", frame(TEXT, b"hello", mask=None), 1002),
    *(Frames(112, f"reserved bit {bit}", frame(TEXT, b"hello", reserved=bit), 1002) for bit in (1, 2, 4)),
    *(Frames(112, f"opcode {opcode}", frame(opcode), 1002) for opcode in (3, 7, 11, 15)),
    Frames(112, "a long ping", frame(PING, b"x" * 126), 1002),
    Frames(112, "a fragmented ping", frame(PING, fin=False), 1002),
    Frames(112, "a stray continuation", frame(0, b"hello"), 1002),
    Frames(112, "a message in the middle of another", frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    Frames(112, "a text that is not UTF-8", frame(TEXT, b"\xff"), 1007),
    Frames(112, "a surrogate", frame(TEXT, b"\xed\xa0\x80"), 1007),
    Frames(112, "a fragmented text that is not UTF-8", frame(TEXT, b"\xc3", fin=False) + frame(0, b"a"), 1007),
    Frames(112, "a reason that is not UTF-8", frame(CLOSE, b"\x03\xe8\xff"), 1007),
    *(Frames(112, f"close {code}", closing(code), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)),
    Frames(112, "a close frame of one byte", frame(CLOSE, b"\x03"), 1002),
    Frames(112, "a length of 2**63", b"\x82\xff" + b"\x80" + b"\0" * 7 + MASK, 1009),
    Frames(112, "a length beyond the limit", b"\x82\xff" + (1 << 20).to_bytes(8, "big") + MASK, 1009),
    Frames(113, "fragments of one byte",
           frame(BINARY, b"a", fin=False) + frame(0, b"a", fin=False) * 1200 + frame(0, b"a"), 1009),
    Frames(114, "a deflate bomb", frame(BINARY, deflated(b"\0" * 50_000_000), reserved=4), 1009, compressed=True),
    Frames(115, "compressed without negotiation", frame(TEXT, deflated(b"hello"), reserved=4), 1002),
]  # fmt: skip
