"""greenio.websocket: messages in both directions, compression, limits, interruptions, threads."""

import gc
import subprocess
import sys
import threading
import weakref
from secrets import token_bytes

import pytest
from raw_http import serving
from raw_websocket import BINARY, CLOSE, PING, PONG, TEXT, closing, frame, peer_of
from server_websocket import peer_and_websocket, send_until_full
from waiting import in_thread, let_others_run, until, until_waiting, waiting_in
from wsgi_applications import echo

from greenio import Timeout, joinall, sleep, spawn
from greenio._websocket import sansio
from greenio._websocket.sending import Settings
from greenio.socket import socketpair
from greenio.websocket import WebSocket, WebSocketError

pytest.importorskip("websockets")


class TestMessages:
    @pytest.mark.parametrize("size", [0, 1, 125, 126, 2047, 2048, 65535, 65536, 1 << 20])
    def test_messages_of_each_size_and_kind_are_echoed(self, size):
        with serving(echo) as server, peer_of(server) as peer:
            peer.send(frame(BINARY, b"\xff" * size))
            assert peer.message() == b"\xff" * size
            peer.send(frame(TEXT, b"x" * size))
            assert peer.message() == "x" * size

    def test_text_beyond_ascii_is_echoed(self):
        with serving(echo) as server, peer_of(server) as peer:
            peer.send(frame(TEXT, "\u20ac\U0001f600".encode()))
            assert peer.message() == "\u20ac\U0001f600"

    def test_messages_at_once_and_in_pieces_are_echoed(self):
        data = frame(TEXT, b"one") + frame(BINARY, b"x" * 300) + frame(TEXT, b"") + frame(BINARY, b"y" * 70_000)
        with serving(echo) as server, peer_of(server) as peer:
            peer.send(data, data)
            for at in range(0, len(data), 997):
                peer.send(data[at : at + 997])
                sleep(0)
            assert [peer.message() for _ in range(12)] == ["one", b"x" * 300, "", b"y" * 70_000] * 3

    def test_a_message_that_comes_with_the_request_is_received(self):
        from raw_http import connect, receive_until
        from raw_websocket import Peer, request

        with serving(echo) as server, connect(server) as sock:
            sock.sendall(request() + frame(TEXT, b"early"))
            rest = receive_until(sock, b"\r\n\r\n").partition(b"\r\n\r\n")[2]
            assert Peer(sock, rest).message() == "early"

    def test_send_takes_text_and_bytes_only(self):
        class Text(str):
            pass

        with peer_and_websocket() as (peer, websocket):
            for message in ("a", Text("a")):
                websocket.send(message)
                websocket.send(message, binary=True)
                assert [peer.frame(), peer.frame()] == [(0x81, b"a"), (0x82, b"a")]
            for message in (b"a", bytearray(b"a"), memoryview(b"a")):
                websocket.send(message)
                websocket.send(message, binary=False)
                assert [peer.frame(), peer.frame()] == [(0x82, b"a"), (0x81, b"a")]
            for message in (None, 1, ["a"]):
                with pytest.raises(TypeError):
                    websocket.send(message)
            with pytest.raises(UnicodeEncodeError):
                websocket.send("\ud800")
            with pytest.raises(UnicodeDecodeError):
                websocket.send(b"\xff", binary=False)
            websocket.send("whole")
            assert peer.message() == "whole"

    def test_none_is_received_at_the_end_and_iteration_ends(self):
        with peer_and_websocket() as (peer, websocket):
            peer.send(frame(TEXT, b"a"), frame(TEXT, b"b"), closing(3000, b"why"))
            assert list(websocket) == ["a", "b"]
            assert websocket.receive() is None and websocket.receive() is None
            assert (websocket.closed, websocket.close_code, websocket.close_reason) == (True, 3000, "why")
            assert peer.close_code() == 3000
            with pytest.raises(WebSocketError, match="closed with 3000: why"):
                websocket.send("a")

    def test_pings_are_answered_and_pongs_are_not(self):
        with serving(echo) as server, peer_of(server) as peer:
            peer.send(frame(PONG, b"x"), frame(PING, b"one"), frame(TEXT, b"a"), frame(PING, b"two"))
            # Both answers are sent together, before the application receives the message between them.
            assert [peer.frame() for _ in range(3)] == [(0x8A, b"one"), (0x8A, b"two"), (0x81, b"a")]

    def test_several_greenlets_receive(self):
        with peer_and_websocket() as (peer, websocket):
            jobs = [spawn(websocket.receive) for _ in range(3)]
            until_waiting(*jobs)
            peer.send(frame(TEXT, b"a"), frame(TEXT, b"b"))
            peer.send(closing(1000))
            joinall(jobs)
            assert sorted(job.value or "" for job in jobs) == ["", "a", "b"]


