"""greenio.wsgi, the bounds of answers: no data of one answer is taken for a part of another."""

import bz2
import gzip
import io
import lzma
import sys
import tempfile
from array import array

import pytest
from raw_http import GET, LAST, Answer, answers_in, ask, ask_one, connect, receive_all, receive_until, serving
from waiting import until
from wsgi_applications import endless

from greenio import Timeout, sleep, spawn
from greenio.event import Event


def write_until_timeout(write, large):
    """Write more data than a client takes that does not read, until a timeout."""
    with pytest.raises(Timeout), Timeout(0.05):
        write(large)


class TestWritesThatAreInterrupted:
    """The client has a part of the data, and gets nothing that it would take for the rest."""

    large = b"A" * 20_000_000

    @pytest.mark.parametrize("fields", [[], [("Content-Length", "20000000")]])
    @pytest.mark.parametrize("then", ["nothing", "a list", "write"])
    def test_an_interrupted_write_ends_the_connection(self, fields, then):
        def application(environ, start_response):
            seen.append(environ["PATH_INFO"])
            write = start_response("200 OK", fields)
            write_until_timeout(write, self.large)
            over.set()
            if then == "write":
                write(b"B")
            return [b"B"] if then == "a list" else []

        seen, over = [], Event()
        log = io.StringIO()
        with serving(application, error_log=log) as server, connect(server) as sock:
            sock.sendall(GET + GET)
            over.wait()
            head, _, data = receive_all(sock).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK") and len(data) < len(self.large)
        assert not data.partition(b"\r\n")[2 if not fields else 0].strip(b"A")
        assert seen == ["/"] and "Traceback" not in log.getvalue()

    def test_no_page_follows_a_part_of_early_hints(self):
        def application(environ, start_response):
            while True:
                environ["wsgi.early_hints"]([("Link", "x" * 500_000)])

        log = io.StringIO()
        with serving(application, request_timeout=0.1, error_log=log) as server, connect(server) as sock:
            sock.sendall(GET)
            until(lambda: not server._connections)
            data = receive_all(sock)
        assert data.startswith(b"HTTP/1.1 103 ") and data.endswith(b"x") and b" 503 " not in data
        assert not log.getvalue()

    def test_a_killed_write_ends_the_connection(self):
        def application(environ, start_response):
            write = start_response("200 OK", [])
            writer = spawn(write, self.large)
            sleep(0.05)
            writer.kill()
            killed.append(writer.dead)
            return [b"B"]

        killed = []
        with serving(application) as server, connect(server) as sock:
            sock.sendall(GET + GET)
            until(lambda: killed)
            data = receive_all(sock)
        assert data.endswith(b"A") and data.count(b"HTTP/1.1") == 1


class TestWritesThatComeTooLate:
    """write() and its like are for their own request only."""

    def test_write_is_refused_in_the_next_answer(self):
        def application(environ, start_response):
            write = start_response("200 OK", [])
            writes.append(write)
            yield b"a"
            if len(writes) == 2:
                with pytest.raises(RuntimeError, match="the answer has ended"):
                    writes[0](b"SECRET")
            write(b"b")

        writes = []
        with serving(application) as server:
            first, second = ask(server, GET + LAST)
        assert first.body == second.body == b"ab"
        for write in writes:
            with pytest.raises(RuntimeError, match="the answer has ended"):
                write(b"SECRET")

    @pytest.mark.parametrize("what", ["start_response", "wsgi.early_hints"])
    def test_start_response_and_early_hints_are_refused_in_the_next_answer(self, what):
        def application(environ, start_response):
            calls.append(start_response if what == "start_response" else environ[what])
            if len(calls) == 2:
                with pytest.raises(RuntimeError, match="the answer has ended"):
                    calls[0](*(["200 OK"] if what == "start_response" else []), [("Set-Cookie", "secret")])
            start_response("200 OK", [])
            return [b"a"]

        calls = []
        with serving(application) as server:
            answers = ask(server, GET + LAST)
        assert [answer.body for answer in answers] == [b"a"] * 2
        assert not any("set-cookie" in answer.fields for answer in answers)

    def test_write_is_refused_when_the_iterable_is_closed(self):
        class Result(list):
            def close(self):
                write(b"SECRET")

        def application(environ, start_response):
            nonlocal write
            write = start_response("200 OK", [])
            return Result([b"a", b"b"])

        write = None
        log = io.StringIO()
        with serving(application, error_log=log) as server:
            assert ask_one(server, GET).body == b"ab"
        assert "RuntimeError: the answer has ended" in log.getvalue()


