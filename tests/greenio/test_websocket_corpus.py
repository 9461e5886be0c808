"""WebSockets and clients that break the protocol, or misuse it to attack servers: helpers/corpus.py, autobahn.py."""

import autobahn
import corpus
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_http import serving
from raw_websocket import BINARY, CLOSE, PING, TEXT, closing, frame, peer_of
from wsgi_applications import echo

import greenio
from greenio._websocket import sansio
from greenio._websocket.sending import Settings
from greenio.socket import socketpair
from greenio.websocket import WebSocket

pytest.importorskip("websockets")

OFFER = b"Sec-WebSocket-Extensions: permessage-deflate"


MOST = 300_000  # bytes of a message


def whole(data):
    return [data]


def byte_by_byte(data):
    return [data[at : at + 1] for at in range(len(data))] if len(data) < 5000 else [data[:100], data[100:]]


@pytest.mark.parametrize("cut", [whole, byte_by_byte], ids=lambda cut: cut.__name__)
@pytest.mark.parametrize("entry", corpus.FRAMES, ids=str)
def test_each_entry_is_closed_with_its_code(entry, cut):
    received = []

    def application(environ, start_response):
        websocket = environ["wsgi.websocket"]
        received.extend(websocket)
        received.append((websocket.close_code, websocket.closed))

    lines = [OFFER] if entry.compressed else []
    with serving(application, websocket_max_size=100_000, websocket_compression=entry.compressed) as server:
        with peer_of(server, *lines) as peer:
            peer.send(frame(BINARY, b"before"))

            def send():
                try:
                    # The WebSocket ignores the frame that comes last.
                    for piece in [*cut(entry.data), frame(BINARY, b"after")]:
                        peer.send(piece)
                        greenio.sleep(0)
                except OSError:
                    pass  # the server has closed already

            sending = greenio.spawn(send)
            assert peer.close_code() == entry.code
            assert peer.ends()
            sending.join()
    assert received == [b"before", (entry.code, True)]


WORDS = [b"", b"a", b"\xc3\xa9", b"\xc3", b"x" * 125, b"x" * 126, b"x" * 70_000]


@st.composite
def frames(draw):
    """A frame, often a good one."""
    kind = draw(st.sampled_from([TEXT, BINARY, BINARY, 0, 0, PING, 10, CLOSE, 3]))
    word = draw(st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8why"] if kind == CLOSE else WORDS))
    fin = draw(st.sampled_from([True, True, False]))
    reserved = draw(st.sampled_from([0] * 19 + [4]))
    return frame(kind, word, fin, reserved, draw(st.sampled_from([b"\1\2\3\4"] * 19 + [None])))


def what_websockets_says(data):
    """Parse a client's data by websockets' own parser: ``(messages, payloads of pings, code of the close)``."""
    sansio.need_websockets()
    protocol, messages, pings, pieces = sansio.server_protocol(MOST, []), [], [], None
    protocol.receive_data(data)
    for each in protocol.events_received():
        if each.opcode in (TEXT, BINARY):
            pieces = [each.opcode]
        if each.opcode <= BINARY:
            pieces.append(bytes(each.data))
            if each.fin:
                message = b"".join(pieces[1:])
                try:
                    messages.append(message.decode() if pieces[0] == TEXT else message)
                except UnicodeDecodeError:
                    return messages, pings, 1007
        elif each.opcode == PING:
            pings.append(bytes(each.data))
        elif each.opcode == CLOSE:
            return messages, pings, protocol.close_rcvd.code
    return messages, pings, None if protocol.close_sent is None else protocol.close_sent.code


@pytest.mark.parametrize("number", autobahn.CASES)
def test_cases_of_autobahn_are_answered_as_websockets_does(number):
    pieces = autobahn.CASES[number]
    messages, pings, code = what_websockets_says(b"".join(pieces))
    with serving(echo, websocket_max_size=MOST) as server, peer_of(server) as peer:

        def send():
            try:
                for piece in pieces:
                    peer.send(piece)
                    greenio.sleep(0)
            except OSError:
                pass  # the server has closed already

        sending = greenio.spawn(send)
        echoed, pongs, closed = [], [], None
        while closed is None and (code is not None or len(echoed) < len(messages) or len(pongs) < len(pings)):
            first, data = peer.frame()
            if first == 0x8A:
                pongs.append(data)
            elif first == 0x88:
                closed = int.from_bytes(data[:2], "big") if data else 1005
            else:
                echoed.append(data.decode() if first == 0x81 else data)
        assert closed == code
        if code is None:
            assert (echoed, pongs) == (messages, pings)
            peer.send(closing(3000))
            assert peer.close_code() == 3000
        else:
            # The echo finds the connection closed, if that has come at once with the message.
            assert echoed == messages[: len(echoed)] and pongs == pings[: len(pongs)]
        assert peer.ends()
        sending.join()


@settings(max_examples=200, deadline=None)
@given(st.lists(frames(), max_size=12), st.lists(st.integers(1, 400), max_size=20))
def test_frames_at_random_mean_what_websockets_says(sent, cuts):
    data = b"".join(sent)
    expected, _, code = what_websockets_says(data)
    # Now greenio's WebSocket reads the same data in pieces.
    one, other = socketpair()
    with one, other:
        websocket = WebSocket()
        limits = Settings(MOST, 1024, None, None, None)
        websocket._start(one, sansio.server_protocol(MOST, []), limits, False, b"")
        at = 0
        for cut in [*cuts, len(data)]:
            if not websocket._over and data[at : at + cut]:
                websocket._received(data[at : at + cut])
            at += cut
        assert list(websocket._messages) == expected and websocket.close_code == code
        assert websocket._failed == (code not in (None, 1000, 1005))


def test_control_frames_are_allowed_between_fragments():
    with serving(echo) as server:
        with peer_of(server) as peer:
            peer.send(frame(BINARY, b"a", fin=False), frame(PING, b"p"), frame(0, b"", fin=False), frame(0, b"b"))
            assert peer.frame() == (0x8A, b"p")
            assert peer.message() == b"ab"
            peer.send(frame(CLOSE))
            assert peer.close_code() == 1005 and peer.ends()
