"""greenio.wsgi, gevent's hooks and logs: classes of handlers and environments, access and error logs."""

import datetime
import io
import json
import logging
import re
import sys

import pytest
from raw_http import GET, LAST, ask, ask_one, serving

from greenio.wsgi import (
    Environ,
    LoggingLogAdapter,
    SecureEnviron,
    WSGIHandler,
    WSGISecureEnviron,
    WSGIServer,
)


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Out", "o")])
    return [b"hello"]


def with_lines(*lines):
    return (
        b"GET /a?b HTTP/1.1\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"Connection: close\r\n\r\n"
    )


class TestHandlers:
    def test_methods_of_a_handler_may_be_replaced(self):
        called = []

        class Handler(WSGIHandler):
            def get_environ(self):
                environ = super().get_environ()
                environ["mine"] = (self.command, self.path, self.request_version, self.requestline, self.content_length)
                return environ

            def run_application(self):
                called.append("run")
                super().run_application()

            def start_response(self, status, headers, exc_info=None):
                return super().start_response(status, [*headers, ("X-Mine", "1")], exc_info)

            def finalize_headers(self):
                self.response_headers = [pair for pair in self.response_headers if pair[0] != "X-Out"]
                super().finalize_headers()

            def log_request(self):
                called.append((self.status, self.code, self.response_length, self.time_finish >= self.time_start > 0))

        kept = []

        def application(environ, start_response):
            kept.append(environ["mine"])
            return hello(environ, start_response)

        with serving(application, handler_class=Handler, log=io.StringIO()) as server:
            answer = ask_one(server, LAST)
        assert answer.fields["x-mine"] == b"1" and "x-out" not in answer.fields
        assert kept == [("GET", "/", "HTTP/1.1", "GET / HTTP/1.1", None)]
        assert called == ["run", ("200 OK", 200, 5, True)]

    def test_a_handler_has_attributes_of_its_answer(self):
        kept = []

        class Handler(WSGIHandler):
            def process_result(self):
                super().process_result()
                kept.append(
                    (self.response_use_chunked, self.headers_sent, self.provided_content_length, self.provided_date)
                )
                kept.append((self.close_connection, self.connection_upgraded, self.client_address[0], self.server))

        def application(environ, start_response):
            start_response("200 OK", [("Date", "x")])
            yield b"a"

        with serving(application, handler_class=Handler) as server:
            ask(server, GET)
        assert kept == [(True, True, None, True), (False, False, "127.0.0.1", server)]

    def test_handle_error_may_be_replaced(self):
        told = []

        class Handler(WSGIHandler):
            def handle_error(self, kind, value, trace):
                told.append(kind)
                super().handle_error(kind, value, trace)

        def application(environ, start_response):
            raise LookupError

        with serving(application, handler_class=Handler) as server:
            assert ask_one(server, GET).code == 500
        assert told == [LookupError]

    def test_a_subclass_of_the_server_may_have_the_classes(self):
        class Server(WSGIServer):
            handler_class = type("Handler", (WSGIHandler,), {"get_environ": lambda self: {**self.environ, "a": 1}})
            environ_class = Environ

            def application(self, environ, start_response):
                kept.append(environ["a"])
                return hello(environ, start_response)

        kept = []
        with Server(("127.0.0.1", 0), log=None) as server:
            ask(server, LAST)
        assert kept == [1]


