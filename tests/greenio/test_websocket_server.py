"""WebSockets of greenio.wsgi: requests, origins, applications that refuse or fail, the end of the server."""

import io
import ssl as standard_ssl
import threading
from types import SimpleNamespace

import pytest
from places import CERTIFICATE, KEY
from raw_http import GET, answers_in, ask_one, connect, receive_all, receive_until, serving
from raw_websocket import ACCEPTED, CLOSE, TEXT, Peer, closing, frame, peer_of, request
from waiting import let_others_run, until, waiting_in
from wsgi_applications import echo

from greenio import Timeout, joinall, sleep, spawn, ssl
from greenio._websocket import sansio
from greenio._websocket import serving as serving_websockets
from greenio.event import Event
from greenio.websocket import ServerWebSocket, WebSocketError
from greenio.wsgi import Limits

pytest.importorskip("websockets")


def plain(environ, start_response):
    start_response("200 OK", [])
    return [b"plain"]


class TestRequests:
    def test_the_answer_has_the_fields_of_the_handshake(self):
        with serving(echo) as server, peer_of(server) as peer:
            lines = peer.answer.split(b"\r\n")
            assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
            assert sorted(lines[1:]) == [
                b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + ACCEPTED, b"Upgrade: websocket",
            ]  # fmt: skip

    def test_the_application_gets_path_origin_and_subprotocols(self):
        told = []

        def application(environ, start_response):
            websocket = environ["wsgi.websocket"]
            told.append((type(websocket), websocket.path, websocket.origin, websocket.subprotocols))
            told.append((environ["wsgi.websocket_version"], environ["QUERY_STRING"]))
            websocket.close()

        lines = [b"Origin: http://a", b"Sec-WebSocket-Protocol: one, two"]
        with serving(application) as server, peer_of(server, *lines, target=b"/chat?x=1") as peer:
            assert peer.close_code() == 1000
            peer.send(closing(1000))
        assert told == [(ServerWebSocket, "/chat", "http://a", ["one", "two"]), ("13", "x=1")]

    @pytest.mark.parametrize("value", [b"WebSocket", b"h2c, websocket"])
    def test_the_field_upgrade_may_have_other_protocols(self, value):
        with serving(echo) as server, connect(server) as sock:
            sock.sendall(request().replace(b"Upgrade: websocket", b"Upgrade: " + value))
            assert receive_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 101")

    def test_other_requests_have_no_websocket(self):
        def application(environ, start_response):
            assert "wsgi.websocket" not in environ and "werkzeug.socket" not in environ
            return plain(environ, start_response)

        with serving(application) as server:
            for wrong in (b"Connection: close", b"Connection: close\r\nX-Upgrade: x"):
                assert ask_one(server, request().replace(b"Connection: Upgrade", wrong)).code == 200
            assert ask_one(server, request().replace(b"Upgrade: websocket", b"Upgrade: h2c")).code == 200

    def test_malformed_handshakes_are_refused(self):
        with serving(echo) as server:
            answer = ask_one(server, request(version=b"8"))
            assert answer.code == 426 and answer.fields["sec-websocket-version"] == b"13"
            assert answer.fields["upgrade"] == b"websocket"
            for key in (b"", b"AAAA", b"not base 64, at all!!", b"dGhlIHNhbXBsZSBub25jZQ=", b"\xe9"):
                assert ask_one(server, request(key=key)).code == 400

    def test_a_subprotocol_is_chosen(self):
        def application(environ, start_response):
            websocket = environ["wsgi.websocket"]
            with pytest.raises(ValueError, match="not offered"):
                websocket.accept("three")
            websocket.accept("two", [("Set-Cookie", "a=b")])
            with pytest.raises(WebSocketError, match="already"):
                websocket.accept()
            websocket.send(websocket.subprotocol)
            websocket.close()

        offered = [b"Sec-WebSocket-Protocol: one", b"Sec-WebSocket-Protocol: two"]
        with serving(application) as server, peer_of(server, *offered) as peer:
            assert b"\r\nSec-WebSocket-Protocol: two" in peer.answer and b"\r\nSet-Cookie: a=b" in peer.answer
            assert peer.message() == "two" and peer.close_code() == 1000
            peer.send(closing(1000))

    def test_several_greenlets_make_one_handshake(self, monkeypatch):
        def slowly(key):
            sleep(0)
            return sansio.accept_key(key)

        monkeypatch.setattr(serving_websockets, "accept_key", slowly)

        def application(environ, start_response):
            websocket = environ["wsgi.websocket"]
            joinall([spawn(websocket.send, "a"), spawn(websocket.send, "b")], raise_error=True)

        with serving(application) as server, peer_of(server) as peer:
            assert [peer.message(), peer.message(), peer.close_code()] == ["a", "b", 1000]
            peer.send(closing(1000))

    def test_malformed_fields_of_the_application_are_refused(self):
        failed = []

        def application(environ, start_response):
            for fields in ([("A", "b\r\nC: d")], [("A", "\u20ac")], [("A b", "c")], {"A": "b\n"}):
                with pytest.raises(ValueError):
                    environ["wsgi.websocket"].accept(headers=fields)
                failed.append(fields)
            for fields in ([("A", 1)], [("A",)], ["ab"], 5):
                with pytest.raises(TypeError):
                    environ["wsgi.websocket"].accept(headers=fields)
                failed.append(fields)
            return plain(environ, start_response)

        with serving(application) as server:
            assert ask_one(server, request()).code == 200
        assert len(failed) == 8

    @pytest.mark.parametrize("name", [
        "Connection", "Upgrade", "Content-Length", "transfer-encoding", "Keep-Alive", "Trailer", "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions", "sec-websocket-protocol",
    ])  # fmt: skip
    def test_fields_of_the_handshake_are_refused(self, name):
        def application(environ, start_response):
            with pytest.raises(ValueError, match="handshake"):
                environ["wsgi.websocket"].accept(headers={name: "5"})
            environ["wsgi.websocket"].accept(headers={"Set-Cookie": "a=b"})
            environ["wsgi.websocket"].send("a")

        with serving(application) as server, peer_of(server) as peer:
            assert peer.answer.endswith(b"\r\nSet-Cookie: a=b") and b": 5" not in peer.answer
            assert peer.message() == "a" and peer.close_code() == 1000
            peer.send(closing(1000))

    def test_an_interrupted_handshake_closes_it(self):
        environ = {"PATH_INFO": "/", "HTTP_SEC_WEBSOCKET_KEY": "key"}
        told = []

        def write(data):
            raise Timeout(1)

        limits = Limits()
        server = SimpleNamespace(websocket_compression=False, limits=limits, draining=Event())
        handler = SimpleNamespace(
            socket=None, headers_sent=False, take_over=lambda: None, stream=SimpleNamespace(write=write), server=server,
            linger_at_end=told.append, environ=environ,
        )  # fmt: skip
        environ["HTTP_SEC_WEBSOCKET_VERSION"] = "13"
        upgrade = serving_websockets.Upgrade(handler, environ)
        websocket = environ["wsgi.websocket"]
        with pytest.raises(Timeout):
            websocket.accept()
        assert websocket.closed and websocket.close_code == 1006
        with pytest.raises(WebSocketError, match="closed with 1006"):
            websocket.send("a")
        websocket.close()  # has no effect
        error = ValueError()
        assert upgrade.end(error) is error and told == [False]

    @pytest.mark.parametrize("arguments", [{"cancel_when_gone": True}, {"request_timeout": 1000}], ids=str)
    def test_another_thread_may_make_the_handshake(self, arguments):
        def application(environ, start_response):
            websocket = environ["wsgi.websocket"]
            accepting = threading.Thread(target=websocket.accept)
            accepting.start()
            until(lambda: not accepting.is_alive())
            echo(environ, start_response)
            let_others_run()
            ended.append(websocket.close_code)

        ended = []
        with serving(application, websocket_ping_interval=0.01, **arguments) as server:
            with peer_of(server) as peer:
                peer.send(frame(TEXT, b"a"))
                first, data = peer.frame()
                while first == 0x89:
                    first, data = peer.frame()
                assert data == b"a"
                # Pings are sent, though the thread has ended.
                assert peer.frame() == (0x89, b"")
            # Only the WebSocket tells the application that the client has gone.
            until(lambda: ended)
        assert ended == [1006]

    def test_the_access_log_has_the_request(self):
        log = io.StringIO()
        with serving(echo, log=log) as server, peer_of(server, target=b"/chat") as peer:
            peer.send(frame(CLOSE))
            assert peer.close_code() == 1005 and peer.ends()
        assert '"GET /chat HTTP/1.1" 101 ' in log.getvalue()


