"""greenio.websocket: messages, both ways. The protocol, limits, interruptions, ends. The server is greenio.wsgi's."""

import gc
import subprocess
import sys
import threading
import weakref
from contextlib import contextmanager
from secrets import token_bytes

import pytest
from raw_http import serving
from raw_websocket import BINARY, CLOSE, PING, PONG, TEXT, closing, frame, peer_of
from waiting import in_thread, let_others_run, until, until_waiting, waiting_in
from wsgi_applications import echo

from greenio import Timeout, joinall, sleep, spawn
from greenio._websocket import sansio
from greenio._websocket.sending import Settings
from greenio.event import AsyncResult, Event
from greenio.socket import socketpair
from greenio.websocket import WebSocket, WebSocketError

pytest.importorskip("websockets")


@contextmanager
def held(*lines, **arguments):
    """A peer, and the server's WebSocket with it, which the test uses. The handler waits meanwhile."""
    given, over = AsyncResult(), Event()

    def application(environ, start_response):
        websocket = environ["wsgi.websocket"]
        websocket.accept()
        given.set(websocket)
        over.wait()

    with serving(application, **arguments) as server:
        with peer_of(server, *lines) as peer:
            websocket = given.get(timeout=30)
            try:
                yield peer, websocket
            finally:
                peer.sock.close()
                over.set()


def fill(websocket, size=1 << 16):
    """Greenlets that send until nothing more is taken; the last of them. `size`: of messages, or what makes one."""
    for _ in range(1000):
        job = spawn(websocket.send, size() if callable(size) else b"x" * size)
        job.reports_errors = False
        let_others_run()
        if not job.ready() or not job.successful():
            return job
    raise AssertionError("the system takes everything")


class TestMessages:
    @pytest.mark.parametrize("size", [0, 1, 125, 126, 2047, 2048, 65535, 65536, 1 << 20])
    def test_of_each_size_and_kind(self, size):
        with serving(echo) as server, peer_of(server) as peer:
            peer.send(frame(BINARY, b"\xff" * size))
            assert peer.message() == b"\xff" * size
            peer.send(frame(TEXT, b"x" * size))
            assert peer.message() == "x" * size

    def test_text_beyond_ascii(self):
        with serving(echo) as server, peer_of(server) as peer:
            peer.send(frame(TEXT, "\u20ac\U0001f600".encode()))
            assert peer.message() == "\u20ac\U0001f600"

    def test_several_at_once_and_one_in_pieces(self):
        data = frame(TEXT, b"one") + frame(BINARY, b"x" * 300) + frame(TEXT, b"") + frame(BINARY, b"y" * 70_000)
        with serving(echo) as server, peer_of(server) as peer:
            peer.send(data, data)
            for at in range(0, len(data), 997):
                peer.send(data[at : at + 997])
                sleep(0)
            assert [peer.message() for _ in range(12)] == ["one", b"x" * 300, "", b"y" * 70_000] * 3

    def test_what_comes_with_the_request(self):
        from raw_http import connect, receive_until
        from raw_websocket import Peer, request

        with serving(echo) as server, connect(server) as sock:
            sock.sendall(request() + frame(TEXT, b"early"))
            rest = receive_until(sock, b"\r\n\r\n").partition(b"\r\n\r\n")[2]
            assert Peer(sock, rest).message() == "early"

    def test_kinds_of_arguments(self):
        class Text(str):
            pass

        with held() as (peer, websocket):
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
        with held() as (peer, websocket):
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
            # Both answers go out together, before the application has what came between.
            assert [peer.frame() for _ in range(3)] == [(0x8A, b"one"), (0x8A, b"two"), (0x81, b"a")]

    def test_several_greenlets_receive(self):
        with held() as (peer, websocket):
            jobs = [spawn(websocket.receive) for _ in range(3)]
            until_waiting(*jobs)
            peer.send(frame(TEXT, b"a"), frame(TEXT, b"b"))
            peer.send(closing(1000))
            joinall(jobs)
            assert sorted(job.value or "" for job in jobs) == ["", "a", "b"]


