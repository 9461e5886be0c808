"""Wrong arguments of servers are refused at once, and the error says what to give instead."""

import pytest

from greenio import ssl
from greenio.server import DatagramServer, StreamServer
from greenio.wsgi import Limits, WSGIServer

HERE = ("127.0.0.1", 0)


def application(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]


def handle(*args):
    pass


SERVERS = {
    "StreamServer": lambda **arguments: StreamServer(HERE, handle, **arguments),
    "DatagramServer": lambda **arguments: DatagramServer(HERE, handle, **arguments),
    "WSGIServer": lambda **arguments: WSGIServer(HERE, application, **arguments),
}
TIMES = [
    *((kind, name) for kind in SERVERS for name in ("stop_timeout", "kill_timeout")),
    ("StreamServer", "handshake_timeout"),
    ("WSGIServer", "handshake_timeout"),
    *(("WSGIServer", name) for name in Limits.names if Limits.is_time(name)),
]


@pytest.mark.parametrize(("kind", "name"), TIMES)
class TestTimes:
    @pytest.mark.parametrize(
        ("wrong", "error", "text"),
        [
            (float("nan"), ValueError, "must be a number, not NaN"),
            (-1, ValueError, "must not be negative: -1"),
            (float("-inf"), ValueError, "must not be negative: -inf"),
            ("5", TypeError, "is a number of seconds (int or float), not '5'"),
        ],
    )
    def test_a_wrong_time_is_refused_at_once(self, kind, name, wrong, error, text):
        with pytest.raises(error) as caught:
            SERVERS[kind](**{name: wrong})
        assert str(caught.value) == f"{name} {text}"

    @pytest.mark.parametrize("given", [None, float("inf"), 1e12, 10**400, 5, 0.5])
    def test_an_endless_time_means_no_limit(self, kind, name, given):
        server = SERVERS[kind](**{name: given})
        holder = server.limits if name in Limits.names else server
        assert getattr(holder, name) == (given if given in (5, 0.5) else None)


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("name", ["stop_timeout", "kill_timeout", "min_delay", "max_delay"])
def test_attributes_with_wrong_times_are_refused_at_the_start(kind, name):
    server = SERVERS[kind]()
    setattr(server, name, float("nan"))
    with pytest.raises(ValueError, match=f"{name} must be a number, not NaN"):
        server.start()
    assert not server.started and server.socket is None
    setattr(server, name, float("inf"))
    with server:
        assert server.started


@pytest.mark.parametrize(
    ("kind", "name", "wrong", "text"),
    [
        ("StreamServer", "backlog", "5", "backlog must be a whole number"),
        ("StreamServer", "mode", "660", "mode must be a whole number"),
        ("DatagramServer", "mode", "660", "mode must be a whole number"),
        ("StreamServer", "ssl_context", 5, "ssl_context must be an ssl.SSLContext or None, not 5"),
        ("StreamServer", "ssl_context", ssl.SSLContext, "ssl_context must be an ssl.SSLContext or None, not <class"),
        ("WSGIServer", "ssl_context", 5, "ssl_context must be an ssl.SSLContext or None, not 5"),
        ("WSGIServer", "handler_class", 5, "handler_class must be a subclass of greenio.wsgi.WSGIHandler, not 5"),
        ("WSGIServer", "handler_class", dict, "handler_class must be a subclass of greenio.wsgi.WSGIHandler, not <"),
        ("WSGIServer", "environ", 5, "environ must be a dictionary, not 5"),
        ("WSGIServer", "script_name", 5, "script_name must be a path (str), not 5"),
        ("WSGIServer", "forwarded_from", 5, "networks are texts, such as '10.0.0.0/8', not 5"),
        ("WSGIServer", "proxy_protocol", [b"10.0.0.1"], "networks are texts, such as '10.0.0.0/8', not b'10.0.0.1'"),
        ("WSGIServer", "origins", 5, "an origin is a text such as 'https://example.com', not 5"),
        ("WSGIServer", "log", 5, "a log is a file, a logging.Logger, or None, not 5"),
        ("WSGIServer", "spawn", "many", "spawn must be 'default', a number, a callable, a pool or None, not 'many'"),
        ("WSGIServer", "backlog", 1.5, "backlog must be a whole number"),
        ("WSGIServer", "nonsense", 1, "a server has no argument 'nonsense'"),
    ],
)  # fmt: skip
def test_arguments_of_wrong_types_are_refused_at_once(kind, name, wrong, text):
    with pytest.raises(TypeError) as caught:
        SERVERS[kind](**{name: wrong})
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("name", "wrong"), [("mode", -1), ("mode", 0o1000), ("backlog", -1), ("script_name", "a"), ("max_connections", 0)]
)
def test_numbers_and_texts_out_of_range_are_refused_at_once(name, wrong):
    with pytest.raises(ValueError, match=name if name != "max_connections" else "at least one connection"):
        WSGIServer(HERE, application, **{name: wrong})


@pytest.mark.parametrize("wrong", [None, 5, "module:application"])
def test_a_wsgi_server_needs_an_application(wrong):
    with pytest.raises(TypeError) as caught:
        WSGIServer(HERE, wrong)
    assert str(caught.value) == (f"a WSGI server needs a callable, application(environ, start_response), not {wrong!r}")


def test_a_subclass_may_have_the_application():
    class Hello(WSGIServer):
        application = staticmethod(application)

    assert Hello(HERE).application is application


def test_environments_are_dictionaries():
    class Listing(WSGIServer):
        environ_class = list

    with pytest.raises(TypeError, match="environments of a WSGI server must be dictionaries, not <class 'list'>"):
        Listing(HERE, application)