class TestOrigins:
    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            (b"http://a", b"a"), (b"https://a", b"a"), (b"HTTP://A", b"a"), (b"http://a:80", b"a"),
            (b"http://a", b"a:80"), (b"https://a", b"a:443"), (b"http://a:8000", b"a:8000"),
            (b"http://[::1]:8000", b"[::1]:8000"),
        ],
    )  # fmt: skip
    def test_pages_of_the_same_host_may_connect(self, origin, host):
        with serving(echo) as server, peer_of(server, b"Origin: " + origin, host=host):
            pass

    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            (b"http://b", b"a"), (b"null", b"a"), (b"", b"a"), (b"a", b"a"), (b"http://a:8000", b"a"),
            (b"http://", b""), (b"http://a", b"a:443"), (b"http://a.b", b"a"), (b"http://b@a", b"a"),
            (b"http://a/", b"a"), (b"http://a\r\nOrigin: http://b", b"a"), (b"https://a:80", b"a"),
        ],
    )  # fmt: skip
    def test_pages_of_other_hosts_are_refused(self, origin, host):
        called = []
        with serving(lambda *args: called.append(1)) as server:
            answer = ask_one(server, request(b"Origin: " + origin, host=host))
            assert answer.code == 403 and answer.fields["connection"] == b"close"
        assert called == []

    def test_pages_of_origins_that_are_given_may_connect(self):
        named = ["https://b.example", "http://c.example:8000", "null"]
        with serving(echo, origins=named) as server:
            for origin in (
                b"https://b.example",
                b"https://B.example:443",
                b"http://c.example:8000",
                b"null",
                b"http://a",
            ):
                with peer_of(server, b"Origin: " + origin):
                    pass
            for origin in (b"http://b.example", b"http://c.example", b"https://x.b.example"):
                assert ask_one(server, request(b"Origin: " + origin)).code == 403
        with serving(echo, origins="*") as server, peer_of(server, b"Origin: http://anything"):
            pass
        with serving(echo, origins="http://b") as server, peer_of(server, b"Origin: http://b"):
            pass

    def test_malformed_origins_are_refused(self):
        for wrong in ("example.com", "https://", "https://a/path"):
            with pytest.raises(ValueError, match="scheme"), serving(echo, origins=[wrong]):
                pass
        with pytest.raises(TypeError), serving(echo, origins=[b"http://a"]):
            pass

    def test_behind_a_proxy_the_forwarded_host_counts(self):
        with serving(echo, forwarded_from="127.0.0.1") as server:
            with peer_of(server, b"Origin: https://public.example", b"X-Forwarded-Host: public.example"):
                pass

    def test_origins_are_checked_for_other_libraries_as_well(self):
        called = []
        with serving(lambda environ, _: called.append(environ["werkzeug.socket"])) as server:
            assert ask_one(server, request(b"Origin: http://b")).code == 403
        assert called == []