class TestAnswersThatEndWithTheConnection:
    """Answers to HTTP/1.0 without a length: an incomplete one must not look complete."""

    OLD = b"GET / HTTP/1.0\r\n\r\n"

    def test_a_complete_answer_ends_with_the_connection(self):
        with serving(counting(lambda: None)) as server, connect(server) as sock:
            sock.sendall(self.OLD)
            assert receive_all(sock).endswith(b"abcdef")

    @pytest.mark.parametrize("how", ["crash", "timeout", "kill", "exit", "late body"])
    @pytest.mark.parametrize("tls", [False, True])
    def test_an_interrupted_answer_ends_with_a_reset(self, how, tls, server_context, client_context):
        def go_wrong():
            received.wait()
            if how == "crash":
                raise LookupError("told")
            if how == "exit":
                sys.exit()
            sleep(1000)

        received = Event()
        arguments = {"request_timeout": 0.05} if how == "timeout" else {}
        if how == "late body":
            arguments = {"body_timeout": 0.05}
        with serving(counting(go_wrong), ssl_context=server_context if tls else None, **arguments) as server:
            with connect(server) as plain:
                sock = plain
                if tls:
                    sock = client_context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
                with sock:
                    if how == "late body":
                        received.set()
                        sock.sendall(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n")
                    else:
                        sock.sendall(self.OLD)
                    receive_until(sock, b"abc")
                    received.set()
                    if how == "kill":
                        server.stop(0)
                    with pytest.raises(OSError):
                        receive_all(sock)

    def test_an_answer_to_a_reader_that_stops_ends_with_a_reset(self):
        """When it reads on, the answer does not end as if it were whole."""
        ended = Event()
        with serving(endless(ended), write_timeout=0.05) as server, connect(server) as sock:
            sock.sendall(self.OLD)
            ended.wait()
            until(lambda: not server._connections)
            with pytest.raises(ConnectionResetError):
                receive_all(sock)

    def test_an_error_after_the_last_block_does_no_harm(self):
        class Result(list):
            def close(self):
                raise LookupError("told")

        def application(environ, start_response):
            start_response("200 OK", [])
            return Result([b"abc"])

        with serving(application) as server, connect(server) as sock:
            sock.sendall(self.OLD)
            assert receive_all(sock).endswith(b"\r\n\r\nabc")


def counting(between):
    """An application that yields two blocks, and calls `between` between them. There it reads the body of a POST."""

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"abc"
        if environ["REQUEST_METHOD"] == "POST":
            environ["wsgi.input"].read()
        between()
        yield b"def"

    return application


class TestClientsThatExpect100Continue:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"

    def test_no_100_continue_is_sent_in_the_middle_of_an_answer(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            yield b"got: "
            yield environ["wsgi.input"].read()

        with serving(application) as server, connect(server) as sock:
            sock.sendall(self.head)
            data = receive_until(sock, b"got: \r\n")
            sock.sendall(b"abc" + GET)
            (answer,) = answers_in(data + receive_all(sock))
        assert answer.code == 200 and answer.chunks == [b"got: ", b"abc"] and answer.fields["connection"] == b"close"

    def test_an_unread_body_is_not_waited_for(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            yield b"a"

        with serving(application, body_timeout=1000) as server, connect(server) as sock:
            sock.sendall(self.head)
            (answer,) = answers_in(receive_all(sock))
        assert answer.body == b"a" and answer.fields["connection"] == b"close"


class TestOtherProtocols:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

    @pytest.mark.parametrize("blocks", [[], [b"hello"], [b"hel", b"lo"], iter([b"hello"]), "file"])
    def test_no_http_follows_a_change_of_protocol(self, blocks, tmp_path):
        def application(environ, start_response):
            seen.append(environ["PATH_INFO"])
            fields = [("Connection", "Upgrade"), ("Upgrade", "echo"), ("Content-Length", "1")]
            start_response("101 Switching Protocols", fields)
            if blocks == "file":
                return environ["wsgi.file_wrapper"](path.open("rb"))
            return blocks

        path = tmp_path / "file"
        path.write_bytes(b"hello")
        seen = []
        with serving(application) as server, connect(server) as sock:
            sock.sendall(self.request + GET)
            head, _, rest = receive_all(sock).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ") and rest == (b"" if blocks == [] else b"hello") and seen == ["/"]
        assert b"content-length" not in head.lower() and b"close" not in head

    def test_early_hints_have_no_length(self):
        def application(environ, start_response):
            environ["wsgi.early_hints"]([("Link", "a"), ("Content-Length", "5")])
            start_response("200 OK", [])
            return [b"a"]

        with serving(application) as server:
            hints, _ = ask(server, GET)
        assert hints.code == 103 and hints.fields == {"link": b"a"}


class TestAnswersThatHaveNoBody:
    @pytest.mark.parametrize(
        ("request_", "code"),
        [
            (b"HEAD /other HTTP/1.1\r\nHost: a\r\n\r\n", 404),
            (b"HEAD /app HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417),
            (b"HEAD /app HTTP/1.1\r\n\r\n", 400),
            (b"HEAD /app HTTP/1.1\r\nHost: a\r\n\r\n", 500),
        ],
    )
    def test_a_refused_head_has_no_body(self, request_, code):
        def application(environ, start_response):
            environ["REQUEST_METHOD"] = "GET"  # as some applications do, to answer HEAD as GET
            raise LookupError

        with serving(application, script_name="/app") as server, connect(server) as sock:
            sock.sendall(request_)
            data = receive_all(sock)
        assert Answer(data, to_head=True).code == code and data.endswith(b"\r\n\r\n")

    @pytest.mark.parametrize("fields", [[], [("Content-Length", "4")]])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_an_answer_with_205_has_no_body(self, fields, streamed):
        def application(environ, start_response):
            start_response("205 Reset Content", fields)
            return iter([b"bo", b"dy"]) if streamed else [b"body"]

        with serving(application) as server:
            for answer in ask(server, GET + LAST):
                assert answer.code == 205 and answer.fields["content-length"] == b"0" and answer.body == b""
                assert "transfer-encoding" not in answer.fields


def test_a_status_without_a_text_has_its_space():
    def application(environ, start_response):
        start_response("200", [])
        return [b"a"]

    with serving(application) as server:
        assert ask_one(server, LAST).status == b"200 "


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fields", [[], [("Content-Length", "12")]])
@pytest.mark.parametrize(
    "block", [memoryview(array("I", [1, 2, 3])), memoryview(bytes(24))[::2], memoryview(bytes(12)).cast("B", (3, 4))]
)
def test_blocks_are_as_long_as_their_bytes(block, fields, streamed):
    def application(environ, start_response):
        start_response("200 OK", fields)
        return iter([block]) if streamed else [block]

    with serving(application) as server:
        answers = ask(server, GET + LAST)
    assert [answer.body for answer in answers] == [block.tobytes()] * 2


class TestFilesThatDifferFromTheirDescriptors:
    @pytest.mark.parametrize("module", [gzip, bz2, lzma])
    @pytest.mark.parametrize("buffered", [False, True])
    def test_archives_are_read_and_not_sent_as_they_are(self, module, buffered, tmp_path):
        def application(environ, start_response):
            start_response("200 OK", [])
            file = module.open(path)
            return environ["wsgi.file_wrapper"](io.BufferedReader(file) if buffered else file)

        path = tmp_path / "file"
        path.write_bytes(module.compress(b"hello" * 10_000))
        with serving(application) as server:
            assert ask_one(server, LAST).body == b"hello" * 10_000

    def test_files_of_the_system_are_read(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](open("/proc/version", "rb"))

        with serving(application) as server:
            assert ask_one(server, LAST).body.startswith(b"Linux")

    def test_a_file_of_text_is_an_error(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](open(__file__, encoding="utf-8"))

        with serving(application) as server:
            assert ask_one(server, LAST).code == 500

    def test_data_in_a_files_buffer_are_sent(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            file = tempfile.TemporaryFile()  # noqa: SIM115
            file.write(b"a" * 100_000)
            file.seek(0)
            file.write(b"b")
            file.seek(0)
            return environ["wsgi.file_wrapper"](file)

        with serving(application) as server:
            assert ask_one(server, LAST).body == b"b" + b"a" * 99_999


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_traceback_that_a_log_cannot_encode_is_not_lost(encoding, tmp_path):
    def application(environ, start_response):
        raise LookupError("bad \ud800 thing")

    path = tmp_path / "log"
    with path.open("w", encoding=encoding) as log, serving(application, error_log=log) as server:
        assert ask_one(server, LAST).code == 500
    text = path.read_text(encoding)
    assert "Traceback" in text and "LookupError: bad \\ud800 thing" in text