class TestCompression:
    OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

    def test_compression_is_off_by_default(self):
        with serving(echo) as server, peer_of(server, self.OFFER) as peer:
            assert b"sec-websocket-extensions" not in peer.answer.lower()

    def test_compression_has_12_bits_of_window(self):
        import zlib

        with serving(echo, websocket_compression=True) as server:
            with peer_of(server, self.OFFER) as peer:
                assert b"server_max_window_bits=12; client_max_window_bits=12" in peer.answer
                squeeze, stretch = zlib.compressobj(wbits=-12), zlib.decompressobj(-12)
                for text in (b"hello" * 100, b"hello" * 100):
                    data = squeeze.compress(text) + squeeze.flush(zlib.Z_SYNC_FLUSH)
                    peer.send(frame(TEXT, data[:-4], reserved=4))
                    first, data = peer.frame()
                    assert first == 0xC1 and len(data) < 50
                    assert stretch.decompress(data + b"\0\0\xff\xff") == text
                # Messages that are not compressed are accepted as well.
                peer.send(frame(TEXT, b"plain"))
                first, data = peer.frame()
                assert stretch.decompress(data + b"\0\0\xff\xff") == b"plain"
            with peer_of(server) as peer:
                assert b"sec-websocket-extensions" not in peer.answer.lower()
            with peer_of(server, b"Sec-WebSocket-Extensions: ;;") as peer:
                assert b"sec-websocket-extensions" not in peer.answer.lower()


class TestSendersTogether:
    def test_messages_stay_whole(self):
        with peer_and_websocket() as (peer, websocket):
            sizes = [1, 200, 70_000, 400_000]
            jobs = [spawn(websocket.send, bytes([number]) * sizes[number % 4]) for number in range(100)]
            received = [peer.message() for _ in jobs]
            joinall(jobs, raise_error=True)
            assert sorted(each[0] for each in received) == list(range(100))
            assert all(each == each[:1] * sizes[each[0] % 4] for each in received)

    def test_messages_of_threads_stay_whole(self):
        with peer_and_websocket() as (peer, websocket):

            def send(number):
                for _ in range(20):
                    websocket.send(bytes([number]) * 30_000)

            threads = [threading.Thread(target=send, args=(number,)) for number in range(3)]
            for thread in threads:
                thread.start()
            received = [peer.message() for _ in range(60)]
            for thread in threads:
                thread.join()
            assert sorted(each[0] for each in received) == [0] * 20 + [1] * 20 + [2] * 20
            assert all(each == each[:1] * 30_000 for each in received)

    def test_sending_waits_for_the_peer(self):
        with peer_and_websocket() as (peer, websocket):
            blocked = send_until_full(websocket)
            others = [spawn(websocket.send, b"y") for _ in range(5)]
            until_waiting(blocked, *others)
            while peer.message() != b"y":
                pass
            joinall([blocked, *others], raise_error=True)

    def test_a_killed_sender_leaves_no_half_message(self):
        with peer_and_websocket() as (peer, websocket):
            blocked = send_until_full(websocket, 1 << 18)
            others = [spawn(websocket.send, b"y") for _ in range(3)]
            until_waiting(blocked, *others)
            others[1].kill()
            blocked.kill()
            received = []
            while received.count(b"y") < 2:
                received.append(peer.message())
            # The message that was half sent is completed.
            assert {*received} == {b"y", b"x" * (1 << 18)} and received[-1] == b"y"

    def test_a_sender_that_times_out_leaves_no_half_message(self):
        with peer_and_websocket() as (peer, websocket):
            send_until_full(websocket, 1 << 18).kill()
            with pytest.raises(Timeout), Timeout(0.01):
                websocket.send(b"y")
            with pytest.raises(TimeoutError), Timeout(0.01, TimeoutError):
                websocket.send(b"y")
            job = spawn(websocket.send, b"z")
            while (message := peer.message()) != b"z":
                assert message in (b"y", b"x" * (1 << 18))
            job.get()
            assert not websocket.closed

    def test_unsent_data_do_not_pile_up(self):
        with peer_and_websocket() as (peer, websocket):
            send_until_full(websocket).kill()
            for _ in range(50):
                with Timeout(0.001, False):
                    websocket.send(b"y" * 10_000)
            pinging = spawn(peer.send, *[frame(PING, b"p" * 100)] * 2000)
            for _ in range(50):
                with Timeout(0.001, False):
                    websocket.receive()
            assert len(websocket._unsent) < 400_000
            job = spawn(websocket.send, b"z")
            while peer.frame()[1] != b"z":
                pass
            joinall([job, pinging], raise_error=True)

    def test_a_compressed_message_is_sent_though_its_sender_is_killed(self):
        import zlib

        with peer_and_websocket(TestCompression.OFFER, websocket_compression=True) as (peer, websocket):
            stretch = zlib.decompressobj(-12)
            websocket._writing.acquire()
            job = spawn(websocket.send, "never begun" * 10)
            until_waiting(job)
            job.kill()
            websocket._writing.release()
            blocked = send_until_full(websocket, lambda: token_bytes(1 << 16))
            blocked.kill()
            job = spawn(websocket.send, "last")
            message = b""
            while message != b"last":
                first, data = peer.frame()
                assert first in (0xC1, 0xC2)
                message = stretch.decompress(data + b"\0\0\xff\xff")
                assert len(message) in (1 << 16, 4)
            job.get()

    def test_a_peer_that_does_not_read_is_given_up(self):
        with peer_and_websocket(write_timeout=0.05) as (_, websocket):
            with pytest.raises(WebSocketError, match="takes no data"):
                send_until_full(websocket).get()
            assert websocket.closed and websocket.close_code == 1006 and websocket.receive() is None