class TestCompression:
    OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

    def test_it_is_off_unless_asked_for(self):
        with serving(echo) as server, peer_of(server, self.OFFER) as peer:
            assert b"sec-websocket-extensions" not in peer.answer.lower()

    def test_it_has_12_bits_of_window(self):
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
                # And what is not compressed is taken as well.
                peer.send(frame(TEXT, b"plain"))
                first, data = peer.frame()
                assert stretch.decompress(data + b"\0\0\xff\xff") == b"plain"
            with peer_of(server) as peer:
                assert b"sec-websocket-extensions" not in peer.answer.lower()
            with peer_of(server, b"Sec-WebSocket-Extensions: ;;") as peer:
                assert b"sec-websocket-extensions" not in peer.answer.lower()


class TestSendersTogether:
    def test_messages_stay_whole(self):
        with held() as (peer, websocket):
            sizes = [1, 200, 70_000, 400_000]
            jobs = [spawn(websocket.send, bytes([number]) * sizes[number % 4]) for number in range(100)]
            received = [peer.message() for _ in jobs]
            joinall(jobs, raise_error=True)
            assert sorted(each[0] for each in received) == list(range(100))
            assert all(each == each[:1] * sizes[each[0] % 4] for each in received)

    def test_messages_of_threads_stay_whole(self):
        with held() as (peer, websocket):

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
        with held() as (peer, websocket):
            blocked = fill(websocket)
            others = [spawn(websocket.send, b"y") for _ in range(5)]
            until_waiting(blocked, *others)
            while peer.message() != b"y":
                pass
            joinall([blocked, *others], raise_error=True)

    def test_one_that_is_killed_leaves_no_half_message(self):
        with held() as (peer, websocket):
            blocked = fill(websocket, 1 << 18)
            others = [spawn(websocket.send, b"y") for _ in range(3)]
            until_waiting(blocked, *others)
            others[1].kill()
            blocked.kill()
            received = []
            while received.count(b"y") < 2:
                received.append(peer.message())
            # The half that was sent already has its other half.
            assert {*received} == {b"y", b"x" * (1 << 18)} and received[-1] == b"y"

    def test_one_that_runs_out_of_time_leaves_no_half_message(self):
        with held() as (peer, websocket):
            fill(websocket, 1 << 18).kill()
            with pytest.raises(Timeout), Timeout(0.01):
                websocket.send(b"y")
            with pytest.raises(TimeoutError), Timeout(0.01, TimeoutError):
                websocket.send(b"y")
            job = spawn(websocket.send, b"z")
            while (message := peer.message()) != b"z":
                assert message in (b"y", b"x" * (1 << 18))
            job.get()
            assert not websocket.closed

    def test_what_was_not_sent_does_not_pile_up(self):
        with held() as (peer, websocket):
            fill(websocket).kill()
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

    def test_what_was_compressed_is_sent_whatever_interrupts_it(self):
        import zlib

        with held(TestCompression.OFFER, websocket_compression=True) as (peer, websocket):
            stretch = zlib.decompressobj(-12)
            websocket._writing.acquire()
            job = spawn(websocket.send, "never begun" * 10)
            until_waiting(job)
            job.kill()
            websocket._writing.release()
            blocked = fill(websocket, lambda: token_bytes(1 << 16))
            blocked.kill()
            job = spawn(websocket.send, "last")
            message = b""
            while message != b"last":
                first, data = peer.frame()
                assert first in (0xC1, 0xC2)
                message = stretch.decompress(data + b"\0\0\xff\xff")
                assert len(message) in (1 << 16, 4)
            job.get()

    def test_a_peer_that_takes_nothing_is_given_up(self):
        with held(write_timeout=0.05) as (_, websocket):
            with pytest.raises(WebSocketError, match="takes no data"):
                fill(websocket).get()
            assert websocket.closed and websocket.close_code == 1006 and websocket.receive() is None


class TestReceivingInterrupted:
    def test_it_runs_out_of_time(self):
        with held() as (peer, websocket):
            with pytest.raises(TimeoutError, match="0.01 s"):
                websocket.receive(timeout=0.01)
            peer.send(frame(TEXT, b"a"))
            assert websocket.receive(timeout=30) == "a"

    @pytest.mark.parametrize("kind", [None, TimeoutError, ValueError])
    def test_a_timeout_of_the_program(self, kind):
        with held() as (peer, websocket):
            with pytest.raises(kind or Timeout), Timeout(0.01, kind):
                websocket.receive()
            with pytest.raises(kind or Timeout), Timeout(0.01, kind):
                websocket.receive(timeout=30)
            peer.send(frame(TEXT, b"a"))
            assert websocket.receive() == "a"

    def test_nothing_is_lost_with_a_greenlet_that_is_killed(self):
        with held() as (peer, websocket):
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

    def test_messages_that_stand_behind_a_ping_whose_answer_is_interrupted(self):
        with held() as (peer, websocket):
            websocket._writing.acquire()  # as if somebody sent who has to wait
            job = spawn(websocket.receive)
            sleep(0)
            peer.send(frame(TEXT, b"a"), frame(PING, b"p"), frame(TEXT, b"b"))
            until(lambda: websocket._messages)
            job.kill()
            websocket._writing.release()
            assert [websocket.receive(), websocket.receive()] == ["a", "b"]
            websocket.send("c")
            assert [peer.frame(), peer.frame()] == [(0x8A, b"p"), (0x81, b"c")]


