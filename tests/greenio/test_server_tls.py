"""StreamServer with TLS: its arguments, the handshake and its limit, the end of a connection."""

import ssl as standard_ssl
from contextlib import suppress

import pytest
from places import CERTIFICATE, KEY, OTHER_CERTIFICATE, OTHER_KEY
from stream_servers import echo
from waiting import until

from greenio import spawn, ssl
from greenio.server import StreamServer
from greenio.socket import create_connection


def ask(server, context, message=b"hello"):
    with create_connection(server.address, timeout=30) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as sock:
            sock.sendall(message)
            return sock.recv(1000)


class Failures(StreamServer):
    """Keeps the errors of handshakes."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.failures = []

    def handshake_failed(self, address, error):
        self.failures.append(error)


def test_a_context_of_greenio_is_used(server_context, client_context):
    with StreamServer(("127.0.0.1", 0), echo, ssl_context=server_context) as server:
        assert server.ssl_enabled and ask(server, client_context) == b"hello"


def test_a_context_of_the_standard_library_is_used(client_context):
    context = standard_ssl.SSLContext(standard_ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    with StreamServer(("127.0.0.1", 0), echo, ssl_context=context) as server:
        assert ask(server, client_context) == b"hello"


def test_certificates_are_read_from_files(client_context):
    with StreamServer(("127.0.0.1", 0), echo, certfile=CERTIFICATE, keyfile=KEY) as server:
        assert ask(server, client_context) == b"hello"


def test_the_certificate_is_chosen_by_the_name_that_a_client_asks_for(server_context):
    def choose(sock, name, context):
        if name == "other.example":
            sock.context = other

    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(OTHER_CERTIFICATE, OTHER_KEY)
    server_context.sni_callback = choose
    with StreamServer(("127.0.0.1", 0), echo, ssl_context=server_context) as server:
        for file, name in ((CERTIFICATE, "localhost"), (OTHER_CERTIFICATE, "other.example")):
            client = ssl.create_default_context(cafile=file)
            with create_connection(server.address, timeout=30) as plain:
                with client.wrap_socket(plain, server_hostname=name) as sock:
                    assert ("DNS", name) in sock.getpeercert()["subjectAltName"]
                    sock.sendall(b"hello")
                    assert sock.recv(1000) == b"hello"


def test_a_client_without_a_required_certificate_is_refused(client_context):
    asks = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": CERTIFICATE}
    with Failures(("127.0.0.1", 0), echo, certfile=CERTIFICATE, keyfile=KEY, **asks) as server:
        with pytest.raises(OSError):
            ask(server, client_context)
        until(lambda: server.failures)
        client_context.load_cert_chain(CERTIFICATE, KEY)
        assert ask(server, client_context) == b"hello"


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"keyfile": KEY}, ValueError, "needs a certificate"),
        ({"certfile": "/nowhere"}, OSError, "No such file.*'/nowhere'"),
        ({"certfile": CERTIFICATE, "keyfile": "/nowhere"}, OSError, "No such file.*'/nowhere'"),
        ({"certifile": CERTIFICATE}, TypeError, "no argument 'certifile'"),
        ({"certfile": CERTIFICATE, "ssl_context": 1}, TypeError, "does not go with ssl_context"),
    ],
)
def test_wrong_tls_arguments_are_refused_at_once(arguments, error, match):
    with pytest.raises(error, match=match):
        StreamServer(("127.0.0.1", 0), echo, **arguments)


def test_a_client_that_speaks_no_tls_is_dropped(server_context, client_context, errors):
    with Failures(("127.0.0.1", 0), echo, ssl_context=server_context) as server:
        with create_connection(server.address, timeout=30) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                while plain.recv(1000):
                    pass
        until(lambda: server.failures)
        assert isinstance(server.failures[0], ssl.SSLError)
        assert ask(server, client_context) == b"hello"
    assert errors.getvalue() == ""


def test_a_client_that_is_silent_for_too_long_is_dropped(server_context, client_context):
    """Other clients are served meanwhile, and the silent one is dropped when its time is over."""
    server = Failures(("127.0.0.1", 0), echo, ssl_context=server_context)
    with server:
        server.handshake_timeout = 0.2
        with create_connection(server.address, timeout=30) as silent:
            assert ask(server, client_context) == b"hello"
            assert silent.recv(1) == b""
    assert isinstance(server.failures[0], TimeoutError) and not server._handlers.running


def test_the_end_of_a_handler_ends_tls_as_well(server_context, client_context):
    """TLS's own message ends the connection. So the client knows that nothing was cut off."""

    def handle(sock, address):
        sock.sendall(b"all")

    with StreamServer(("127.0.0.1", 0), handle, ssl_context=server_context) as server:
        with create_connection(server.address, timeout=30) as plain:
            with client_context.wrap_socket(
                plain, server_hostname="localhost", suppress_ragged_eofs=False
            ) as connection:
                assert connection.recv(1000) == b"all" and connection.recv(1000) == b""


def test_a_new_context_is_used_for_new_connections(server_context, client_context):
    with StreamServer(("127.0.0.1", 0), echo, ssl_context=server_context) as server:
        assert ask(server, client_context) == b"hello"
        server.ssl_context = None
        with create_connection(server.address, timeout=30) as plain:
            plain.sendall(b"plain")
            assert plain.recv(100) == b"plain"


def test_stopping_ends_handshakes_without_a_report(server_context):
    server = Failures(("127.0.0.1", 0), echo, ssl_context=server_context)
    server.start()
    with create_connection(server.address, timeout=30) as silent:
        until(lambda: server._handlers.running)
        assert server.stop(timeout=0) == 1 and silent.recv(1) == b""
    assert server.failures == []


def test_a_handler_may_end_tls_and_go_on(server_context, client_context):
    def handle(sock, address):
        sock.sendall(b"tls")
        plain = sock.unwrap()
        plain.sendall(b"plain")

    with StreamServer(("127.0.0.1", 0), handle, ssl_context=server_context) as server:
        with create_connection(server.address, timeout=30) as plain:
            connection = client_context.wrap_socket(plain, server_hostname="localhost")
            assert connection.recv(100) == b"tls"
            after = spawn(connection.unwrap).get()
            assert after.recv(100) == b"plain"
            connection.close()


def test_handlers_get_the_addresses_of_tls_clients(server_context, client_context):
    seen = []

    def handle(sock, address):
        seen.append(address)

    with StreamServer(("127.0.0.1", 0), handle, ssl_context=server_context) as server:
        with create_connection(server.address, timeout=30) as plain:
            address = plain.getsockname()
            client_context.wrap_socket(plain, server_hostname="localhost").close()
        until(lambda: seen)
    assert seen == [address]
