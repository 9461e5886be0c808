"""greenio.websocket and other libraries.

Other clients talk to its server, its client to another server, and applications have WebSockets of their own.
"""

import logging
import threading

from together import together

import greenio
from greenio.websocket import connect
from greenio.wsgi import WSGIServer

COUNT = 50


def silent():
    logger = logging.getLogger("silent")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def meeting_then_echo():
    """An application that answers "together" when each of the greenlets has asked for it."""
    meeting = threading.Barrier(COUNT, timeout=30)

    def application(environ, start_response):
        websocket = environ["wsgi.websocket"]
        if "chat" in websocket.subprotocols:
            websocket.accept("chat")
        for message in websocket:
            if message == "together":
                meeting.wait()
            if message == "close":
                websocket.close(3001, "as you wish")
            else:
                websocket.send(message)

    return application


def with_websockets():
    """The client of websockets."""
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import connect as their_connect

    with WSGIServer(("127.0.0.1", 0), meeting_then_echo(), log=None, websocket_compression=True) as server:
        url = f"ws://127.0.0.1:{server.server_port}/"
        options = {"logger": silent(), "proxy": None, "ping_interval": None}

        def talk(number):
            with their_connect(url, **options) as client:
                client.send("together")
                return client.recv(timeout=30)

        print(set(together(COUNT, talk)))
        for compression in ("deflate", None):
            with their_connect(url, compression=compression, subprotocols=["x", "chat"], **options) as client:
                agreed = client.response.headers.get("Sec-WebSocket-Extensions")
                print(client.subprotocol, agreed)
                for message in ("text", b"\0" * 500_000, "", "\u20ac" * 30_000):
                    client.send(message)
                    assert client.recv(timeout=30) == message
                client.send(["in ", "", "parts"])
                print(client.recv(timeout=30), client.ping().wait(30))
                client.send("close")
                try:
                    client.recv(timeout=30)
                except ConnectionClosed as closed:
                    print(closed.rcvd.code, closed.rcvd.reason)
        try:
            their_connect(url, origin="https://evil.example", **options)
        except InvalidStatus as refused:
            print(refused.response.status_code)
        client = their_connect(url, **options)
        client.send("a")
        assert client.recv(timeout=30) == "a"
        stopping = greenio.spawn(server.stop, drain=30)
        try:
            client.recv(timeout=30)
        except ConnectionClosed as closed:
            print(closed.rcvd.code, stopping.get())


def with_websocket_client():
    """websocket-client."""
    import websocket

    with WSGIServer(("127.0.0.1", 0), meeting_then_echo(), log=None) as server:
        url = f"ws://127.0.0.1:{server.server_port}/"

        def talk(number):
            client = websocket.create_connection(url, timeout=30)
            client.send("together")
            answer = client.recv()
            client.close()
            return answer

        print(set(together(COUNT, talk)))
        client = websocket.create_connection(url, timeout=30, subprotocols=["chat"])
        client.ping("x")
        client.send_binary(b"\xff" * 100_000)
        print(client.subprotocol, client.recv() == b"\xff" * 100_000)
        client.send("close")
        opcode, data = client.recv_data()
        print(opcode, int.from_bytes(data[:2], "big"), data[2:].decode())
        client.shutdown()
        try:
            websocket.create_connection(url, timeout=30, origin="https://evil.example")
        except websocket.WebSocketBadStatusException as refused:
            print(refused.status_code)


def with_a_server_of_websockets():
    """Our client, and the server of websockets, each of whose connections is a thread."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import serve

    meeting = threading.Barrier(COUNT, timeout=30)

    def handle(connection):
        try:
            for message in connection:
                if message == "together":
                    meeting.wait()
                connection.send(message)
        except ConnectionClosed:
            pass

    with serve(handle, "127.0.0.1", 0, logger=silent(), subprotocols=["chat"]) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"

        def talk(number):
            with connect(url, subprotocols=["chat"]) as client:
                client.send("together")
                return client.receive(), client.subprotocol

        print(set(together(COUNT, talk)))
        for compression in (False, True):
            with connect(url, subprotocols=["chat"], compression=compression) as client:
                for message in ("text", b"\0" * 500_000, "\u20ac" * 30_000):
                    client.send(message)
                    assert client.receive(timeout=30) == message
            print(client.close_code)
        server.shutdown()
        serving.join()


def with_flask_sock():
    """Flask-Sock, and simple-websocket below it, which takes over the socket."""
    import flask
    from flask_sock import Sock
    from simple_websocket import Client, ConnectionClosed

    application = flask.Flask(__name__)
    sock = Sock(application)
    meeting = threading.Barrier(COUNT, timeout=30)
    ended = []

    @sock.route("/echo/<name>")
    def echo(websocket, name):
        try:
            while True:
                message = websocket.receive()
                if message == "together":
                    meeting.wait()
                if message == "leave":
                    return
                websocket.send(f"{name}: {message}")
        finally:
            ended.append(name)

    @application.get("/")
    def plain():
        return "plain"

    with WSGIServer(("127.0.0.1", 0), application, log=None) as server:
        url = f"ws://127.0.0.1:{server.server_port}/echo/"

        def talk(number):
            client = Client(f"{url}{number}")
            client.send("together")
            answer = client.receive(timeout=30)
            client.send("leave")
            try:
                client.receive(timeout=30)
            except ConnectionClosed as closed:
                return answer == f"{number}: together", int(closed.reason)

        print(set(together(COUNT, talk)), len(ended))
        client = Client(f"{url}last")
        client.send("x" * 300_000)
        print(len(client.receive(timeout=30)))
        stopping = greenio.spawn(server.stop, drain=30)
        try:
            client.receive(timeout=30)
        except ConnectionClosed as closed:
            print(int(closed.reason), stopping.get())


def with_flask_socketio():
    """Flask-SocketIO with async_mode="threading"."""
    import flask
    import socketio
    from flask_socketio import SocketIO, emit

    application = flask.Flask(__name__)
    events = SocketIO(application, async_mode="threading", logger=False)
    meeting = threading.Barrier(COUNT, timeout=30)

    @events.on("together")
    def all_together(name):
        meeting.wait()
        emit("answer", f"hello {name}")

    with WSGIServer(("127.0.0.1", 0), application, log=None) as server:
        url = f"http://127.0.0.1:{server.server_port}"

        def talk(number):
            with socketio.SimpleClient() as client:
                client.connect(url, transports=["websocket"])
                client.emit("together", str(number))
                return client.receive(timeout=30) == ["answer", f"hello {number}"], client.transport

        print(set(together(COUNT, talk)))
        with socketio.SimpleClient() as client:
            client.connect(url)  # long polling first, and then a WebSocket
            print(client.transport)
