"""greenio.websocket, the end: close(), peers that leave or do not answer pings."""

import pytest
from raw_websocket import PING, PONG, TEXT, closing, frame
from server_websocket import peer_and_websocket, send_until_full
from waiting import until, waiting_in

from greenio import Timeout, joinall, spawn
from greenio.websocket import WebSocketError

pytest.importorskip("websockets")


class TestEnds:
    def test_closing_waits_for_the_peer(self):
        with peer_and_websocket() as (peer, websocket):
            job = waiting_in(websocket.close, 3001, "enough")
            assert websocket.closed
            assert peer.frame() == (0x88, b"\x0b\xb9enough")
            assert not job.ready()
            peer.send(frame(TEXT, b"too late"), closing(3001))
            job.get()
            assert websocket.close_code == 3001 and websocket.receive() is None
            websocket.close()  # has no effect

    def test_close_times_out_if_the_peer_does_not_answer(self):
        with peer_and_websocket() as (peer, websocket):
            websocket.close(timeout=0.01)
            assert websocket.close_code == 1006 and peer.close_code() == 1000 and peer.ends()

    def test_close_ends_the_receive_of_another_greenlet(self):
        with peer_and_websocket() as (peer, websocket):
            receiving = waiting_in(websocket.receive)
            job = waiting_in(websocket.close)
            assert peer.close_code() == 1000
            peer.send(closing(1000))
            joinall([receiving, job], raise_error=True)
            assert receiving.value is None

    def test_close_ends_a_receive_though_the_peer_is_silent(self):
        with peer_and_websocket() as (_, websocket):
            receiving = waiting_in(websocket.receive)
            websocket.close(timeout=0.01)
            assert receiving.get(timeout=30) is None

    def test_close_waits_for_messages_of_other_greenlets(self):
        with peer_and_websocket() as (peer, websocket):
            sending = send_until_full(websocket)
            late = waiting_in(websocket.send, b"late")
            job = waiting_in(websocket.close)
            while (got := peer.frame())[0] != 0x88:
                assert got[1] in (b"x" * (1 << 16), b"late")
            peer.send(closing(1000))
            joinall([sending, late, job], raise_error=True)

    def test_close_ends_a_send_that_the_peer_does_not_read(self):
        with peer_and_websocket() as (_, websocket):
            sending = send_until_full(websocket)
            websocket.close(timeout=0.01)
            assert websocket.closed and websocket.close_code == 1006
            with pytest.raises(WebSocketError, match="not answered"):
                sending.get(timeout=30)

    @pytest.mark.parametrize("kind", [None, TimeoutError])
    def test_close_ends_with_a_timeout_of_the_program(self, kind):
        with peer_and_websocket() as (peer, websocket):
            with pytest.raises(kind or Timeout), Timeout(0.01, kind):
                websocket.close()
            assert peer.close_code() == 1000
        with peer_and_websocket() as (peer, websocket):
            websocket._writing.acquire()
            with pytest.raises(kind or Timeout), Timeout(0.01, kind):
                websocket.close()
            websocket._writing.release()
            assert not websocket.closed

    def test_a_killed_close_can_be_completed_by_a_receive(self):
        with peer_and_websocket() as (peer, websocket):
            waiting_in(websocket.close).kill()
            assert peer.close_code() == 1000
            peer.send(closing(1000))
            assert websocket.receive() is None and websocket.close_code == 1000

    def test_codes_and_reasons_that_cannot_be_sent_are_refused(self):
        with peer_and_websocket() as (_, websocket):
            for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000):
                with pytest.raises(ValueError, match="code"):
                    websocket.close(code)
            with pytest.raises(ValueError, match="123"):
                websocket.close(1000, "\u20ac" * 42)
            assert not websocket.closed

    def test_a_reason_may_be_bytes(self):
        with peer_and_websocket() as (peer, websocket):
            websocket.close(1000, b"why", timeout=0.01)
            assert peer.frame() == (0x88, b"\x03\xe8why")

    def test_the_end_of_the_connection_is_an_abnormal_close(self):
        with peer_and_websocket() as (peer, websocket):
            peer.send(frame(TEXT, b"a"), frame(TEXT, b"never whole")[:-3])
            peer.sock.shutdown(1)
            assert list(websocket) == ["a"] and websocket.close_code == 1006
            with pytest.raises(WebSocketError, match="has ended the connection"):
                websocket.send("a")

    def test_a_reset_ends_receives_and_sends(self):
        from socket import SO_LINGER, SOL_SOCKET
        from struct import pack

        with peer_and_websocket() as (peer, websocket):
            receiving = waiting_in(websocket.receive)
            blocked = send_until_full(websocket)
            peer.sock.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
            peer.sock.close()
            assert receiving.get(timeout=30) is None and websocket.close_code == 1006
            with pytest.raises(WebSocketError):
                blocked.get(timeout=30)

    def test_a_with_statement_closes_it(self):
        with peer_and_websocket() as (peer, websocket):
            job = spawn(websocket.__exit__, None, None, None)
            assert peer.close_code() == 1000
            peer.send(closing(1000))
            job.get()
        with peer_and_websocket() as (peer, websocket):
            job = spawn(websocket.__exit__, ValueError, ValueError(), None)
            assert peer.close_code() == 1011
            peer.send(closing(1011))
            job.get()

    def test_repr_tells_its_state(self):
        with peer_and_websocket() as (peer, websocket):
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
    def test_codes_and_reasons_of_wrong_types_are_refused(self, arguments):
        with peer_and_websocket() as (peer, websocket):
            with pytest.raises(TypeError):
                websocket.close(*arguments)
            assert not websocket.closed
            websocket.send("a")
            assert peer.message() == "a"

    def test_close_after_another_thread_has_received_the_peers_close(self):
        with peer_and_websocket() as (peer, websocket):
            # The other thread has come so far.
            websocket._protocol.receive_data(closing(1000))
            websocket.close(3000, timeout=0.01)
            assert peer.close_code() == 1000 and websocket.closed