class TestEnvironments:
    def test_environments_are_plain_dictionaries(self):
        kept = []
        with serving(lambda environ, start: kept.append(type(environ)) or hello(environ, start)) as server:
            ask(server, LAST)
        assert kept == [dict]

    def test_secure_environments_hide_values(self):
        class Server(WSGIServer):
            secure_environ = True

        kept = []
        with Server(
            ("127.0.0.1", 0), lambda environ, start: kept.append(environ) or hello(environ, start), log=None
        ) as server:
            ask(server, with_lines(b"Authorization: secret"))
            (environ,) = kept
            assert type(environ) is WSGISecureEnviron and environ["HTTP_AUTHORIZATION"] == "secret"
            assert (
                "secret" not in repr(environ) and "secret" not in str(environ) and "'HTTP_HOST': 'a'" in repr(environ)
            )
            assert re.search(r"hidden keys: \d+", repr(environ))

    def test_a_secure_environment_has_settings(self):
        environ = SecureEnviron(a=1, b=2)
        assert repr(environ) == "{'a': '<MASKED>', 'b': '<MASKED>'}"
        environ.whitelist_keys = ("a",)
        assert str(environ) == "{'a': 1, 'b': '<MASKED>'}" and type(environ.copy()) is SecureEnviron
        environ.print_masked_keys = False
        assert repr(environ) == "{'a': 1} (hidden keys: 1)"
        environ.secure_repr = False
        assert repr(environ) == "{'a': 1, 'b': 2}"
        with pytest.raises(AttributeError):
            environ.other  # noqa: B018

    def test_the_server_makes_and_changes_environments(self):
        server = WSGIServer(("127.0.0.1", 0), hello, environ={"a": 1})
        assert server.get_environ()["a"] == 1
        server.set_environ({"b": 2})
        assert "a" not in server.get_environ() and server.get_environ()["b"] == 2
        server.environ["wsgi.multiprocess"] = True
        server.set_max_accept()
        assert server.max_accept == 1


def log_of(request, application=hello, **arguments):
    log = io.StringIO()
    with serving(application, log=log, **arguments) as server:
        ask(server, request)
    return log.getvalue()


