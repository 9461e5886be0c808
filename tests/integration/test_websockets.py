"""greenio.websocket with other libraries: their clients and servers, and applications that bring a WebSocket along."""

import pytest

pytest.importorskip("websockets")
pytest.importorskip("httptools")


def test_the_client_of_websockets(run_program):
    agreed = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    ends = ["in parts True", "3001 as you wish"]
    assert run_program("web_sockets", "with_websockets").splitlines() == [
        "{'together'}", f"chat {agreed}", *ends, "chat None", *ends, "403", "1001 0",
    ]  # fmt: skip


def test_the_client_of_websocket_client(run_program):
    pytest.importorskip("websocket")
    printed = run_program("web_sockets", "with_websocket_client")
    assert printed == "{'together'}\nchat True\n8 3001 as you wish\n403\n"


def test_our_client_and_the_server_of_websockets(run_program):
    printed = run_program("web_sockets", "with_a_server_of_websockets")
    assert printed == "{('together', 'chat')}\n1000\n1000\n"


def test_flask_sock_and_simple_websocket(run_program):
    pytest.importorskip("flask_sock")
    assert run_program("web_sockets", "with_flask_sock") == "{(True, 1000)} 50\n300006\n1001 0\n"


def test_flask_socketio_with_threads(run_program):
    pytest.importorskip("flask_socketio")
    pytest.importorskip("websocket")
    assert run_program("web_sockets", "with_flask_socketio") == "{(True, 'websocket')}\nwebsocket\n"
