"""greenio.websocket with other libraries: clients, servers, and applications that have a WebSocket of their own."""

import pytest

from greenio.socket import create_connection
from greenio.websocket import HandshakeError, connect
from greenio.wsgi import WSGIServer

pytest.importorskip("websockets")
pytest.importorskip("httptools")


def test_the_client_of_websockets_with_our_server(run_program):
    agreed = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    ends = ["in parts True", "3001 as you wish"]
    assert run_program("web_sockets", "with_websockets").splitlines() == [
        "{'together'}", f"chat {agreed}", *ends, "chat None", *ends, "403", "1001 0",
    ]  # fmt: skip


def test_websocket_client_with_our_server(run_program):
    pytest.importorskip("websocket")
    printed = run_program("web_sockets", "with_websocket_client")
    assert printed == "{'together'}\nchat True\n8 3001 as you wish\n403\n"


def test_our_client_with_the_server_of_websockets(run_program):
    printed = run_program("web_sockets", "with_a_server_of_websockets")
    assert printed == "{('together', 'chat')}\n1000\n1000\n"


def test_nginx_with_the_settings_of_the_guide(nginx_for_websockets):
    """Pages from nginx's own address may connect, and other requests share few connections."""
    url, folder = nginx_for_websockets
    served = set()

    def application(environ, start_response):
        if "wsgi.websocket" in environ:
            for message in environ["wsgi.websocket"]:
                environ["wsgi.websocket"].send(f"{environ['HTTP_HOST']} {message}")
            return []
        served.add(environ["greenio.client"])
        start_response("200 OK", [])
        return [b"hello\n"]

    host = url.removeprefix("http://")
    address = ("127.0.0.1", int(host.rpartition(":")[2]))
    with WSGIServer(f"unix:{folder}/socket", application, log=None, mode=0o666, forwarded_from="unix"):
        with connect(f"ws://{host}/", origin=url, proxy=None) as client:
            client.send("hello")
            assert client.receive(timeout=60) == f"{host} hello"
        with pytest.raises(HandshakeError) as refused:
            connect(f"ws://{host}/", origin="http://other.example", proxy=None)
        assert refused.value.status == 403
        with create_connection(address, timeout=60) as sock, sock.makefile("rb") as lines:
            for _ in range(20):
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                while b"hello" not in lines.readline():
                    pass
        assert len(served) <= 4


def test_flask_sock_and_simple_websocket(run_program):
    pytest.importorskip("flask_sock")
    assert run_program("web_sockets", "with_flask_sock") == "{(True, 1000)} 50\n300006\n1001 0\n"


def test_flask_socketio_with_threads(run_program):
    pytest.importorskip("flask_socketio")
    pytest.importorskip("websocket")
    assert run_program("web_sockets", "with_flask_socketio") == "{(True, 'websocket')}\nwebsocket\n"
