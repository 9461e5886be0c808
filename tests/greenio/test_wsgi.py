"""greenio.wsgi, the protocol: environments, answers, connections that go on, files, hints."""

import io
import os
import socket as standard
import sys
from wsgiref.validate import validator

import pytest
from raw_http import GET, LAST, answers_in, ask, ask_one, connect, post, receive_all, receive_until, serving
from waiting import let_others_run, until
from wsgi_applications import hello

from greenio import pywsgi, spawn, wsgi
from greenio.socket import create_connection


def answering(*blocks, status="200 OK", headers=()):
    """Return an application that yields these blocks."""

    def application(environ, start_response):
        start_response(status, list(headers))
        yield from blocks

    return application


class Keeping:
    """An application that keeps its environments."""

    def __init__(self):
        self.environs = []

    def __call__(self, environ, start_response):
        self.environs.append(environ)
        return hello(environ, start_response)


def environ_of(request, **arguments):
    kept = Keeping()
    with serving(kept, **arguments) as server:
        assert ask_one(server, request).code == 200
    (environ,) = kept.environs
    return environ


class TestEnvironments:
    def test_what_every_environment_has(self):
        kept = Keeping()
        with serving(kept) as server, connect(server) as sock:
            port = sock.getsockname()[1]
            sock.sendall(
                b"GET /a%20b/%e9?c=d%20e HTTP/1.1\r\nHost: x:1\r\nX-Some-Thing:  v w \r\nConnection: close\r\n\r\n"
            )
            receive_all(sock)
            (environ,) = kept.environs
            assert environ["SERVER_PORT"] == str(server.server_port)
        wanted = {
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/a b/\xe9", "QUERY_STRING": "c=d%20e",
            "SERVER_NAME": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": str(port), "GATEWAY_INTERFACE": "CGI/1.1", "HTTP_HOST": "x:1", "HTTP_X_SOME_THING": "v w",
            "HTTP_CONNECTION": "close", "RAW_URI": "/a%20b/%e9?c=d%20e", "REQUEST_URI": "/a%20b/%e9?c=d%20e",
            "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.multithread": True, "wsgi.multiprocess": False,
            "wsgi.run_once": False, "wsgi.input_terminated": True, "wsgi.file_wrapper": wsgi.FileWrapper,
            "wsgi.errors": sys.stderr,
        }  # fmt: skip
        assert {key: environ[key] for key in wanted} == wanted
        assert environ["SERVER_SOFTWARE"].startswith("greenio/")
        assert "CONTENT_LENGTH" not in environ and "CONTENT_TYPE" not in environ

    def test_content_length_and_type_have_no_prefix(self):
        environ = environ_of(post(b"abc", b"Content-Type: a/b", b"Connection: close"))
        assert environ["CONTENT_LENGTH"] == "3" and environ["CONTENT_TYPE"] == "a/b"
        assert not {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"} & environ.keys()

    def test_fields_that_come_twice_are_joined(self):
        lines = b"X-A: 1\r\nCookie: a=b\r\nX-a: 2 \r\nCookie: c=d\r\nConnection: close\r\n\r\n"
        environ = environ_of(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines)
        assert environ["HTTP_X_A"] == "1, 2" and environ["HTTP_COOKIE"] == "a=b; c=d"

    def test_fields_with_names_that_could_pass_for_others_are_dropped(self):
        lines = b"X_Real_IP: 1\r\nProxy: evil\r\nContent_Length: 9\r\nConnection: close\r\n\r\n"
        environ = environ_of(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines)
        assert not {"HTTP_X_REAL_IP", "HTTP_PROXY", "CONTENT_LENGTH", "HTTP_CONTENT_LENGTH"} & environ.keys()

    def test_a_url_as_target_has_the_host(self):
        environ = environ_of(b"GET http://b:81/c?d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (environ["HTTP_HOST"], environ["PATH_INFO"], environ["QUERY_STRING"]) == ("b:81", "/c", "d")

    @pytest.mark.parametrize(
        ("target", "path", "query"),
        [(b"http://b", "/", ""), (b"HTTP://b?c=d", "/", "c=d"), (b"//c/d", "//c/d", ""), (b"/%2f%3F", "//?", "")],
    )
    def test_targets_have_a_path_and_a_query(self, target, path, query):
        environ = environ_of(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, query)

    def test_options_may_have_an_asterisk(self):
        environ = environ_of(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert environ["PATH_INFO"] == "*"

    @pytest.mark.parametrize("host", [b"", b"a", b"a:80", b"a:", b"[::1]:80", b"1.2.3.4", b"xn--a.b", b"a,b"])
    def test_valid_hosts_are_accepted(self, host):
        environ = environ_of(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
        assert environ["HTTP_HOST"] == host.decode()

    @pytest.mark.parametrize("host", [b"a b", b"[::1", b"a:b", b"[x]", b"a:123456", b"\xe9", b"a\\b", b"<a>"])
    def test_malformed_hosts_are_refused(self, host):
        with serving(hello) as server:
            assert ask_one(server, b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").code == 400

    def test_keys_of_the_program_are_in_every_environment(self):
        kept = Keeping()
        with serving(kept, environ={"my.key": 5}) as server:
            ask(server, GET + LAST)
        first, second = kept.environs
        assert first["my.key"] == second["my.key"] == 5 and first is not second

    def test_a_server_below_a_path_answers_404_elsewhere(self):
        kept = Keeping()
        with serving(kept, script_name="/app") as server:
            for target, code in [(b"/app/x", 200), (b"/app", 200), (b"/apple", 404), (b"/", 404)]:
                assert ask_one(server, b"GET " + target + b" HTTP/1.0\r\n\r\n").code == code
        assert [(each["SCRIPT_NAME"], each["PATH_INFO"]) for each in kept.environs] == [("/app", "/x"), ("/app", "")]

    def test_the_path_may_be_given_by_the_variable_script_name(self, monkeypatch):
        monkeypatch.setenv("SCRIPT_NAME", "/app/")
        assert environ_of(b"GET /app/x HTTP/1.0\r\n\r\n")["PATH_INFO"] == "/x"
        with pytest.raises(ValueError, match="slash"):
            wsgi.WSGIServer(("127.0.0.1", 0), hello, script_name="app")

    def test_clients_over_ipv6_have_their_address(self):
        kept = Keeping()
        with serving(kept, listener=("::1", 0)) as server:
            assert ask_one(server, LAST).code == 200
        assert kept.environs[0]["REMOTE_ADDR"] == kept.environs[0]["SERVER_NAME"] == "::1"

    def test_clients_over_a_unix_socket_have_no_address(self, tmp_path):
        kept = Keeping()
        with standard.socket(standard.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "socket"))
            listener.listen()
            with serving(kept, listener=listener) as server:
                assert ask_one(server, LAST).code == 200
        environ = kept.environs[0]
        assert environ["REMOTE_ADDR"] == "" and environ["SERVER_NAME"] and environ["SERVER_PORT"]

    def test_the_validator_of_the_standard_library_is_content(self):
        def application(environ, start_response):
            body = (
                environ["wsgi.input"].read(3) + environ["wsgi.input"].readline()
                if environ["PATH_INFO"] == "/p"
                else b"-"
            )
            start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
            return [body]

        with serving(validator(application)) as server:
            answers = ask(server, GET + post(b"abcdef\ngh", target=b"/p") + LAST)
        assert [answer.body for answer in answers] == [b"-", b"abcdef\n", b"-"]


class TestAnswers:
    def test_an_answer_with_a_known_length_is_not_chunked(self):
        with serving(hello) as server:
            answer = ask_one(server, LAST)
        assert answer.status == b"200 OK" and answer.body == b"hello" and answer.chunks is None
        assert [name for name, _ in answer.pairs] == [b"Content-Type", b"Date", b"Content-Length", b"Connection"]
        assert answer.fields["date"].endswith(b" GMT") and len(answer.fields["date"]) == 29

    def test_a_small_answer_is_sent_in_one_write(self):
        with serving(hello) as server, connect(server) as sock:
            sock.sendall(GET)
            assert sock.recv(65536).endswith(b"hello")

    def test_a_generator_is_chunked(self):
        with serving(answering(b"a", b"", b"bc" * 100_000, b"d")) as server:
            answer = ask_one(server, LAST)
        assert answer.chunks == [b"a", b"bc" * 100_000, b"d"] and "content-length" not in answer.fields

    def test_a_generator_with_a_length_is_not_chunked(self):
        with serving(answering(b"ab", b"c", headers=[("Content-Length", "3")])) as server:
            answer = ask_one(server, LAST)
        assert answer.chunks is None and answer.body == b"abc"

    def test_answers_to_http_1_0_end_with_the_connection(self):
        with serving(answering(b"ab", b"c")) as server:
            answer = ask_one(server, b"GET / HTTP/1.0\r\n\r\n")
        assert answer.body == b"abc" and answer.fields["connection"] == b"close"
        assert not {"content-length", "transfer-encoding"} & answer.fields.keys()

    def test_an_empty_answer_has_the_length_0(self):
        with serving(answering()) as server:
            assert ask_one(server, LAST).fields["content-length"] == b"0"

    def test_several_blocks_in_a_list_are_one_body(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return [b"a", b"b" * 300_000, b"", b"c"]

        with serving(application) as server:
            answer = ask_one(server, LAST)
        assert answer.body == b"a" + b"b" * 300_000 + b"c" and answer.chunks is None

    def test_written_and_returned_blocks_are_one_body(self):
        def application(environ, start_response):
            write = start_response("200 OK", [])
            write(b"a")
            write(bytearray(b"b"))
            return [b"c"]

        with serving(application) as server:
            assert ask_one(server, LAST).body == b"abc"

    def test_the_next_block_is_taken_when_the_last_was_written(self):
        asked = []

        def application(environ, start_response):
            start_response("200 OK", [])
            for number in range(3):
                asked.append(number)
                yield b"%d" % number
                sock_has.append(receive_until(sock, b"%d\r\n" % number))

        sock_has = []
        with serving(application) as server, connect(server) as sock:
            sock.sendall(LAST)
            until(lambda: len(sock_has) == 3)
        assert asked == [0, 1, 2]

    def test_head_has_the_fields_and_no_body(self):
        with serving(hello) as server:
            answer, other = ask(
                server, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + LAST.replace(b"GET", b"HEAD"), to_head=True
            )
        assert answer.code == 200 and answer.fields["content-length"] == b"5" and other.code == 200

    @pytest.mark.parametrize("application", [answering(b"abc"), answering(), answering(b"a", b"b")])
    def test_head_of_a_generator_has_no_body(self, application):
        with serving(application) as server:
            (answer,) = ask(server, LAST.replace(b"GET", b"HEAD"), to_head=True)
        assert answer.code == 200 and not answer.rest

    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_answers_with_204_and_304_have_no_body(self, status, streamed):
        def application(environ, start_response):
            start_response(status, [("Content-Length", "3"), ("ETag", '"a"')])
            return iter([b"abc"]) if streamed else [b"abc"]

        with serving(application) as server:
            first, second = ask(server, GET + LAST)
        assert first.code == second.code == int(status[:3]) and second.fields["etag"] == b'"a"'
        assert ("content-length" in first.fields) == (status[0] == "3")

    def test_dates_that_an_application_gives_are_kept(self):
        with serving(answering(b"a", headers=[("Date", "x")])) as server:
            assert [value for name, value in ask_one(server, LAST).pairs if name == b"Date"] == [b"x"]

    def test_fields_may_be_latin_1_and_have_tabs(self):
        with serving(answering(b"a", headers=[("X-A", "\xe9\t\xa0"), ("X-A", "b")])) as server:
            pairs = ask_one(server, LAST).pairs
        assert pairs[:2] == [(b"X-A", b"\xe9\t\xa0"), (b"X-A", b"b")]

    def test_start_response_may_be_called_again_with_an_error(self):
        def application(environ, start_response):
            start_response("200 OK", [("X-A", "b")])
            try:
                raise LookupError
            except LookupError:
                start_response("500 Sorry", [], sys.exc_info())
            return [b"sorry"]

        with serving(application) as server:
            answer = ask_one(server, LAST)
        assert (answer.status, answer.body) == (b"500 Sorry", b"sorry") and "x-a" not in answer.fields


class TestConnections:
    def test_small_answers_are_not_held_back(self):
        class Handler(wsgi.WSGIHandler):
            def handle(self):
                no_delay.append(self.socket.getsockopt(standard.IPPROTO_TCP, standard.TCP_NODELAY))
                super().handle()

        no_delay = []
        with serving(hello, handler_class=Handler) as server:
            ask(server, LAST)
        assert no_delay[0]

    def test_connections_go_on_after_an_answer(self):
        with serving(hello) as server, connect(server) as sock:
            for _ in range(3):
                sock.sendall(GET)
                assert receive_until(sock, b"hello").count(b"hello") == 1

    def test_requests_that_come_together_are_answered_in_order(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return [environ["PATH_INFO"].encode()]

        asked = [b"/%d" % number for number in range(200)]
        with serving(application) as server:
            answers = ask(server, b"".join(b"GET " + each + b" HTTP/1.1\r\nHost: a\r\n\r\n" for each in asked))
        assert [answer.body for answer in answers] == asked

    def test_the_client_may_ask_for_the_end_of_the_connection(self):
        with serving(hello) as server, connect(server) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Foo, CLOSE\r\n\r\n")
            assert answers_in(receive_all(sock))[0].fields["connection"] == b"close"

    def test_http_1_0_may_ask_to_keep_the_connection(self):
        with serving(hello) as server, connect(server) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"Connection: keep-alive\r\n" in receive_until(sock, b"hello")
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert answers_in(receive_all(sock))[0].fields["connection"] == b"close"

    def test_a_client_that_has_shut_its_sending_half_is_answered(self):
        with serving(hello) as server:
            assert ask_one(server, GET).body == b"hello"

    def test_a_body_that_was_not_read_is_skipped(self):
        with serving(hello) as server:
            assert len(ask(server, post(b"x" * 60_000) + GET)) == 2

    def test_a_long_unread_body_ends_the_connection_and_the_answer_arrives(self):
        with serving(hello) as server:
            answer = ask_one(server, post(b"x" * 3_000_000) + GET)
        assert answer.code == 200 and answer.fields["connection"] == b"close"

    def test_a_long_unread_chunked_body_ends_the_connection(self):
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with serving(hello) as server:
            answer = ask_one(server, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 20)
        assert answer.code == 200

    def test_connections_with_tls_go_on(self, server_context, client_context):
        kept = Keeping()
        with serving(kept, ssl_context=server_context) as server:
            with create_connection(server.address, timeout=30) as plain:
                with client_context.wrap_socket(plain, server_hostname="localhost") as sock:
                    sock.sendall(GET + LAST)
                    answers = answers_in(receive_all(sock))
        assert len(answers) == 2 and kept.environs[0]["wsgi.url_scheme"] == "https"


class TestExpectations:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"

    def test_a_body_is_asked_for_when_it_is_read(self):
        def application(environ, start_response):
            began.append(1)
            body = environ["wsgi.input"].read()
            start_response("200 OK", [])
            return [body]

        began = []
        with serving(application) as server, connect(server) as sock:
            sock.sendall(self.head)
            assert receive_until(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n" and began
            sock.sendall(b"hello" + LAST[:-2] + b"\r\n")
            first, second = answers_in(receive_all(sock))
        assert first.body == b"hello" and second.body == b""

    def test_a_body_that_comes_anyhow_is_not_taken_for_a_request(self):
        with serving(hello) as server:
            assert ask_one(server, self.head + b"hello" + GET).fields["connection"] == b"close"

    def test_http_1_0_gets_no_100_continue(self):
        def application(environ, start_response):
            body = environ["wsgi.input"].read()
            start_response("200 OK", [])
            return [body]

        request = self.head.replace(b"1.1", b"1.0") + b"hello"
        with serving(application) as server:
            assert ask_one(server, request).body == b"hello"
            # Other expectations of HTTP/1.0 are ignored, too.
            assert ask_one(server, request.replace(b"100-Continue", b"x")).body == b"hello"


class TestHints:
    def test_early_hints_come_before_the_answer(self):
        def application(environ, start_response):
            environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
            return hello(environ, start_response)

        with serving(application) as server:
            hint, answer = ask(server, LAST)
            assert hint.status == b"103 Early Hints" and hint.pairs == [(b"Link", b"</a.css>; rel=preload")]
            assert answer.body == b"hello"
            assert len(ask(server, b"GET / HTTP/1.0\r\n\r\n")) == 1

    def test_early_hints_are_refused_after_an_answer_has_begun(self):
        def application(environ, start_response):
            start_response("200 OK", [])(b"a")
            with pytest.raises(AssertionError, match="begun"):
                environ["wsgi.early_hints"]([])
            return []

        with serving(application) as server:
            assert ask_one(server, LAST).body == b"a"


class TestFiles:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(bytes(range(256)) * 2000)
        return path

    def get(self, file, position=0, headers=(), context=None, request=LAST):
        def application(environ, start_response):
            start_response("200 OK", list(headers))
            wrapper = environ["wsgi.file_wrapper"](file)
            wrapper.seek(position)
            assert wrapper.tell() == position
            return wrapper

        with serving(application) as server:
            (answer,) = ask(server, request, to_head=request.startswith(b"HEAD"))
        assert file.closed
        return answer

    def test_a_file_is_sent_from_where_it_stands(self, path):
        content = path.read_bytes()
        answer = self.get(path.open("rb"), 1000)
        assert answer.body == content[1000:] and answer.fields["content-length"] == b"%d" % (len(content) - 1000)

    def test_no_more_of_a_file_is_sent_than_its_length(self, path):
        answer = self.get(path.open("rb"), 10, [("Content-Length", "20")])
        assert answer.body == bytes(range(10, 30))

    def test_head_of_a_file_has_its_length(self, path):
        answer = self.get(path.open("rb"), request=LAST.replace(b"GET", b"HEAD"))
        assert answer.fields["content-length"] == b"512000" and answer.body == b""

    def test_an_empty_file_has_the_length_0(self, path):
        path.write_bytes(b"")
        assert self.get(path.open("rb")).fields["content-length"] == b"0"

    def test_a_file_without_a_descriptor_is_sent_in_chunks(self):
        answer = self.get(io.BytesIO(b"abcdef" * 100_000), 3)
        assert answer.body == (b"abcdef" * 100_000)[3:] and answer.chunks is not None

    def test_a_pipe_is_sent_as_a_file(self):
        reader, writer = os.pipe()
        os.write(writer, b"abc")
        os.close(writer)

        def application(environ, start_response):
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](os.fdopen(reader, "rb"))

        with serving(application) as server:
            assert ask_one(server, LAST).body == b"abc"

    def test_files_are_sent_over_tls(self, path, server_context, client_context):
        def application(environ, start_response):
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](path.open("rb"))

        with serving(application, ssl_context=server_context) as server:
            with create_connection(server.address, timeout=30) as plain:
                with client_context.wrap_socket(plain, server_hostname="localhost") as sock:
                    sock.sendall(LAST)
                    (answer,) = answers_in(receive_all(sock))
        assert answer.body == path.read_bytes()

    def test_a_file_that_shrinks_ends_the_connection(self, path):
        def application(environ, start_response):
            start_response("200 OK", [("Content-Length", "600000")])
            return environ["wsgi.file_wrapper"](path.open("rb"))

        log = io.StringIO()
        with serving(application, error_log=log) as server, connect(server) as sock:
            sock.sendall(GET + GET)
            data = receive_all(sock)
        assert data.count(b"200 OK") == 1 and "shorter than its Content-Length" in log.getvalue()


class TestUpgrades:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

    def test_an_application_may_change_the_protocol(self):
        def application(environ, start_response):
            write = start_response("101 Switching Protocols", [("Connection", "Upgrade"), ("Upgrade", "echo")])
            write(b"hi ")
            return [b"there"]

        with serving(application) as server, connect(server) as sock:
            sock.sendall(self.request)
            head, _, rest = receive_all(sock).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ") and b"Upgrade: echo" in head and b"chunked" not in head
        assert rest == b"hi there"

    def test_a_change_of_protocol_without_a_request_is_an_error(self):
        with serving(answering(b"a", status="101 Switching Protocols")) as server:
            assert ask_one(server, LAST).code == 500


def test_gevents_names_are_there():
    assert pywsgi.WSGIServer is wsgi.WSGIServer and pywsgi.WSGIHandler is wsgi.WSGIHandler
    assert set(pywsgi.__all__) >= {
        "Environ", "Input", "LoggingLogAdapter", "SecureEnviron", "WSGISecureEnviron", "format_date_time"
    }  # fmt: skip
    assert wsgi.format_date_time(0) == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_requests_of_many_clients_run_at_once():
    def application(environ, start_response):
        waiting.append(1)
        until(lambda: len(waiting) == 20)
        return hello(environ, start_response)

    waiting = []
    with serving(application) as server:
        asking = [spawn(ask_one, server, LAST) for _ in range(20)]
        assert {each.get().body for each in asking} == {b"hello"}


def test_a_connection_without_a_request_does_not_call_the_application():
    kept = Keeping()
    with serving(kept) as server:
        connect(server).close()
        let_others_run()
    assert not kept.environs