class TestEnds:
    def test_closing_waits_for_the_peer(self):
        with held() as (peer, websocket):
            job = waiting_in(websocket.close, 3001, "enough")
            assert websocket.closed
            assert peer.frame() == (0x88, b"\x0b\xb9enough")
            assert not job.ready()
            peer.send(frame(TEXT, b"too late"), closing(3001))
            job.get()
            assert websocket.close_code == 3001 and websocket.receive() is None
            websocket.close()  # which does nothing

    def test_a_peer_that_does_not_answer(self):
        with held() as (peer, websocket):
            websocket.close(timeout=0.01)
            assert websocket.close_code == 1006 and peer.close_code() == 1000 and peer.ends()

    def test_closing_while_another_greenlet_receives(self):
        with held() as (peer, websocket):
            receiving = waiting_in(websocket.receive)
            job = waiting_in(websocket.close)
            assert peer.close_code() == 1000
            peer.send(closing(1000))
            joinall([receiving, job], raise_error=True)
            assert receiving.value is None

    def test_closing_while_another_greenlet_receives_and_the_peer_is_silent(self):
        with held() as (_, websocket):
            receiving = waiting_in(websocket.receive)
            websocket.close(timeout=0.01)
            assert receiving.get(timeout=30) is None

    def test_closing_while_another_greenlet_sends(self):
        with held() as (peer, websocket):
            sending = fill(websocket)
            late = waiting_in(websocket.send, b"late")
            job = waiting_in(websocket.close)
            while (got := peer.frame())[0] != 0x88:
                assert got[1] in (b"x" * (1 << 16), b"late")
            peer.send(closing(1000))
            joinall([sending, late, job], raise_error=True)

    def test_closing_while_another_greenlet_sends_what_nobody_takes(self):
        with held() as (_, websocket):
            sending = fill(websocket)
            websocket.close(timeout=0.01)
            assert websocket.closed and websocket.close_code == 1006
            with pytest.raises(WebSocketError, match="not answered"):
                sending.get(timeout=30)

    @pytest.mark.parametrize("kind", [None, TimeoutError])
    def test_a_timeout_of_the_program_while_it_closes(self, kind):
        with held() as (peer, websocket):
            with pytest.raises(kind or Timeout), Timeout(0.01, kind):
                websocket.close()
            assert peer.close_code() == 1000
        with held() as (peer, websocket):
            websocket._writing.acquire()
            with pytest.raises(kind or Timeout), Timeout(0.01, kind):
                websocket.close()
            websocket._writing.release()
            assert not websocket.closed

    def test_a_greenlet_that_is_killed_while_it_closes(self):
        with held() as (peer, websocket):
            waiting_in(websocket.close).kill()
            assert peer.close_code() == 1000
            peer.send(closing(1000))
            assert websocket.receive() is None and websocket.close_code == 1000

    def test_codes_and_reasons_that_cannot_be_sent(self):
        with held() as (_, websocket):
            for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000):
                with pytest.raises(ValueError, match="code"):
                    websocket.close(code)
            with pytest.raises(ValueError, match="123"):
                websocket.close(1000, "\u20ac" * 42)
            assert not websocket.closed

    def test_bytes_for_a_reason(self):
        with held() as (peer, websocket):
            websocket.close(1000, b"why", timeout=0.01)
            assert peer.frame() == (0x88, b"\x03\xe8why")

    def test_a_peer_that_hangs_up(self):
        with held() as (peer, websocket):
            peer.send(frame(TEXT, b"a"), frame(TEXT, b"never whole")[:-3])
            peer.sock.shutdown(1)
            assert list(websocket) == ["a"] and websocket.close_code == 1006
            with pytest.raises(WebSocketError, match="has ended the connection"):
                websocket.send("a")

    def test_a_peer_that_resets(self):
        from socket import SO_LINGER, SOL_SOCKET
        from struct import pack

        with held() as (peer, websocket):
            receiving = waiting_in(websocket.receive)
            blocked = fill(websocket)
            peer.sock.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
            peer.sock.close()
            assert receiving.get(timeout=30) is None and websocket.close_code == 1006
            with pytest.raises(WebSocketError):
                blocked.get(timeout=30)

    def test_in_a_with_statement(self):
        with held() as (peer, websocket):
            job = spawn(websocket.__exit__, None, None, None)
            assert peer.close_code() == 1000
            peer.send(closing(1000))
            job.get()
        with held() as (peer, websocket):
            job = spawn(websocket.__exit__, ValueError, ValueError(), None)
            assert peer.close_code() == 1011
            peer.send(closing(1011))
            job.get()

    def test_what_it_says_of_itself(self):
        with held() as (peer, websocket):
            assert repr(websocket).endswith(" open>") and websocket.close_code is None
            job = waiting_in(websocket.close)
            assert repr(websocket).endswith(" closing>")
            peer.send(closing(1000))
            job.get()
            assert repr(websocket).endswith(" closed with 1000>")

    @pytest.mark.parametrize(
        "arguments",
        [(1000.0,), (1000.5,), (3000.5,), ("1000",), (None,), (1000, 5), (1000, None), (1000, [b"a"])],
        ids=str,
    )
    def test_codes_and_reasons_of_other_types_change_nothing(self, arguments):
        with held() as (peer, websocket):
            with pytest.raises(TypeError):
                websocket.close(*arguments)
            assert not websocket.closed
            websocket.send("a")
            assert peer.message() == "a"

    def test_the_peers_close_frame_that_another_thread_takes_in_just_now(self):
        with held() as (peer, websocket):
            # As far as that thread has come.
            websocket._protocol.receive_data(closing(1000))
            websocket.close(3000, timeout=0.01)
            assert peer.close_code() == 1000 and websocket.closed