class TestReceivingInterrupted:
    def test_receive_times_out_and_can_go_on(self):
        with peer_and_websocket() as (peer, websocket):
            with pytest.raises(TimeoutError, match="0.01 s"):
                websocket.receive(timeout=0.01)
            peer.send(frame(TEXT, b"a"))
            assert websocket.receive(timeout=30) == "a"

    @pytest.mark.parametrize("kind", [None, TimeoutError, ValueError])
    def test_a_timeout_of_the_program_leaves_it_usable(self, kind):
        with peer_and_websocket() as (peer, websocket):
            with pytest.raises(kind or Timeout), Timeout(0.01, kind):
                websocket.receive()
            with pytest.raises(kind or Timeout), Timeout(0.01, kind):
                websocket.receive(timeout=30)
            peer.send(frame(TEXT, b"a"))
            assert websocket.receive() == "a"

    def test_a_killed_receiver_loses_no_message(self):
        with peer_and_websocket() as (peer, websocket):
            data = frame(TEXT, b"a") + frame(PING, b"p") + frame(BINARY, b"b" * 3000) + frame(TEXT, b"c")
            received = []
            for at in range(0, len(data), 11):
                job = spawn(websocket.receive)
                sleep(0)
                peer.send(data[at : at + 11])
                sleep(0)
                job.kill()
                if isinstance(job.value, str | bytes):
                    received.append(job.value)
            peer.send(closing(1000))
            received += list(websocket)
            assert received == ["a", b"b" * 3000, "c"]
            assert peer.frame() == (0x8A, b"p")

    def test_a_receiver_killed_while_it_answers_a_ping_loses_no_message(self):
        with peer_and_websocket() as (peer, websocket):
            websocket._writing.acquire()  # as by a greenlet that sends, and waits
            job = spawn(websocket.receive)
            sleep(0)
            peer.send(frame(TEXT, b"a"), frame(PING, b"p"), frame(TEXT, b"b"))
            until(lambda: websocket._messages)
            job.kill()
            websocket._writing.release()
            assert [websocket.receive(), websocket.receive()] == ["a", "b"]
            websocket.send("c")
            assert [peer.frame(), peer.frame()] == [(0x8A, b"p"), (0x81, b"c")]


class TestOtherThreads:
    def test_another_thread_may_send_receive_and_close(self):
        with peer_and_websocket() as (peer, websocket):
            in_thread(websocket.send, "a")
            assert peer.message() == "a"
            peer.send(frame(TEXT, b"b"))
            assert in_thread(websocket.receive) == "b"
            peer.send(closing(1000))
            in_thread(websocket.close)
            assert websocket.close_code == 1000

    def test_another_thread_may_close_while_this_one_receives(self):
        with peer_and_websocket() as (peer, websocket):
            receiving = waiting_in(websocket.receive)
            thread = threading.Thread(target=websocket.close)
            thread.start()
            assert peer.close_code() == 1000
            peer.send(closing(1000))
            assert receiving.get(timeout=30) is None
            until(lambda: not thread.is_alive())

    def test_a_websocket_becomes_visible_when_it_is_complete(self):
        """The attribute by which others see that it is connected is set last, as they may run at any moment."""
        names = []

        class Watched(WebSocket):
            def __setattr__(self, name, value):
                names.append(name)
                super().__setattr__(name, value)

        sansio.need_websockets()
        one, other = socketpair()
        with one, other:
            Watched()._start(one, sansio.server_protocol(1000, []), Settings(1000, 10, None, None, None), False, b"")
        assert names[-1] == "_protocol" and names.count("_protocol") == 1


