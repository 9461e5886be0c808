"""greenio.wsgi, wsgi.input: the body of a request as a file. Its data, its errors, and its cost."""

import io
import random
from time import thread_time

import pytest
from raw_http import GET, ask, ask_one, connect, post, receive_all, serving
from wsgi_applications import hello

from greenio import Timeout
from greenio._wsgi.stream import Stream
from greenio.socket import socketpair
from greenio.wsgi import BodyError, Input, Limits


class TestReading:
    @pytest.mark.parametrize("seed", range(10))
    def test_the_body_is_read_as_a_file(self, seed):
        choose = random.Random(seed)
        pieces = [choose.choice([b"a", b"bc", b"\n", b"de\nf", b"\n\n", b"g" * 70_000]) for _ in range(40)]
        calls = [
            (choose.choice(["read", "readline"]), choose.choice([0, 1, 2, 5, 70_001, -1, None])) for _ in range(30)
        ]
        expected = io.BytesIO(b"".join(pieces))
        differ = []

        def application(environ, start_response):
            for name, size in [*calls, ("read", -1)]:
                read, wanted = getattr(environ["wsgi.input"], name)(size), getattr(expected, name)(size)
                if read != wanted:
                    differ.append((name, size, read, wanted))
            return hello(environ, start_response)

        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        with serving(application) as server:
            assert ask_one(server, head + chunks + b"0\r\n\r\n").code == 200
        assert not differ

    @pytest.mark.parametrize("size", [None, 10, 2**100])
    @pytest.mark.parametrize("name", ["read", "readline"])
    def test_the_data_of_an_interrupted_read_are_for_the_next(self, name, size):
        first, second = socketpair()
        with first, second:
            body = Input(Stream(first, None, 65536), Limits(), 10)
            second.sendall(b"abc")
            with Timeout(0.01, False):
                getattr(body, name)(size)
            second.sendall(b"defghij")
            assert getattr(body, name)(size) == b"abcdefghij" and body.read() == b""

    @pytest.mark.parametrize(
        "read_all",
        [
            lambda body: list(body),
            lambda body: list(iter(lambda: body.read(1), b"")),
            lambda body: list(iter(lambda: body.read1(1), b"")),
            lambda body: list(iter(lambda: body.readline(1), b"")),
            lambda body: list(iter(lambda: body.readinto(bytearray(1)), 0)),
        ],
    )
    @pytest.mark.parametrize("byte", [b"\n", b"a"])
    def test_small_reads_cost_no_more_when_much_was_received(self, read_all, byte):
        """How long the thread works, by the processor's clock, compared with a file in memory."""
        first, second = socketpair()
        size = 1 << 18
        with first, second:
            stream = Stream(first, None, 65536)
            stream.data = byte * size
            began = thread_time()
            parts = read_all(Input(stream, Limits(), size))
            took = thread_time() - began
        began = thread_time()
        assert len(parts) == len(read_all(io.BytesIO(byte * size)))
        assert took < 30 * (thread_time() - began) + 0.01


class TestBodiesThatFail:
    def test_errors_say_what_is_wrong_with_the_body(self):
        def application(environ, start_response):
            body = environ["wsgi.input"]
            with pytest.raises(BodyError, match="middle of the body") as first:
                body.read()
            with pytest.raises(OSError, match="middle of the body"):
                body.read(1)
            caught.append(first.value)
            start_response("200 OK", [])
            return [b"whole"]

        caught = []
        with serving(application) as server:
            answer = ask_one(server, post(b"abc").replace(b"Length: 3", b"Length: 30"))
        assert answer.code == 400 and len(caught) == 1

    def test_data_before_the_error_can_be_read(self):
        def application(environ, start_response):
            got.append(environ["wsgi.input"].read(3))
            environ["wsgi.input"].read(1)

        got = []
        with serving(application) as server:
            ask_one(server, post(b"abc").replace(b"Length: 3", b"Length: 30"))
        assert got == [b"abc"]

    def test_an_answer_is_cut_when_the_body_fails(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            yield b"abc"
            environ["wsgi.input"].read()
            yield b"def"

        with serving(application) as server, connect(server) as sock:
            sock.sendall(post(b"abc").replace(b"Length: 3", b"Length: 30"))
            sock.shutdown(1)
            assert receive_all(sock).endswith(b"abc\r\n")

    def test_the_body_cannot_be_read_after_the_request(self):
        def application(environ, start_response):
            kept.append(environ["wsgi.input"])
            start_response("200 OK", [])
            return [b"a"]

        kept = []
        with serving(application, drain_body=1) as server:
            ask(server, post(b"abc"))
            ask(server, GET)
        with pytest.raises(BodyError, match="over"):
            kept[0].read()
        assert kept[1].read() == b""