class TestOtherThreads:
    def test_sending_receiving_and_closing(self):
        with held() as (peer, websocket):
            in_thread(websocket.send, "a")
            assert peer.message() == "a"
            peer.send(frame(TEXT, b"b"))
            assert in_thread(websocket.receive) == "b"
            peer.send(closing(1000))
            in_thread(websocket.close)
            assert websocket.close_code == 1000

    def test_closing_while_this_thread_receives(self):
        with held() as (peer, websocket):
            receiving = waiting_in(websocket.receive)
            thread = threading.Thread(target=websocket.close)
            thread.start()
            assert peer.close_code() == 1000
            peer.send(closing(1000))
            assert receiving.get(timeout=30) is None
            until(lambda: not thread.is_alive())

    def test_there_is_one_only_when_all_of_it_is_there(self):
        """What others look at first is set last: they run at any moment."""
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
    def test_the_size_of_messages(self):
        with held(websocket_max_size=1000) as (peer, websocket):
            peer.send(frame(BINARY, b"x" * 1000))
            assert len(websocket.receive()) == 1000
            peer.send(frame(BINARY, b"x" * 1001))
            assert websocket.receive() is None and websocket.close_code == 1009
            assert peer.close_code() == 1009

    def test_the_size_of_messages_where_it_is_small(self):
        for count in (10, 124):
            with held(websocket_max_size=count) as (peer, websocket):
                peer.send(frame(BINARY, b"x" * count), frame(BINARY, b"x" * (count + 1)))
                assert [websocket.receive(), websocket.receive()] == [b"x" * count, None]
                assert peer.close_code() == 1009

    def test_the_size_of_messages_in_fragments(self):
        with held(websocket_max_size=1000) as (peer, websocket):
            peer.send(frame(BINARY, b"x" * 600, fin=False), frame(0, b"x" * 400))
            assert len(websocket.receive()) == 1000
            peer.send(frame(BINARY, b"x" * 600, fin=False), frame(0, b"x" * 401))
            assert websocket.receive() is None and peer.close_code() == 1009

    def test_it_is_1_mib_unless_told(self):
        with held() as (peer, websocket):
            spawn(peer.send, frame(BINARY, b"x" * (1 << 20)))
            assert len(websocket.receive()) == 1 << 20
            peer.send(b"\x82\xff" + ((1 << 20) + 1).to_bytes(8, "big"))
            assert websocket.receive() is None and peer.close_code() == 1009

    def test_it_can_be_off(self):
        with held(websocket_max_size=None, websocket_max_fragments=None) as (peer, websocket):
            job = spawn(
                peer.send, frame(BINARY, b"x" * 3_000_000, fin=False), *[frame(0, b"", fin=False)] * 2000, frame(0)
            )
            assert len(websocket.receive()) == 3_000_000
            job.get()

    def test_the_number_of_fragments(self):
        with held(websocket_max_fragments=10) as (peer, websocket):
            peer.send(frame(BINARY, b"x", fin=False), *[frame(0, b"x", fin=False)] * 8, frame(0, b"x"))
            assert websocket.receive() == b"x" * 10
            peer.send(frame(BINARY, b"x", fin=False), *[frame(0, b"x", fin=False)] * 10)
            assert websocket.receive() is None and peer.close_code() == 1009

    def test_no_more_is_received_than_the_application_takes(self):
        with held() as (peer, websocket):
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