class TestApplications:
    def test_an_application_may_answer_without_a_websocket(self):
        with serving(plain) as server, connect(server) as sock:
            sock.sendall(request() + GET + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert [answer.code for answer in answers_in(receive_all(sock))] == [200, 200, 200]

    def test_the_handshake_is_refused_after_an_answer_has_begun(self):
        failed = []

        def application(environ, start_response):
            start_response("200 OK", [])(b"begun")
            with pytest.raises(WebSocketError, match="begun"):
                environ["wsgi.websocket"].send("a")
            failed.append(environ["wsgi.websocket"])
            return []

        with serving(application) as server:
            assert ask_one(server, request()).body == b"begun"
        with pytest.raises(WebSocketError, match="over"):
            failed[0].receive()

    def test_an_answer_beside_the_websocket_is_dropped(self):
        def application(environ, start_response):
            websocket = environ["wsgi.websocket"]
            websocket.send("a")
            write = start_response("200 OK", [("Content-Type", "text/plain")])
            write(b"nobody")
            yield b"sees"
            websocket.send("b")
            yield b"this"

        with serving(application) as server, peer_of(server) as peer:
            assert [peer.message(), peer.message(), peer.close_code()] == ["a", "b", 1000]
            peer.send(closing(1000))
            assert peer.ends()

    def test_an_application_that_returns_closes_it(self):
        def application(environ, start_response):
            environ["wsgi.websocket"].send("bye")
            return [b"never sent"]

        with serving(application) as server, peer_of(server) as peer:
            assert [peer.message(), peer.close_code()] == ["bye", 1000]
            peer.send(closing(1000))
            assert peer.ends()

    def test_an_application_may_return_none_after_using_it(self):
        errors = io.StringIO()
        with serving(lambda environ, _: environ["wsgi.websocket"].send("a"), error_log=errors) as server:
            with peer_of(server) as peer:
                assert [peer.message(), peer.close_code()] == ["a", 1000]
                peer.send(closing(1000))
        assert errors.getvalue() == ""

    def test_an_application_that_neither_uses_it_nor_answers_has_failed(self):
        errors = io.StringIO()
        with serving(lambda environ, start_response: [], error_log=errors) as server:
            assert ask_one(server, request()).code == 500
        assert "nor used environ['wsgi.websocket']" in errors.getvalue()

    def test_an_application_that_fails_closes_it_with_1011(self):
        errors = io.StringIO()

        def application(environ, start_response):
            environ["wsgi.websocket"].send("a")
            raise ValueError("it is wrong")

        with serving(application, error_log=errors) as server, peer_of(server) as peer:
            assert [peer.message(), peer.close_code()] == ["a", 1011]
            peer.send(closing(1011))
            assert peer.ends()
        assert errors.getvalue().count("Traceback") == 1 and "it is wrong" in errors.getvalue()

    def test_an_error_page_of_a_framework_closes_it_with_1011(self):
        def application(environ, start_response):
            environ["wsgi.websocket"].send("a")
            start_response("500 Internal Server Error", [])
            return [b"sorry"]

        with serving(application) as server, peer_of(server) as peer:
            assert [peer.message(), peer.close_code()] == ["a", 1011]
            peer.send(closing(1011))

    def test_an_application_that_fails_before_the_handshake_is_answered_500(self):
        errors = io.StringIO()

        def application(environ, start_response):
            raise ValueError("it is wrong")

        with serving(application, error_log=errors) as server:
            assert ask_one(server, request()).code == 500
        assert errors.getvalue().count("Traceback") == 1

    def test_a_client_that_leaves_is_not_reported(self):
        errors = io.StringIO()
        go = Event()

        def application(environ, start_response):
            websocket = environ["wsgi.websocket"]
            assert websocket.receive() == "a"
            go.wait()
            websocket.receive()
            websocket.send("b")

        with serving(application, error_log=errors) as server:
            with peer_of(server) as peer:
                peer.send(frame(TEXT, b"a"))
            go.set()
        assert errors.getvalue() == ""

    def test_without_the_package_websockets_the_error_says_what_to_install(self, monkeypatch):
        errors = io.StringIO()
        monkeypatch.setattr(sansio, "websockets", None)
        monkeypatch.setitem(__import__("sys").modules, "websockets", None)
        with serving(echo, error_log=errors) as server:
            assert ask_one(server, request()).code == 500
        last = errors.getvalue().strip().splitlines()[-1]
        assert last == "ImportError: greenio.websocket needs websockets: pip install 'greenio[websocket]'"

    def test_limits_of_requests_do_not_end_a_websocket(self):
        with serving(echo, request_timeout=0.05, cancel_when_gone=True, idle_timeout=0.05, body_timeout=0.05) as server:
            with peer_of(server) as peer:
                sleep(0.2)
                peer.send(frame(TEXT, b"a"))
                assert peer.message() == "a"
                peer.send(frame(CLOSE))
                assert peer.close_code() == 1005

    def test_messages_over_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, KEY)
        client = standard_ssl.SSLContext(standard_ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(CERTIFICATE)
        client.check_hostname = False
        seen = []

        def application(environ, start_response):
            seen.append(environ["wsgi.url_scheme"])
            return echo(environ, start_response)

        with serving(application, ssl_context=context) as server:
            with client.wrap_socket(connect(server)) as sock:
                sock.sendall(request())
                assert receive_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 101")
                peer = Peer(sock)
                for size in (1, 70_000, 1 << 20):
                    job = spawn(peer.send, frame(TEXT, b"x" * size))
                    assert peer.message() == "x" * size
                    job.get()
                peer.send(frame(CLOSE))
                assert peer.close_code() == 1005
        assert seen == ["https"]


class TestTheEndOfTheServer:
    def test_draining_closes_every_websocket_with_1001(self):
        with serving(echo) as server, peer_of(server) as one, peer_of(server) as two, peer_of(server) as silent:
            one.send(frame(TEXT, b"a"))
            assert one.message() == "a"
            stopping = spawn(server.stop, drain=30)
            for peer in (one, two, silent):
                assert peer.close_code() == 1001
            one.send(closing(1001))
            two.send(closing(1001))
            assert one.ends() and two.ends()
            silent.sock.close()
            assert stopping.get(timeout=30) == 0

    def test_a_request_behind_another_one_is_not_answered_while_it_drains(self):
        release = Event()

        def application(environ, start_response):
            if environ["PATH_INFO"] == "/slow":
                release.wait()
                return plain(environ, start_response)
            return echo(environ, start_response)

        with serving(application) as server, connect(server) as sock:
            sock.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + request())
            until(lambda: any(not handler.idle for handler in server._connections))
            let_others_run()
            stopping = spawn(server.stop, drain=30)
            until(lambda: server.draining)
            release.set()
            # The answer says that the connection closes. So the next request is not answered.
            (answer,) = answers_in(receive_all(sock))
            assert answer.code == 200 and answer.fields["connection"] == b"close"
            stopping.get()

    def test_a_request_that_is_read_while_it_drains_is_answered_503(self):
        with serving(echo) as server, connect(server) as sock:
            sock.sendall(request()[:-4])
            until(lambda: server._connections)
            let_others_run()
            server.draining.set()
            sock.sendall(b"\r\n\r\n")
            (answer,) = answers_in(receive_all(sock))
            assert answer.code == 503
            server.draining.clear()

    def test_a_handshake_while_it_drains_is_followed_by_a_close(self):
        go = Event()

        def application(environ, start_response):
            go.wait()
            return echo(environ, start_response)

        with serving(application) as server, connect(server) as sock:
            sock.sendall(request())
            until(lambda: any(handler.websocket_upgrade for handler in server._connections))
            stopping = spawn(server.stop, drain=30)
            until(lambda: server.draining)
            go.set()
            peer = Peer(sock, receive_until(sock, b"\r\n\r\n").partition(b"\r\n\r\n")[2])
            assert peer.close_code() == 1001
            peer.send(closing(1001))
            stopping.get()

    def test_draining_closes_websockets_of_other_libraries(self):
        taken = Event()

        def application(environ, start_response):
            sock = environ["werkzeug.socket"]
            sock.send(b"taken")
            taken.set()
            while sock.recv(100):
                pass

        with serving(application) as server, connect(server) as sock:
            sock.sendall(request())
            receive_until(sock, b"taken")
            stopping = spawn(server.stop, drain=30)
            peer = Peer(sock)
            assert peer.close_code() == 1001
            sock.shutdown(1)
            stopping.get()

    def test_stopping_closes_websockets_with_1001(self):
        with serving(echo) as server, peer_of(server) as peer:
            stopping = spawn(server.stop, 0.01)
            assert peer.close_code() == 1001
            peer.send(closing(1001))
            assert stopping.get() == 1

    def test_closing_the_server_closes_websockets_with_1001(self):
        with serving(echo) as server, peer_of(server) as peer:
            peer.send(frame(TEXT, b"a"))
            assert peer.message() == "a"
            closing_it = spawn(server.close)
            assert peer.close_code() == 1001
            assert peer.ends()
            closing_it.get()

    def test_a_killed_handler_closes_its_websocket_with_1011(self):
        handlers = []

        def application(environ, start_response):
            from greenlet import getcurrent

            handlers.append(getcurrent())
            return echo(environ, start_response)

        with serving(application) as server, peer_of(server) as peer:
            peer.send(frame(TEXT, b"a"))
            assert peer.message() == "a"
            waiting_in(handlers[0].kill)
            assert peer.close_code() == 1011 and peer.ends()
