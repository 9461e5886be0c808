"""greenio.websocket.connect(): clients, their arguments, handshakes that fail, proxies, TLS, and the end."""

import gc
import re
import subprocess
import sys
import threading
from base64 import b64encode
from contextlib import contextmanager, suppress

import pytest
from hub.current import get_hub_if_exists
from places import CERTIFICATE, KEY
from raw_http import receive_until, serving
from raw_websocket import ACCEPTED, PONG, TEXT, frame
from waiting import in_thread, until, until_waiting, waiting_in
from wsgi_applications import echo

from greenio import GreenletExit, Timeout, sleep, spawn, ssl
from greenio.event import AsyncResult
from greenio.server import StreamServer
from greenio.socket import create_connection
from greenio.websocket import HandshakeError, WebSocket, WebSocketError, connect

pytest.importorskip("websockets")


def address_of(server, scheme="ws", path="/"):
    return f"{scheme}://127.0.0.1:{server.server_port}{path}"


@contextmanager
def answering(data, ends=True):
    """Run a server that answers each connection with these bytes. `server.got` has the requests."""
    got = []

    def handle(sock, address):
        got.append(receive_until(sock, b"\r\n\r\n"))
        with suppress(ConnectionError):  # the client may have closed the connection already
            sock.sendall(data)
        if not ends:
            while sock.recv(100):
                pass

    with StreamServer(("127.0.0.1", 0), handle) as server:
        server.got = got
        yield server


@contextmanager
def raw_server(make=connect, hints=b"", **arguments):
    """Yield a client's WebSocket, and the server's end of its connection as a socket. `make` connects the client."""
    given, over = AsyncResult(), AsyncResult()

    def handle(sock, address):
        from websockets.utils import accept_key

        head = receive_until(sock, b"\r\n\r\n").decode()
        key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
        sock.sendall(
            hints + b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
        )
        given.set(sock)
        over.get()

    with StreamServer(("127.0.0.1", 0), handle) as server:
        with make(address_of(server), **arguments) as websocket:
            try:
                yield websocket, given.get()
            finally:
                over.set(True)


class TestMessages:
    @pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 1 << 20])
    @pytest.mark.parametrize("compression", [False, True])
    def test_messages_of_each_size_and_kind_are_echoed_to_clients(self, size, compression):
        with serving(echo, websocket_compression=True) as server:
            with connect(address_of(server), compression=compression) as websocket:
                for message in (b"\xff" * size, "x" * size, b"again"):
                    job = spawn(websocket.send, message)
                    assert websocket.receive() == message
                    job.get()
            assert websocket.close_code == 1000

    def test_each_frame_of_a_client_has_a_new_mask(self):
        with raw_server() as (websocket, sock):
            websocket.send("abc")
            websocket.send("abc")
            data = b""
            while len(data) < 18:
                data += sock.recv(100)
            assert data[:2] == data[9:11] == b"\x81\x83" and data[2:6] != data[11:15]
            sock.sendall(frame(8, mask=None))
            assert websocket.receive() is None

    def test_a_message_that_comes_with_the_answer_is_received(self):
        def application(environ, start_response):
            environ["wsgi.websocket"].send("early")
            return echo(environ, start_response)

        with serving(application) as server, connect(address_of(server)) as websocket:
            sleep(0)
            assert websocket.receive() == "early"

    def test_masked_frames_of_a_server_are_an_error(self):
        with raw_server() as (websocket, sock):
            sock.sendall(frame(TEXT, b"a"))
            assert websocket.receive() is None and websocket.close_code == 1002

    def test_clients_have_limits(self):
        def application(environ, start_response):
            environ["wsgi.websocket"].send(b"x" * 1001)
            return []

        with serving(application) as server, connect(address_of(server), max_size=1000) as websocket:
            assert websocket.receive() is None and websocket.close_code == 1009
        with serving(echo) as server, connect(address_of(server), max_size=None, max_fragments=None) as websocket:
            websocket.send("a")
            assert websocket.receive() == "a"

    def test_a_server_that_does_not_answer_pings_is_given_up(self):
        with serving(echo) as server:
            with connect(address_of(server), ping_interval=0.01) as websocket:
                job = waiting_in(websocket.receive)
                sleep(0.1)
                assert not job.ready()  # this server answers
                job.kill()
        with raw_server(ping_interval=0.01, ping_timeout=0.01) as (websocket, _):
            assert websocket.receive() is None and websocket.close_code == 1006

    def test_another_thread_may_send(self):
        with serving(echo) as server, connect(address_of(server)) as websocket:
            in_thread(websocket.send, "a")
            assert websocket.receive() == "a"