class TestPings:
    def test_a_silent_peer_gets_pings_and_stays_if_it_answers(self):
        with peer_and_websocket(websocket_ping_interval=0.02, websocket_ping_timeout=30) as (peer, websocket):
            receiving = waiting_in(websocket.receive)
            for _ in range(3):
                assert peer.frame() == (0x89, b"")
                peer.send(frame(PONG))
            peer.send(frame(TEXT, b"a"))
            assert receiving.get(timeout=30) == "a"

    @pytest.mark.parametrize("receives", [True, False])
    def test_a_peer_that_does_not_answer_a_ping_is_given_up(self, receives):
        with peer_and_websocket(websocket_ping_interval=0.02, websocket_ping_timeout=0.02) as (peer, websocket):
            if receives:
                assert websocket.receive() is None
            until(lambda: websocket.closed)
            assert websocket.close_code == 1006
            with pytest.raises(WebSocketError, match="not answered a ping"):
                websocket.send("a")
            assert peer.frame() == (0x89, b"") and peer.ends()

    def test_a_peer_that_answers_while_nobody_receives_stays(self):
        with peer_and_websocket(websocket_ping_interval=0.02, websocket_ping_timeout=30) as (peer, websocket):
            for _ in range(8):
                assert peer.frame() == (0x89, b"")
                peer.send(frame(PONG), frame(PING, b"p"))
                assert peer.frame() == (0x8A, b"p")
            assert not websocket.closed

    def test_messages_that_nobody_receives_count_as_an_answer(self):
        with peer_and_websocket(websocket_ping_interval=None) as (peer, websocket):
            peer.send(frame(TEXT, b"a"))
            until(lambda: websocket._read_pending() or websocket._messages)
            websocket._settings.ping_interval = websocket._settings.ping_timeout = 0.01
            websocket._check_later(0)
            before = websocket._last_heard
            until(lambda: websocket._last_heard > before + 0.1)
            assert not websocket.closed and websocket.receive() == "a"

    def test_pings_can_be_turned_off(self):
        with peer_and_websocket(websocket_ping_interval=None) as (peer, websocket):
            peer.send(frame(TEXT, b"a"))
            assert websocket.receive() == "a" and websocket._timer is None

    def test_the_default_interval_of_pings_is_20_seconds(self):
        from greenio.wsgi import Limits

        limits = Limits()
        assert (limits.websocket_ping_interval, limits.websocket_ping_timeout) == (20, 20)
        assert (limits.websocket_max_size, limits.websocket_max_fragments) == (1 << 20, 1024)


class TestOnlySending:
    def test_a_sender_notices_pings_and_the_end(self):
        with peer_and_websocket() as (peer, websocket):
            peer.send(frame(PING, b"p"))
            # As if two seconds had passed.
            websocket._last_heard -= 2
            websocket.send("a")
            assert [peer.frame(), peer.frame()] == [(0x8A, b"p"), (0x81, b"a")]
            peer.send(closing(1000))
            websocket._last_heard -= 2
            with pytest.raises(WebSocketError, match="closed with 1000"):
                websocket.send("b")
            assert peer.close_code() == 1000