class TestLimits:
    def test_too_large_messages_close_it(self):
        with peer_and_websocket(websocket_max_size=1000) as (peer, websocket):
            peer.send(frame(BINARY, b"x" * 1000))
            assert len(websocket.receive()) == 1000
            peer.send(frame(BINARY, b"x" * 1001))
            assert websocket.receive() is None and websocket.close_code == 1009
            assert peer.close_code() == 1009

    def test_too_large_messages_close_it_at_small_limits(self):
        for count in (10, 124):
            with peer_and_websocket(websocket_max_size=count) as (peer, websocket):
                peer.send(frame(BINARY, b"x" * count), frame(BINARY, b"x" * (count + 1)))
                assert [websocket.receive(), websocket.receive()] == [b"x" * count, None]
                assert peer.close_code() == 1009

    def test_fragments_count_together(self):
        with peer_and_websocket(websocket_max_size=1000) as (peer, websocket):
            peer.send(frame(BINARY, b"x" * 600, fin=False), frame(0, b"x" * 400))
            assert len(websocket.receive()) == 1000
            peer.send(frame(BINARY, b"x" * 600, fin=False), frame(0, b"x" * 401))
            assert websocket.receive() is None and peer.close_code() == 1009

    def test_the_default_limit_is_1_mib(self):
        with peer_and_websocket() as (peer, websocket):
            spawn(peer.send, frame(BINARY, b"x" * (1 << 20)))
            assert len(websocket.receive()) == 1 << 20
            peer.send(b"\x82\xff" + ((1 << 20) + 1).to_bytes(8, "big"))
            assert websocket.receive() is None and peer.close_code() == 1009

    def test_limits_can_be_turned_off(self):
        with peer_and_websocket(websocket_max_size=None, websocket_max_fragments=None) as (peer, websocket):
            job = spawn(
                peer.send, frame(BINARY, b"x" * 3_000_000, fin=False), *[frame(0, b"", fin=False)] * 2000, frame(0)
            )
            assert len(websocket.receive()) == 3_000_000
            job.get()

    def test_too_many_fragments_close_it(self):
        with peer_and_websocket(websocket_max_fragments=10) as (peer, websocket):
            peer.send(frame(BINARY, b"x", fin=False), *[frame(0, b"x", fin=False)] * 8, frame(0, b"x"))
            assert websocket.receive() == b"x" * 10
            peer.send(frame(BINARY, b"x", fin=False), *[frame(0, b"x", fin=False)] * 10)
            assert websocket.receive() is None and peer.close_code() == 1009

    def test_no_more_is_received_than_the_application_takes(self):
        with peer_and_websocket() as (peer, websocket):
            sent = []

            def send():
                while True:
                    peer.send(frame(BINARY, b"x" * 60_000))
                    sent.append(1)

            sending = spawn(send)
            assert websocket.receive() == b"x" * 60_000
            until_waiting(sending)
            let_others_run()
            until_waiting(sending)
            assert sum(map(len, websocket._messages)) < 200_000
            sending.kill()


def test_a_websocket_that_was_never_connected_says_so():
    with pytest.raises(WebSocketError, match="not connected"):
        WebSocket().receive()


def test_a_closed_websocket_is_freed_at_once():
    given = []

    def application(environ, start_response):
        given.append(weakref.ref(environ["wsgi.websocket"]))
        echo(environ, start_response)

    gc.collect()
    gc.disable()
    try:
        with serving(application) as server:
            with peer_of(server) as peer:
                peer.send(frame(TEXT, b"a"))
                assert peer.message() == "a"
                peer.send(frame(CLOSE))
                assert peer.close_code() == 1005 and peer.ends()
        sleep(0)
        assert given[0]() is None
    finally:
        gc.enable()


WITHOUT = """
import sys
sys.modules["websockets"] = None
import greenio.websocket
try:
    greenio.websocket.connect("ws://127.0.0.1:1/")
except ImportError as error:
    print(error)
"""


def test_without_the_package_websockets_its_use_says_what_to_install():
    result = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60, cwd="/")
    assert result.stdout == "greenio.websocket needs websockets: pip install 'greenio[websocket]'\n", result.stderr
    assert result.stderr == ""