class TestAccessLogs:
    def test_the_default_line_is_gevents(self):
        line = log_of(LAST)
        assert re.fullmatch(
            r'127\.0\.0\.1 - - \[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] "GET / HTTP/1\.1" 200 5 \d+\.\d{6}\n', line
        )

    def test_refused_requests_are_logged(self):
        assert '"GET / HTTP/1.1" 400 ' in log_of(b"GET / HTTP/1.1\r\n\r\n")

    def test_a_format_has_atoms(self):
        text = (
            '%(h)s %(l)s %(u)s "%(r)s" %(m)s %(U)s %(q)s %(H)s %(s)s %(B)s %(b)s %(f)s %(a)s %(T)s %(D)s %(M)s %(L)s '
            "%(p)s %({x-in}i)s %({x-out}o)s %({wsgi.url_scheme}e)s %({none}i)s %% {} %(t)s"
        )
        request = with_lines(b"Authorization: Basic YWxhZGRpbjpzZXNhbWU=", b"Referer: r", b"User-Agent: u", b"X-In: i")
        line = log_of(request, access_log_format=text)
        assert re.fullmatch(
            r'127\.0\.0\.1 - aladdin "GET /a\?b HTTP/1\.1" GET /a b HTTP/1\.1 200 5 5 r u 0 \d+ \d+ 0\.\d{6} '
            r"<\d+> i o http - % {} \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]\n",
            line,
        )

    def test_a_format_cannot_run_code(self):
        text = "%({a'b\"c\\}i)s {handler} \\ ' \" %({x}e)s"
        assert log_of(LAST, access_log_format=text) == "- {handler} \\ ' \" -\n"

    def test_refused_requests_have_a_format(self):
        text = "%(h)s %(u)s %(m)s %(U)s %(q)s %(H)s %(f)s %(s)s %({x}i)s %({x}o)s"
        assert log_of(b"GET / HTTP/1.1\r\n\r\n", access_log_format=text) == "127.0.0.1 - - -  - - 400 - -\n"

    def test_what_a_client_sends_cannot_make_lines_or_act_on_a_terminal(self):
        request = with_lines(b'User-Agent: a"b\\c\xe9\x9b[2J')
        assert log_of(request, access_log_format="%(a)s") == 'a\\"b\\\\c\xe9\\x9b[2J\n'
        line = log_of(b"GET /%0a%1b HTTP/1.1\r\nHost: a\r\n\r\n", access_log_format="%(U)s")
        assert line == "/\\n\\x1b\n"

    def test_records_can_be_json(self):
        record = json.loads(log_of(with_lines(b"User-Agent: \xe9\n"[:-1]), access_log_format="json"))
        assert record["user_agent"] == "\xe9" and record["status"] == 200 and record["length"] == 5
        assert record["method"] == "GET" and record["target"] == "/a?b" and record["address"] == "127.0.0.1"
        datetime.datetime.strptime(record["time"], "%Y-%m-%dT%H:%M:%S.%fZ")

    def test_a_callable_may_format_records(self):
        assert log_of(GET + LAST, access_log_format=lambda record: f"{record['status']}!") == "200!\n200!\n"
        assert log_of(GET + LAST, access_log_format=lambda record: None) == ""

    def test_the_text_of_a_callable_is_one_line(self):
        assert log_of(LAST, access_log_format=lambda record: "a\tb\nc\x1b\x9bd\u2028") == "a\tb\\nc\\x1b\\x9bd\\u2028\n"

    @pytest.mark.parametrize("access_log_format", [None, "%(h)s", "json", lambda record: record["address"]])
    def test_the_name_of_a_clients_unix_socket_makes_no_lines(self, access_log_format):
        class Handler(WSGIHandler):
            def get_environ(self):
                return {**super().get_environ(), "REMOTE_ADDR": "a\n\x1bb"}

            def log_request(self):
                self.client_address = "a\n\x1bb"
                super().log_request()

        line = log_of(LAST, access_log_format=access_log_format, handler_class=Handler)
        assert line.count("\n") == 1 and "\x1b" not in line

    def test_characters_that_a_file_cannot_encode_are_escaped(self):
        data = io.BytesIO()
        log = io.TextIOWrapper(data, encoding="ascii", write_through=True)
        with serving(hello, log=log, access_log_format="%(a)s") as server:
            ask(server, with_lines(b"User-Agent: \xe9"))
        assert data.getvalue() == b"\\xe9\n"

    @pytest.mark.parametrize("kind", ["closed", "callable"])
    def test_a_failing_log_is_reported_once_and_clients_are_answered(self, kind, errors):
        log = io.StringIO()
        if kind == "closed":
            log.close()
        failing = {"callable": lambda record: 1 / 0, "closed": None}[kind]
        with serving(hello, log=log, access_log_format=failing) as server:
            assert [answer.code for answer in ask(server, GET + GET + LAST)] == [200, 200, 200]
        assert errors.getvalue().count("the access log") == 1

    @pytest.mark.parametrize("name", ["log", "error_log"])
    def test_an_object_that_is_no_log_is_refused(self, name):
        with pytest.raises(TypeError, match=r"a log is a file, a logging\.Logger, or None, not 5"):
            WSGIServer(("127.0.0.1", 0), hello, **{name: 5})

    def test_a_server_may_have_no_log(self):
        with serving(hello, log=None) as server:
            assert ask_one(server, LAST).code == 200

    @pytest.mark.parametrize("wrong", ["%(x)s", "%(h)d", "%", "100%(h)s%", 5])
    def test_wrong_formats_are_refused(self, wrong):
        with pytest.raises((ValueError, TypeError), match="access log"):
            WSGIServer(("127.0.0.1", 0), hello, access_log_format=wrong)

    def test_a_standard_logger_may_be_the_log(self):
        records = []
        logger = logging.Logger("x")
        logger.addHandler(type("H", (logging.Handler,), {"emit": lambda self, record: records.append(record)})())
        with serving(hello, log=logger, error_log=logger) as server:
            ask(server, LAST)
            assert isinstance(server.log, LoggingLogAdapter) and server.log.name == "x"
            server.error_log.writelines(["a\n", "\n", "b"])
            server.error_log.flush()
        assert [record.levelno for record in records] == [logging.INFO, logging.ERROR, logging.ERROR]
        assert records[0].getMessage().startswith("127.0.0.1") and records[1].getMessage() == "a"

    def test_standard_error_is_the_default(self):
        server = WSGIServer(("127.0.0.1", 0), hello)
        assert server.log is sys.stderr and server.error_log is sys.stderr