class TestHandshakes:
    def test_the_request_has_what_the_arguments_say(self):
        told = []

        def application(environ, start_response):
            told.append(environ.copy())
            websocket = environ["wsgi.websocket"]
            websocket.accept(websocket.subprotocols[-1])
            return []

        with serving(application) as server:
            port = server.server_port
            fields = {"Authorization": "Bearer x", "Cookie": "a=b"}
            websocket = connect(
                address_of(server, path="/chat?x=1"),
                subprotocols=["one", "two"],
                headers=fields,
                origin=f"http://127.0.0.1:{port}",
            )
            with websocket:
                assert websocket.subprotocol == "two" and isinstance(websocket, WebSocket)
                assert websocket.receive() is None
        (environ,) = told
        assert environ["RAW_URI"] == "/chat?x=1" and environ["HTTP_HOST"] == f"127.0.0.1:{port}"
        assert environ["HTTP_AUTHORIZATION"] == "Bearer x" and environ["HTTP_COOKIE"] == "a=b"
        assert environ["HTTP_ORIGIN"] == f"http://127.0.0.1:{port}"
        assert "HTTP_SEC_WEBSOCKET_EXTENSIONS" not in environ

    def test_a_refusal_has_status_headers_and_body(self):
        def application(environ, start_response):
            start_response("401 Unauthorized", [("WWW-Authenticate", "Basic")])
            return [b"who are you?"]

        with serving(application) as server, pytest.raises(HandshakeError, match="401") as caught:
            connect(address_of(server))
        error = caught.value
        assert (error.status, error.body) == (401, b"who are you?")
        assert ("WWW-Authenticate", "Basic") in error.headers
        assert isinstance(error, WebSocketError) and isinstance(error, OSError)

    @pytest.mark.parametrize(
        "answer",
        [
            b"", b"SSH-2.0-OpenSSH\r\n", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            b"HTTP/1.1 101 OK\r\n\r\n", b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + ACCEPTED
            + b"\r\n\r\n",
            b"HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", b"\0" * 3_000_000,
        ],
    )  # fmt: skip
    def test_answers_that_are_no_handshake_are_errors(self, answer):
        with answering(answer) as server, pytest.raises((HandshakeError, ConnectionResetError)):
            connect(address_of(server))

    def test_connecting_times_out_if_nobody_answers(self):
        with answering(b"", ends=False) as server:
            with pytest.raises(TimeoutError, match="0.05 s"):
                connect(address_of(server), timeout=0.05)
            with pytest.raises(Timeout), Timeout(0.05):
                connect(address_of(server))
            job = waiting_in(connect, address_of(server))
            job.kill()

    @pytest.mark.parametrize(
        ("fields", "body"),
        [
            (b"Content-Length: 50", b"cut short"), (b"Content-Length: 5000000", b"x" * 1_200_000),
            (b"Transfer-Encoding: chunked", b"5\r\nhe"), (b"Transfer-Encoding: chunked", b"malformed\r\n"),
            (b"Content-Length: -1", b"body"), (b"Content-Length: 1\r\nContent-Length: 2", b"ab"),
        ],
        ids=["cut", "long", "cut chunk", "bad chunk", "negative", "two"],
    )  # fmt: skip
    def test_a_refusal_has_its_status_though_its_body_is_malformed(self, fields, body):
        answer = b"HTTP/1.1 503 Later\r\nRetry-After: 5\r\n" + fields + b"\r\n\r\n" + body
        with answering(answer) as server:
            with pytest.raises(HandshakeError, match="refused: HTTP 503") as caught:
                connect(address_of(server))
        error = caught.value
        assert error.status == 503 and ("Retry-After", "5") in error.headers
        assert body.startswith(error.body) and error.body

    def test_hints_before_the_answer_are_skipped(self):
        hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
        with answering(hints + b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno") as server:
            with pytest.raises(HandshakeError) as caught:
                connect(address_of(server))
        assert (caught.value.status, caught.value.body) == (401, b"no")
        with raw_server(hints=hints) as (websocket, sock):
            sock.sendall(frame(TEXT, b"a", mask=None))
            assert websocket.receive() == "a"
            sock.close()
        with answering(hints) as server, pytest.raises(HandshakeError, match="not answered"):
            connect(address_of(server))

    def test_connecting_is_refused_if_nobody_listens(self):
        with StreamServer(("127.0.0.1", 0), lambda *args: None) as server:
            uri = address_of(server)
        with pytest.raises(ConnectionRefusedError):
            connect(uri)

    def test_malformed_uris_fields_and_proxies_are_refused(self):
        for wrong in ("http://127.0.0.1/", "ws:///path", "127.0.0.1"):
            with pytest.raises(ValueError):
                connect(wrong)
        for fields in ({"A": "b\r\nC: d"}, {"A": "\u20ac"}, {"A b": "c"}, {"": "x"}):
            with pytest.raises(ValueError, match="field"):
                connect("ws://127.0.0.1:1/", headers=fields)
        with pytest.raises(ValueError, match="proxy"):
            connect("ws://127.0.0.1:1/", proxy="socks5://127.0.0.1:1")


APPLICATION = """
def application(environ, start_response):
    websocket = environ["wsgi.websocket"]
    for message in websocket:
        websocket.send(message)
    return []
"""


class TestArguments:
    """Wrong arguments are refused before a connection is made: nobody listens at this address."""

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"ping_interval": -1}, ValueError), ({"ping_interval": float("nan")}, ValueError),
            ({"ping_interval": "1"}, TypeError), ({"ping_interval": 0}, ValueError),
            ({"ping_timeout": -1}, ValueError), ({"ping_timeout": "1"}, TypeError),
            ({"write_timeout": float("nan")}, ValueError), ({"write_timeout": "1"}, TypeError),
            ({"timeout": float("nan")}, ValueError), ({"timeout": "1"}, TypeError),
            ({"max_size": -1}, ValueError), ({"max_size": "1"}, TypeError), ({"max_size": 1.5}, TypeError),
            ({"max_fragments": -1}, ValueError), ({"max_fragments": "1"}, TypeError),
            ({"subprotocols": "chat"}, TypeError), ({"subprotocols": [1]}, TypeError),
            ({"subprotocols": ["a b"]}, ValueError), ({"subprotocols": ["a\r\nX: y"]}, ValueError),
            ({"subprotocols": [""]}, ValueError), ({"subprotocols": ["a", "a"]}, ValueError),
            ({"origin": 1}, TypeError), ({"origin": "http://a\r\nX: y"}, ValueError),
            ({"origin": "\u20ac"}, ValueError),
            ({"ssl_context": 1}, TypeError), ({"proxy": 1}, TypeError), ({"proxy": b"http://a"}, TypeError),
        ],
        ids=str,
    )  # fmt: skip
    def test_a_wrong_argument_is_refused(self, arguments, error):
        with pytest.raises(error):
            connect("ws://127.0.0.1:1/", **arguments)

    @pytest.mark.parametrize("fields", [
        [("a", 1)], [(1, "a")], [("a",)], ["ab"], {b"a": b"b"}, 5,
    ], ids=str)  # fmt: skip
    def test_headers_of_wrong_types_are_refused(self, fields):
        with pytest.raises(TypeError):
            connect("ws://127.0.0.1:1/", headers=fields)

    @pytest.mark.parametrize("name", [
        "Connection", "upgrade", "Content-Length", "Transfer-Encoding", "TE", "Trailer", "Keep-Alive",
        "Sec-WebSocket-Key", "Sec-WebSocket-Version", "sec-websocket-protocol", "Sec-WebSocket-Extensions", "", "a b",
    ])  # fmt: skip
    def test_headers_of_the_handshake_itself_are_refused(self, name):
        with pytest.raises(ValueError, match="name of a field|handshake's own"):
            connect("ws://127.0.0.1:1/", headers={name: "1"})

    @pytest.mark.parametrize("uri", [5, None, b"ws://127.0.0.1:1/"])
    def test_uris_of_other_types_are_refused(self, uri):
        with pytest.raises(TypeError):
            connect(uri)

    @pytest.mark.parametrize("place", ["/a b", "/a\r\nX: y", "\n/", "/\x7f", "/\0"])
    def test_uris_with_spaces_and_control_characters_are_refused(self, place):
        with pytest.raises(ValueError, match="spaces"):
            connect(f"ws://127.0.0.1:1{place}")

    def test_limits_of_clients_can_be_turned_off(self):
        with serving(echo) as server:
            names = ["timeout", "ping_interval", "ping_timeout", "write_timeout"]
            for arguments in [dict.fromkeys(names), dict.fromkeys(names, float("inf"))]:
                with connect(address_of(server), max_size=None, max_fragments=None, **arguments) as websocket:
                    websocket.send("a")
                    assert websocket.receive() == "a" and websocket._timer is None


