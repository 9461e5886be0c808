"""greenio.wsgi, limits: how much a client may send, how long it may take, and how much is stored for it meanwhile."""

import time
import tracemalloc
from contextlib import ExitStack, suppress

import pytest
from greenlet import getcurrent
from raw_http import GET, LAST, answers_in, ask, ask_one, connect, post, receive_all, receive_until, serving
from waiting import until, until_waiting
from wsgi_applications import endless, hello

from greenio import joinall, sleep, spawn
from greenio._wsgi.stream import Stream
from greenio.event import Event
from greenio.socket import socketpair
from greenio.wsgi import BodyError, Limits, WSGIHandler, WSGIServer


def reading(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [b"%d" % len(body)]


def with_line(line):
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n"


def chunked(size):
    """A request whose body has one chunk, three bytes long."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + size + b"\r\nabc\r\n0\r\n\r\n"


#: The documented defaults. greenio/_wsgi/limits.py gives the reasons.
DEFAULTS = {
    "header_timeout": 10, "idle_timeout": 75, "body_timeout": 30, "min_body_rate": 1024, "write_timeout": 60,
    "request_timeout": None, "max_request_line": 8 << 10, "max_header_bytes": 64 << 10, "max_headers": 100,
    "max_body": 1 << 30, "max_chunk_extensions": 4 << 10, "max_pipelined": 64 << 10, "drain_body": 64 << 10,
    "websocket_max_size": 1 << 20, "websocket_max_fragments": 1024, "websocket_ping_interval": 20,
    "websocket_ping_timeout": 20,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted({*Limits.names, *DEFAULTS}))
def test_each_limit_has_its_default(name):
    assert getattr(WSGIServer(("127.0.0.1", 0), hello).limits, name) == DEFAULTS[name]


def test_the_time_for_a_handshake_is_limited_by_default():
    assert WSGIServer(("127.0.0.1", 0), hello).handshake_timeout == 10


class TestSizes:
    def test_too_long_request_lines_are_refused(self):
        with serving(hello) as server:
            longest = b"/" + b"a" * (8192 - len(b"GET / HTTP/1.1"))
            assert ask_one(server, GET.replace(b"/ ", longest + b" ", 1)).code == 200
            assert ask_one(server, GET.replace(b"/ ", longest + b"a ", 1)).code == 414
            # Also a line that never ends.
            assert ask_one(server, b"GET /" + b"a" * 100_000).code == 414

    def test_too_large_fields_are_refused(self):
        with serving(hello) as server:
            assert ask_one(server, with_line(b"A: " + b"b" * 65_000)).code == 200
            assert ask_one(server, with_line(b"A: " + b"b" * 66_000)).code == 431
            assert ask_one(server, GET[:-2] + b"A: " + b"b" * 1_000_000).code == 431

    def test_too_many_fields_are_refused(self):
        with serving(hello) as server:
            assert ask_one(server, with_line(b"\r\n".join([b"a:b"] * 99))).code == 200
            assert ask_one(server, with_line(b"\r\n".join([b"a:b"] * 100))).code == 431

    def test_too_large_bodies_are_refused(self):
        with serving(reading, max_body=1000) as server:
            assert ask_one(server, post(b"x" * 1000)).body == b"1000"
            assert ask_one(server, post(b"x" * 1001)).code == 413
            chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            assert ask_one(server, chunked + (b"64\r\n" + b"x" * 100 + b"\r\n") * 20 + b"0\r\n\r\n").code == 413

    def test_a_body_that_is_too_large_is_refused_before_the_application(self):
        called = []
        with serving(lambda *args: called.append(1), max_body=10) as server:
            assert ask_one(server, post(b"x" * 11)).code == 413
        assert not called

    @pytest.mark.parametrize(
        "what", [b"0" * 5000 + b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\nA: " + b"b" * 5000 + b"\r\n\r\n"]
    )
    def test_too_much_beside_the_data_of_chunks_is_refused(self, what):
        with serving(reading) as server:
            assert (
                ask_one(server, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + what).code == 400
            )

    def test_small_chunks_do_not_count_as_extensions(self):
        chunks = b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"
        with serving(reading) as server:
            answer = ask_one(server, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        assert answer.body == b"20000"

    @pytest.mark.parametrize(
        ("limit", "value", "fits", "beyond", "code"),
        [
            ("max_request_line", 20, GET.replace(b"/", b"/aaaaaa", 1), GET.replace(b"/", b"/aaaaaaa", 1), 414),
            ("max_header_bytes", 100, with_line(b"A: " + b"b" * 80), with_line(b"A: " + b"b" * 90), 431),
            ("max_headers", 3, with_line(b"a:b\r\na:b"), with_line(b"a:b\r\na:b\r\na:b"), 431),
            ("max_chunk_extensions", 100, chunked(b"3;" + b"a" * 50), chunked(b"3;" + b"a" * 300), 400),
            ("max_body", 3, chunked(b"3"), post(b"abcd"), 413),
        ],
    )
    def test_each_limit_can_be_changed(self, limit, value, fits, beyond, code):
        with serving(reading, **{limit: value}) as server:
            assert ask(server, fits)[0].code == 200
            assert ask_one(server, beyond).code == code

    def test_later_requests_are_stored_up_to_a_limit(self):
        def application(environ, start_response):
            started.set()
            go_on.wait()
            return hello(environ, start_response)

        started, go_on = Event(), Event()
        with serving(application, max_pipelined=2048) as server, connect(server) as sock:
            sock.sendall(GET * 1000)
            started.wait()
            (handler,) = server._connections
            assert len(handler.stream.data) == 2048
            go_on.set()
            sock.shutdown(1)
            assert len(answers_in(receive_all(sock))) == 1000

    def test_limits_may_be_turned_off(self):
        everything = dict.fromkeys(Limits.names)
        with serving(reading, **everything) as server:
            assert ask_one(server, with_line(b"A: " + b"b" * 200_000)).code == 200
            assert ask_one(server, GET.replace(b"/ ", b"/" + b"a" * 50_000 + b" ", 1)).code == 200

    @pytest.mark.parametrize("endless", [float("inf"), 1e12, 10**400])
    def test_an_endless_time_means_none(self, endless):
        times = [name for name in Limits.names if isinstance(getattr(Limits(**{name: 5}), name), float)]
        assert "request_timeout" in times and "body_timeout" in times
        with serving(reading, **dict.fromkeys(times, endless)) as server:
            assert all(getattr(server.limits, name) is None for name in times)
            assert ask_one(server, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na").body == b"1"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"body_timeout": float("nan")},
            {"max_body": "1"},
            {"max_body": -1},
            {"max_headers": 1.5},
            {"idle_timeout": -1},
            {"idle_timeout": "a"},
            {"websocket_ping_interval": 0},
            {"websocket_ping_interval": 0.0},
        ],
    )
    def test_wrong_limits_are_refused_at_once(self, wrong):
        with pytest.raises((TypeError, ValueError)):
            WSGIServer(("127.0.0.1", 0), hello, **wrong)

    def test_a_limit_that_does_not_exist_is_refused(self):
        with pytest.raises(TypeError, match="max_bodies"):
            WSGIServer(("127.0.0.1", 0), hello, max_bodies=1)
        with pytest.raises(TypeError, match="max_bodies"):
            Limits(max_bodies=1)

    def test_limits_can_be_read(self):
        assert WSGIServer(("127.0.0.1", 0), hello, max_body=5).limits.max_body == 5


@pytest.fixture
def passed(greenio_clock):
    """A function: how many seconds have passed on the test's clock."""
    begin = greenio_clock.monotonic()
    return lambda: round(greenio_clock.monotonic() - begin, 3)


class TestTimes:
    """The clock jumps, so that the tests do not wait for the limits, and nothing is late."""

    def test_a_head_that_does_not_come_ends_the_connection(self, passed):
        with serving(hello, header_timeout=20) as server, connect(server) as sock:
            assert receive_all(sock) == b""
        assert passed() == 20

    def test_a_head_that_comes_too_slowly_is_answered_408(self, passed):
        with serving(hello, header_timeout=20) as server, connect(server) as sock:
            dribbling = spawn(dribble, sock, b"GET / HTTP/1.1\r\nX: " + b"a" * 10_000)
            (answer,) = answers_in(receive_all(sock))
            dribbling.kill()
        assert answer.code == 408 and passed() == 20

    def test_a_second_head_that_comes_too_slowly_is_answered_408(self, passed):
        with serving(hello, header_timeout=20) as server, connect(server) as sock:
            sock.sendall(GET)
            receive_until(sock, b"hello")
            dribbling = spawn(dribble, sock, b"GET / HTTP/1.1\r\nX: " + b"a" * 10_000)
            assert answers_in(receive_all(sock))[0].code == 408
            dribbling.kill()
        assert passed() == 20

    def test_idle_connections_are_closed(self, passed):
        with serving(hello, idle_timeout=25, header_timeout=30) as server, connect(server) as sock:
            sock.sendall(GET)
            receive_until(sock, b"hello")
            assert receive_all(sock) == b""
        assert passed() == 25

    def test_a_body_that_does_not_come_is_an_error_408(self, passed):
        caught = []

        def application(environ, start_response):
            try:
                environ["wsgi.input"].read()
            except BodyError as error:
                caught.append(error.status)
                raise

        with serving(application, body_timeout=20) as server, connect(server) as sock:
            sock.sendall(post(b"abc")[:-1])
            assert answers_in(receive_all(sock))[0].code == 408
        assert caught == ["408 Request Timeout"] and passed() == 20

    def test_a_body_that_comes_too_slowly_is_answered_408(self, passed):
        with serving(reading, body_timeout=20) as server, connect(server) as sock:
            sock.sendall(post(b"")[:-4].replace(b"Length: 0", b"Length: 100000") + b"\r\n\r\n")
            dribbling = spawn(dribble, sock, b"a" * 10_000)
            assert answers_in(receive_all(sock))[0].code == 408
            dribbling.kill()

    def test_a_body_has_a_minimal_rate(self, passed):
        """The rate counts after the first `body_timeout` seconds of waiting."""
        head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 25\r\n\r\n"
        for rate, code in ((None, 200), (0, 200), (2, 408)):
            with serving(reading, body_timeout=10, min_body_rate=rate) as server, connect(server) as sock:
                sock.sendall(head)
                dribbling = spawn(dribble, sock, b"a" * 25)
                assert answers_in(receive_all(sock))[0].code == code
                dribbling.kill()
        assert 24 + 24 + 10 <= passed() < 24 + 24 + 12

    def test_a_client_that_stops_reading_is_given_up(self, passed):
        ended = Event()
        with serving(endless(ended), write_timeout=20) as server, connect(server) as sock:
            sock.sendall(GET)
            ended.wait()
        assert passed() == 20

    def test_the_time_of_a_write_begins_anew_with_each_progress(self):
        first, second = socketpair()
        with first, second:
            stream = Stream(first, 30, 65536)
            given, timeouts = [], []

            def send_some(data):
                timeouts.append(stream.endpoint.timeout)
                given.append(bytes(data[:100_000]))
                return len(given[-1])

            stream.send = send_some
            stream.write(b"x" * 950_000)
        assert len(given) == 10 and b"".join(given) == b"x" * 950_000 and set(timeouts) == {30}


def dribble(sock, data):
    try:
        for at in range(len(data)):
            sock.sendall(data[at : at + 1])
            sleep(1)
    except OSError:
        pass


class TestWhatIsBounded:
    """Numbers 109 to 111 of the corpus."""

    def test_a_thousand_slow_clients_do_not_keep_others_out(self):
        class Counted(WSGIHandler):
            def handle(self):
                begun.append(1)
                super().handle()

        def dribble_all():
            while True:
                for sock in socks:
                    with suppress(OSError):
                        sock.sendall(b"a")
                    sleep(0)

        begun, socks = [], []
        with serving(hello, header_timeout=1000, handler_class=Counted) as server, ExitStack() as stack:
            for _ in range(1000):
                socks.append(stack.enter_context(connect(server)))
                socks[-1].sendall(b"GET / HTTP/1.1\r\nX: ")
            dribbling = spawn(dribble_all)
            until(lambda: len(begun) == 1000)
            # Several attempts, as the machine may be busy.
            assert any(self.seconds_of_an_answer(server) < 0.1 for _ in range(50))
            assert len(server._connections) == 1000
            # All clients have had longer than that. The bytes that they send do not prolong it.
            server.limits.header_timeout = 0.01
            ends = [spawn(receive_all, sock) for sock in socks]
            joinall(ends, raise_error=True)
            dribbling.kill()
            assert all(answers_in(each.value)[0].code == 408 for each in ends)

    def seconds_of_an_answer(self, server):
        began = time.monotonic()
        assert ask_one(server, LAST).body == b"hello"
        return time.monotonic() - began

    def test_an_application_is_not_far_ahead_of_a_reader_that_has_stopped(self):
        given = []

        def application(environ, start_response):
            start_response("200 OK", [])
            for _ in range(4800):
                given.append(getcurrent())
                yield bytes(65_536)

        with serving(application) as server, connect(server) as sock:
            sock.setsockopt(1, 8, 65_536)
            tracemalloc.start()
            try:
                sock.sendall(GET)
                until(lambda: given)
                until_waiting(given[0])
                assert tracemalloc.get_traced_memory()[1] < 2 << 20
            finally:
                tracemalloc.stop()
            # No more than the system's buffers hold.
            assert len(given) * 65_536 < 12 << 20

    def test_pipelined_requests_of_a_client_that_does_not_read_are_given_up(self):
        served = []

        def application(environ, start_response):
            served.append(1)
            start_response("200 OK", [])
            return [b"x" * 10_000]

        with serving(application, write_timeout=0.3) as server, connect(server) as sock:
            sending = spawn(sock.sendall, GET * 10_000)
            sending.reports_errors = False
            until(lambda: served)
            until(lambda: not server._connections)
            sending.kill()
        assert len(served) < 2000

    def test_thousands_of_pipelined_requests_are_answered(self):
        with serving(hello) as server, connect(server) as sock:
            sending = spawn(sock.sendall, GET * 2000 + LAST)
            assert receive_all(sock).count(b"hello") == 2001
            sending.get()


def test_no_more_of_an_unread_body_is_read_than_the_limit():
    with serving(hello, drain_body=100) as server:
        assert len(ask(server, post(b"x" * 100) + LAST)) == 2
        assert len(ask(server, post(b"x" * 101) + LAST)) == 1
