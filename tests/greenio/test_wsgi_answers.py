"""greenio.wsgi, answers that go wrong: applications that crash or break the rules, clients that leave."""

import io
import itertools
import socket as standard
import struct
import sys

import pytest
from raw_http import GET, LAST, answers_in, ask, ask_one, connect, post, receive_all, receive_until, serving
from waiting import let_others_run, until

from greenio import GreenletExit, Timeout, sleep
from greenio.event import Event
from greenio.wsgi import ClientGone, RequestTimeout, WSGIServer

EVIL = "a\r\nSet-Cookie: b"


class Closing:
    """An iterable that counts how often it is closed."""

    def __init__(self, blocks):
        self.blocks, self.closed = iter(blocks), 0

    def __iter__(self):
        return self.blocks

    def close(self):
        self.closed += 1


def reset(sock):
    """Close a connection with a reset."""
    sock.setsockopt(standard.SOL_SOCKET, standard.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class TestWhatIsRefused:
    """Numbers 105 to 108 of the corpus."""

    @pytest.mark.parametrize(
        ("status", "headers"),
        [
            (EVIL, []), ("200 a\0b", []), ("200 a\nb", []), ("OK", []), ("20 OK", []), ("2000", []), ("200OK", []),
            (200, []), ("100 Continue", []), ("101 Switching Protocols", []), ("200 \u20ac", []),
            ("200 OK", [("A", EVIL)]), ("200 OK", [("A", "a\nb")]), ("200 OK", [("A", "a\0b")]),
            ("200 OK", [("A", "a\rb")]), ("200 OK", [("A\r\nB", "c")]), ("200 OK", [("A ", "c")]),
            ("200 OK", [("", "c")]), ("200 OK", [("A:", "c")]), ("200 OK", [("A\xe9", "c")]),
            ("200 OK", [("A", "\u20ac")]), ("200 OK", [("A", 5)]), ("200 OK", [(b"A", "c")]),
            ("200 OK", [("A", b"c")]), ("200 OK", [("A",)]), ("200 OK", None),
            ("200 OK", [("Connection", "close")]), ("200 OK", [("Transfer-Encoding", "chunked")]),
            ("200 OK", [("Keep-Alive", "5")]), ("200 OK", [("Upgrade", "h2c")]), ("200 OK", [("TE", "a")]),
            ("200 OK", [("Content-Length", "-1")]), ("200 OK", [("Content-Length", "a")]),
            ("200 OK", [("Content-Length", "1"), ("content-length", "2")]),
            ("200 OK", [("Content-Length", "6"), ("content-length", "6")]),
        ],
    )  # fmt: skip
    def test_malformed_heads_of_applications_are_never_sent(self, status, headers):
        def application(environ, start_response):
            start_response(status, headers)
            return [b"secret"]

        log = io.StringIO()
        with serving(application, error_log=log) as server:
            answer = ask_one(server, GET)
        assert answer.status == b"500 Internal Server Error" and answer.fields["connection"] == b"close"
        assert b"secret" not in answer.body and log.getvalue().count("Traceback") == 1
        assert not {"a", "set-cookie", "upgrade"} & answer.fields.keys()

    @pytest.mark.parametrize("streamed", [False, True])
    def test_an_answer_longer_than_its_length_is_cut(self, streamed):
        def application(environ, start_response):
            start_response("200 OK", [("Content-Length", "3")])
            return iter([b"ab", b"cd", b"ef"]) if streamed else [b"abcdef"]

        log = io.StringIO()
        with serving(application, error_log=log) as server:
            answer = ask_one(server, GET + GET)
        assert answer.body == b"abc" and "longer than its Content-Length" in log.getvalue()

    @pytest.mark.parametrize("streamed", [False, True])
    def test_an_answer_shorter_than_its_length_ends_the_connection(self, streamed):
        def application(environ, start_response):
            start_response("200 OK", [("Content-Length", "9")])
            return iter([b"ab", b"c"]) if streamed else [b"abc"]

        log = io.StringIO()
        with serving(application, error_log=log) as server, connect(server) as sock:
            sock.sendall(GET + GET)
            data = receive_all(sock)
        assert data.endswith(b"\r\n\r\nabc") and data.count(b"200 OK") == 1 and "6 bytes are missing" in log.getvalue()

    @pytest.mark.parametrize("block", ["abc", None, 5, [b"a"]])
    def test_blocks_that_are_no_bytes_are_errors(self, block):
        def application(environ, start_response):
            start_response("200 OK", [])
            return [block] if environ["PATH_INFO"] == "/" else iter([block])

        with serving(application) as server:
            assert ask_one(server, GET).code == ask_one(server, GET.replace(b"/ ", b"/x ")).code == 500

    def test_an_application_that_never_starts_an_answer_is_an_error(self):
        with serving(lambda environ, start_response: [b"a"]) as server:
            assert ask_one(server, GET).code == 500
        with serving(lambda environ, start_response: None) as server:
            assert ask_one(server, GET).code == 500

    def test_starting_an_answer_twice_is_an_error(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            start_response("200 OK", [])
            return [b"a"]

        with serving(application) as server:
            assert ask_one(server, GET).code == 500


class TestCrashes:
    def test_a_crash_has_one_traceback_and_one_answer(self):
        def application(environ, start_response):
            start_response("200 OK", [("X-A", "b")])
            raise LookupError("<secret>")

        log = io.StringIO()
        with serving(application, error_log=log) as server:
            answer = ask_one(server, GET + GET)
        assert answer.code == 500 and b"secret" not in answer.body and "x-a" not in answer.fields
        text = log.getvalue()
        assert text.count("Traceback") == 1 and "LookupError: <secret>" in text and "GET / HTTP/1.1" in text

    def test_an_error_page_shows_the_traceback_with_debug(self):
        def application(environ, start_response):
            raise LookupError("<secret>")

        with serving(application, debug=True) as server:
            assert b"LookupError: &lt;secret&gt;" in ask_one(server, GET).body

    def test_an_answer_cut_by_a_crash_has_no_last_chunk(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            yield b"abc"
            raise LookupError

        with serving(application) as server, connect(server) as sock:
            sock.sendall(GET)
            assert receive_all(sock).endswith(b"3\r\nabc\r\n")

    def test_start_response_raises_the_error_when_the_answer_has_begun(self):
        def application(environ, start_response):
            start_response("200 OK", [])(b"abc")
            try:
                raise LookupError("told")
            except LookupError as error:
                start_response("500 Sorry", [], (type(error), error, error.__traceback__))
            return []

        log = io.StringIO()
        with serving(application, error_log=log) as server, connect(server) as sock:
            sock.sendall(GET)
            assert b"500" not in receive_all(sock)
        assert "LookupError: told" in log.getvalue()

    @pytest.mark.parametrize("error", [Timeout, GreenletExit])
    def test_a_timeout_or_an_exit_ends_its_request_only(self, error, errors):
        def once(environ, start_response):
            served.append(1)
            if len(served) > 1:
                start_response("200 OK", [])
                return [b"a"]
            raise error()

        served = []
        with serving(once) as server, connect(server) as sock:
            sock.sendall(GET)
            data = receive_all(sock)
            assert not data if error is GreenletExit else b"500" in data
            assert ask_one(server, GET).body == b"a"

    @pytest.mark.parametrize("late", [False, True])
    def test_an_application_that_calls_exit_ends_its_request_only(self, late):
        def application(environ, start_response):
            if environ["PATH_INFO"] == "/exit":
                if late:
                    start_response("200 OK", [])
                sys.exit("somebody called exit")
            start_response("200 OK", [])
            return [b"a"]

        log = io.StringIO()
        with serving(application, error_log=log) as server:
            assert ask_one(server, LAST.replace(b"/ ", b"/exit ", 1)).code == 500
            assert ask_one(server, LAST).body == b"a"
        assert log.getvalue().count("Traceback") == 1 and "SystemExit: somebody called exit" in log.getvalue()

    def test_control_c_ends_the_program(self):
        # As from any greenlet, it is raised in the main greenlet, which waits in serve_forever().
        def application(environ, start_response):
            raise KeyboardInterrupt

        with (
            pytest.raises(KeyboardInterrupt),
            WSGIServer(("127.0.0.1", 0), application, log=None, error_log=None) as server,
        ):
            with connect(server) as sock:
                sock.sendall(GET)
                server.serve_forever()

    @pytest.mark.parametrize("where", ["call", "first block", "second block", "nowhere", "close"])
    def test_the_iterable_is_closed_once(self, where):
        def blocks():
            if where == "first block":
                raise LookupError
            yield b"a"
            if where == "second block":
                raise LookupError
            yield b"b"

        def application(environ, start_response):
            start_response("200 OK", [])
            if where == "call":
                raise LookupError
            return result

        result = Closing(blocks())
        if where == "close":
            result = type("C", (Closing,), {"close": lambda self: (Closing.close(self), 1 / 0)})(blocks())
        log = io.StringIO()
        with serving(application, error_log=log) as server, connect(server) as sock:
            sock.sendall(LAST)
            receive_all(sock)
        assert result.closed == (where != "call")
        assert log.getvalue().count("Traceback") == (where != "nowhere")


class TestClientsThatLeave:
    def test_when_a_write_fails_the_iterable_is_closed_at_once(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return result

        result = Closing(itertools.repeat(b"x" * 100_000))
        log = io.StringIO()
        with serving(application, error_log=log) as server:
            sock = connect(server)
            sock.sendall(GET)
            sock.recv(10)
            reset(sock)
            until(lambda: result.closed)
        assert result.closed == 1 and not log.getvalue()

    def test_a_program_sees_whether_the_client_is_there(self):
        def application(environ, start_response):
            client = environ["greenio.client"]
            seen.append((client.gone, client.wait(0.001)))
            started.set()
            seen.append((client.wait(), client.gone))
            start_response("200 OK", [])
            return [b"a"]

        seen, started = [], Event()
        with serving(application) as server:
            sock = connect(server)
            sock.sendall(GET)
            started.wait()
            sock.close()
            until(lambda: len(seen) == 2)
        assert seen == [(False, False), (True, True)]

    def test_the_end_of_a_client_is_seen_behind_unread_data(self):
        def application(environ, start_response):
            started.set()
            seen.append(environ["greenio.client"].wait())
            start_response("200 OK", [])
            return []

        seen, started = [], Event()
        with serving(application) as server:
            with connect(server) as sock:
                sock.sendall(GET)
                started.wait()
                sock.sendall(GET)
                let_others_run()
                assert not seen
                sock.shutdown(1)
                until(lambda: seen)
        assert seen[0] is True

    @pytest.mark.parametrize("leave", [lambda sock: sock.close(), reset, lambda sock: sock.shutdown(1)])
    def test_an_application_can_be_ended_when_its_client_leaves(self, leave):
        def application(environ, start_response):
            try:
                started.set()
                sleep(1000)
            except ClientGone:
                ended.append("gone")
                raise
            finally:
                ended.append("cleaned up")

        ended, started = [], Event()
        log = io.StringIO()
        with serving(application, cancel_when_gone=True, error_log=log) as server:
            sock = connect(server)
            sock.sendall(GET)
            started.wait()
            leave(sock)
            until(lambda: len(ended) == 2)
            sock.close()
        assert ended == ["gone", "cleaned up"] and not log.getvalue()

    def test_an_application_goes_on_without_its_client_by_default(self):
        def application(environ, start_response):
            started.set()
            go_on.wait()
            start_response("200 OK", [])
            return [b"a"]

        started, go_on = Event(), Event()
        with serving(application) as server, connect(server) as sock:
            sock.sendall(GET)
            sock.shutdown(1)
            started.wait()
            let_others_run()
            go_on.set()
            assert answers_in(receive_all(sock))[0].body == b"a"

    def test_clients_that_stay_are_served_with_cancel_when_gone(self):
        def application(environ, start_response):
            body = environ["wsgi.input"].read()
            sleep(0.01)
            start_response("200 OK", [])
            return [body or b"a"]

        with serving(application, cancel_when_gone=True) as server, connect(server) as sock:
            for _ in range(3):
                sock.sendall(GET)
                receive_until(sock, b"\r\n\r\na")
            sock.sendall(post(b"xyz")[:-3])
            let_others_run()
            sock.sendall(b"xyz" + GET)
            data = receive_until(sock, b"\r\n\r\na")
            assert b"\r\n\r\nxyz" in data


class TestRequestsThatTakeTooLong:
    def test_a_request_that_takes_too_long_is_answered_503(self):
        def application(environ, start_response):
            try:
                sleep(1000)
            except RequestTimeout:
                ended.append(1)
                raise

        ended = []
        log = io.StringIO()
        with serving(application, request_timeout=0.02, error_log=log) as server:
            answer = ask_one(server, GET + GET)
        assert answer.code == 503 and ended and not log.getvalue()

    def test_an_answer_that_takes_too_long_ends_the_connection(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            yield b"abc"
            sleep(1000)

        with serving(application, request_timeout=0.02) as server, connect(server) as sock:
            sock.sendall(GET)
            assert receive_all(sock).endswith(b"abc\r\n")

    @pytest.mark.parametrize("late", [False, True], ids=["an answer that is whole", "one that was late"])
    def test_closing_the_iterable_counts_as_well(self, late):
        class Result(list):  # a plain list is not closed
            def __iter__(self):
                if late:
                    sleep(1000)
                return super().__iter__()

            def close(self):
                try:
                    sleep(1000)
                except RequestTimeout:
                    ended.append(1)
                    raise

        def application(environ, start_response):
            start_response("200 OK", [])
            return Result([b"abc"])

        ended = []
        log = io.StringIO()
        with serving(application, request_timeout=0.02, error_log=log) as server, connect(server) as sock:
            sock.sendall(GET + GET)
            (answer,) = answers_in(receive_all(sock))
        assert (answer.code, answer.body if not late else b"abc") == (503 if late else 200, b"abc")
        assert len(ended) == 1 and log.getvalue().count("took too long") == 1

    def test_a_crash_is_reported_though_closing_takes_too_long(self):
        class Result(list):
            def __iter__(self):
                raise LookupError("told")

            def close(self):
                sleep(1000)

        def application(environ, start_response):
            start_response("200 OK", [])
            return Result()

        log = io.StringIO()
        with serving(application, request_timeout=0.02, error_log=log) as server:
            assert ask_one(server, GET).code == 500
        assert log.getvalue().count("LookupError: told") == 1 and log.getvalue().count("Traceback") == 1

    def test_requests_in_time_are_answered(self):
        def application(environ, start_response):
            sleep(0)
            start_response("200 OK", [])
            return [b"a"]

        with serving(application, request_timeout=30) as server:
            assert len(ask(server, GET * 5)) == 5


def test_a_killed_handler_closes_the_iterable():
    def application(environ, start_response):
        start_response("200 OK", [])
        return result

    def blocks():
        yield b"abc"
        sleep(1000)

    result = Closing(blocks())
    with serving(application) as server:
        sock = connect(server)
        sock.sendall(GET)
        receive_until(sock, b"abc")
        assert server.stop(0) == 1
        assert result.closed == 1
        assert not receive_all(sock).endswith(b"0\r\n\r\n")
        sock.close()