def test_a_server_of_the_command_line_has_the_options(tmp_path):
    (tmp_path / "echo.py").write_text(APPLICATION)
    command = [
        sys.executable, "-m", "greenio.wsgi", "echo:application", "-b", "127.0.0.1:0", "--origin", "https://b",
        "--origin", "https://c", "--websocket-max-size", "10", "--websocket-compression",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            uri = "ws://" + re.search(r"http://(\S+)", process.stderr.readline())[1]
            with pytest.raises(HandshakeError, match="403"):
                connect(uri, origin="https://d")
            with connect(uri, origin="https://c", compression=True) as websocket:
                websocket.send("a" * 10)
                assert websocket.receive() == "a" * 10 and websocket._compresses
                websocket.send("a" * 11)
                assert websocket.receive() is None and websocket.close_code == 1009
            with connect(uri, origin="https://b") as websocket:
                websocket.send("a")
                assert websocket.receive() == "a"
                process.terminate()
                assert websocket.receive() is None and websocket.close_code == 1001
            assert process.wait(30) == 0 and "Traceback" not in process.stderr.read()
        finally:
            process.kill()


class TestOtherThreads:
    def test_pings_are_sent_after_the_end_of_the_thread_that_connected(self):
        def elsewhere(*args, **options):
            made = []
            thread = threading.Thread(target=lambda: made.append(connect(*args, **options)))
            thread.start()
            until(lambda: not thread.is_alive())
            return made[0]

        with raw_server(elsewhere, ping_interval=0.01) as (websocket, peer):
            receiving = waiting_in(websocket.receive)
            for _ in range(3):
                assert peer.recv(6)[:2] == b"\x89\x80"
                peer.sendall(frame(PONG, mask=None))
            peer.sendall(frame(TEXT, b"a", mask=None))
            assert receiving.get() == "a"
            peer.close()

    def test_a_thread_that_frees_a_websocket_gets_no_hub(self):
        with serving(echo) as server:
            held = [connect(address_of(server))]

            def drop():
                held.clear()
                return get_hub_if_exists()

            assert in_thread(drop) is None


class TestTheEnd:
    @pytest.mark.parametrize(
        ("error", "seconds", "code"),
        [(None, 10, 1000), (ValueError, 10, 1011), (GreenletExit, 0.5, 1011), (Timeout(1), 0.5, 1011)],
        ids=["none", "an exception", "a kill", "a Timeout"],
    )
    def test_how_long_a_with_statement_waits_for_the_peer(self, monkeypatch, error, seconds, code):
        told = []
        monkeypatch.setattr(WebSocket, "close", lambda self, code, timeout: told.append((code, timeout)))
        with suppress(ValueError, GreenletExit, Timeout), WebSocket():
            if error is not None:
                raise error
        assert told == [(code, seconds)]

    def test_the_socket_is_closed_when_the_server_has_closed(self):
        with serving(lambda environ, _: environ["wsgi.websocket"].close(3000, "why")) as server:
            websocket = connect(address_of(server))
            assert websocket.receive() is None
            assert (websocket.close_code, websocket.close_reason) == (3000, "why")
            assert websocket._sock.fileno() < 0

    def test_an_error_in_a_with_statement_closes_it_with_1011(self):
        codes = []

        def application(environ, start_response):
            websocket = environ["wsgi.websocket"]
            assert websocket.receive() is None
            codes.append(websocket.close_code)

        with serving(application) as server:
            with pytest.raises(ZeroDivisionError), connect(address_of(server)):
                raise ZeroDivisionError
        assert codes == [1011]

    def test_a_websocket_without_references_is_closed(self):
        over = AsyncResult()

        def application(environ, start_response):
            websocket = environ["wsgi.websocket"]
            assert list(websocket) == ["a"]
            over.set(websocket.close_code)

        with serving(application) as server:
            websocket = connect(address_of(server), ping_interval=0.01)
            websocket.send("a")
            sleep(0.03)  # the timer of pings fires several times
            del websocket
            gc.collect()
            assert over.get(timeout=30) == 1006


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(CERTIFICATE)
    context.check_hostname = False
    return context


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


class TestTLS:
    def test_messages_over_tls(self):
        with serving(echo, ssl_context=server_context()) as server:
            with connect(address_of(server, "wss"), ssl_context=client_context()) as websocket:
                for message in ("a", b"x" * 300_000):
                    job = spawn(websocket.send, message)
                    assert websocket.receive() == message
                    job.get()

    def test_the_certificate_is_checked(self):
        with serving(echo, ssl_context=server_context()) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                connect(address_of(server, "wss"))

    def test_a_client_that_only_sends_notices_the_end(self):
        with serving(lambda environ, _: environ["wsgi.websocket"].close(), ssl_context=server_context()) as server:
            with connect(address_of(server, "wss"), ssl_context=client_context()) as websocket:
                job = waiting_in(sleep, 0.1)
                job.get()
                websocket._last_heard -= 2
                with pytest.raises(WebSocketError, match="closed"):
                    while True:
                        websocket.send("a")
                        websocket._last_heard -= 2

    def test_a_sender_killed_within_a_tls_record_ends_the_connection(self):
        def application(environ, start_response):
            environ["wsgi.websocket"].accept()
            sleep(30)

        with serving(application, ssl_context=server_context()) as server:
            websocket = connect(address_of(server, "wss"), ssl_context=client_context())
            job = spawn(websocket.send, b"x" * 30_000_000)
            until_waiting(job)
            sleep(0.05)
            until_waiting(job)
            job.kill()
            assert websocket.closed and websocket.receive() is None
            server.close()


@contextmanager
def proxy(answer=b"HTTP/1.1 200 Connection established\r\n\r\n"):
    """Run a proxy that knows CONNECT. `server.asked` has the requests."""
    asked = []

    def handle(sock, address):
        head = receive_until(sock, b"\r\n\r\n")
        asked.append(head)
        host, _, port = head.split()[1].decode().rpartition(":")
        if not answer.startswith(b"HTTP/1.1 200"):
            sock.sendall(answer)
            return
        with create_connection((host.strip("[]"), int(port))) as other:
            sock.sendall(answer)

            def pump(source, target):
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(1)

            back = spawn(pump, other, sock)
            pump(sock, other)
            back.join()

    with StreamServer(("127.0.0.1", 0), handle) as server:
        server.asked = asked
        yield server
        server.stop(10)


class TestProxies:
    @pytest.mark.parametrize("scheme", ["ws", "wss"])
    def test_a_client_connects_through_a_proxy(self, scheme):
        secure = {"ssl_context": server_context()} if scheme == "wss" else {}
        context = client_context() if secure else None
        with serving(echo, **secure) as server, proxy() as through:
            place = f"http://user:pass%20word@127.0.0.1:{through.server_port}"
            with connect(address_of(server, scheme), proxy=place, ssl_context=context) as websocket:
                websocket.send("a")
                assert websocket.receive() == "a"
            lines = through.asked[0].decode().split("\r\n")
            assert lines[0] == f"CONNECT 127.0.0.1:{server.server_port} HTTP/1.1"
            assert f"Proxy-Authorization: Basic {b64encode(b'user:pass word').decode()}" in lines

    def test_a_refusal_of_the_proxy_has_its_status(self):
        refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"
        with proxy(refusal) as through, pytest.raises(HandshakeError, match="407") as caught:
            connect("ws://127.0.0.1:1/", proxy=f"http://127.0.0.1:{through.server_port}")
        assert caught.value.status == 407 and caught.value.headers == [("Proxy-Authenticate", "Basic")]

    @pytest.mark.parametrize("answer", [b"", b"what?\r\n\r\n", b"HTTP/1.1 \xb2\xb2\xb2 \r\n\r\n", b"\0" * 200_000])
    def test_a_malformed_answer_of_the_proxy_is_an_error(self, answer):
        with answering(answer) as through, pytest.raises((HandshakeError, ConnectionResetError)):
            connect("ws://127.0.0.1:1/", proxy=f"http://127.0.0.1:{through.server_port}")

    def test_data_behind_the_answer_of_the_proxy_are_an_error(self):
        with answering(b"HTTP/1.1 200 OK\r\n\r\nmore") as through, pytest.raises(HandshakeError, match="behind"):
            connect("ws://127.0.0.1:1/", proxy=f"http://127.0.0.1:{through.server_port}")

    def test_the_proxy_of_the_environment_is_used(self, monkeypatch):
        for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        with serving(echo) as server, proxy() as through:
            uri = address_of(server)
            place = f"http://127.0.0.1:{through.server_port}"
            for name, seen in (("ws_proxy", 1), ("http_proxy", 1), ("wss_proxy", 0)):
                monkeypatch.setenv(name, place)
                with connect(uri):
                    pass
                assert len(through.asked) == seen
                through.asked.clear()
                monkeypatch.delenv(name)
            monkeypatch.setenv("ws_proxy", place)
            with connect(uri, proxy=None):
                pass
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            with connect(uri):
                pass
            assert through.asked == []