class TestPings:
    def test_a_silent_peer_is_asked_and_lives_if_it_answers(self):
        with held(websocket_ping_interval=0.02, websocket_ping_timeout=30) as (peer, websocket):
            receiving = waiting_in(websocket.receive)
            for _ in range(3):
                assert peer.frame() == (0x89, b"")
                peer.send(frame(PONG))
            peer.send(frame(TEXT, b"a"))
            assert receiving.get(timeout=30) == "a"

    @pytest.mark.parametrize("receives", [True, False])
    def test_one_that_does_not_answer_is_given_up(self, receives):
        with held(websocket_ping_interval=0.02, websocket_ping_timeout=0.02) as (peer, websocket):
            if receives:
                assert websocket.receive() is None
            until(lambda: websocket.closed)
            assert websocket.close_code == 1006
            with pytest.raises(WebSocketError, match="not answered a ping"):
                websocket.send("a")
            assert peer.frame() == (0x89, b"") and peer.ends()

    def test_one_that_answers_while_nobody_receives_lives(self):
        with held(websocket_ping_interval=0.02, websocket_ping_timeout=30) as (peer, websocket):
            for _ in range(8):
                assert peer.frame() == (0x89, b"")
                peer.send(frame(PONG), frame(PING, b"p"))
                assert peer.frame() == (0x8A, b"p")
            assert not websocket.closed

    def test_messages_that_nobody_takes_are_a_sign_of_life(self):
        with held(websocket_ping_interval=None) as (peer, websocket):
            peer.send(frame(TEXT, b"a"))
            until(lambda: websocket._read_pending() or websocket._messages)
            websocket._settings.ping_interval = websocket._settings.ping_timeout = 0.01
            websocket._check_later(0)
            before = websocket._last_heard
            until(lambda: websocket._last_heard > before + 0.1)
            assert not websocket.closed and websocket.receive() == "a"

    def test_they_can_be_off(self):
        with held(websocket_ping_interval=None) as (peer, websocket):
            peer.send(frame(TEXT, b"a"))
            assert websocket.receive() == "a" and websocket._timer is None

    def test_they_are_20_seconds_unless_told(self):
        from greenio.wsgi import Limits

        limits = Limits()
        assert (limits.websocket_ping_interval, limits.websocket_ping_timeout) == (20, 20)
        assert (limits.websocket_max_size, limits.websocket_max_fragments) == (1 << 20, 1024)


class TestOnlySending:
    def test_pings_and_the_end_are_noticed(self):
        with held() as (peer, websocket):
            peer.send(frame(PING, b"p"))
            # As if it were a second ago.
            websocket._last_heard -= 2
            websocket.send("a")
            assert [peer.frame(), peer.frame()] == [(0x8A, b"p"), (0x81, b"a")]
            peer.send(closing(1000))
            websocket._last_heard -= 2
            with pytest.raises(WebSocketError, match="closed with 1000"):
                websocket.send("b")
            assert peer.close_code() == 1000


def test_a_websocket_that_was_never_connected():
    with pytest.raises(WebSocketError, match="not connected"):
        WebSocket().receive()


def test_nothing_is_left_of_it():
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


def test_without_websockets_it_can_be_imported_and_its_use_says_what_to_install():
    result = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60, cwd="/")
    assert result.stdout == "greenio.websocket needs websockets: pip install 'greenio[websocket]'\n", result.stderr
    assert result.stderr == ""
