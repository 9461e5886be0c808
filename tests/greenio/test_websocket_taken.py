"""WebSockets of greenio.wsgi whose socket the application takes, as simple-websocket does."""

import io

import pytest
from raw_http import connect, receive_all, receive_until, serving
from raw_websocket import request
from waiting import let_others_run, until

from greenio.websocket import WebSocketError

pytest.importorskip("websockets")


class TestTakenSockets:
    """environ["werkzeug.socket"], as simple-websocket uses it. With the library: tests/integration."""

    def taking(self, environ, start_response):
        sock = environ["werkzeug.socket"]
        sock.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        while data := sock.recv(65536):
            sock.sendall(data)
            if b"end" in data:
                break
        start_response("200 OK", [])
        return [b"never sent"]

    def test_a_taken_socket_belongs_to_the_application(self):
        with serving(self.taking) as server, connect(server) as sock:
            sock.sendall(request() + b"behind")
            receive_until(sock, b"\r\n\r\nbehind")
            sock.sendall(b"end")
            sock.shutdown(1)
            assert receive_all(sock) == b"end"

    def test_each_way_to_send_and_receive_takes_the_socket(self):
        def received_into(sock):
            buffer = bytearray(10)
            return bytes(buffer[: sock.recv_into(buffer)])

        def read(sock):
            with sock.makefile("rb") as file:
                return file.read(6)

        def received_and_sent(sock):
            data = sock.recvmsg(6)[0]
            sock.sendmsg([b""])
            return data

        ways = {b"/a": received_into, b"/b": read, b"/c": received_and_sent, b"/d": lambda sock: sock.recvfrom(6)[0]}

        def application(environ, start_response):
            sock = environ["werkzeug.socket"]
            data = ways[environ["PATH_INFO"].encode()](sock)
            sock.sendall(b"got " + data)
            start_response("200 OK", [])
            return [b"never sent"]

        for target in ways:
            with serving(application) as server, connect(server) as sock:
                sock.sendall(request(target=target))
                until(lambda server=server: server._connections)
                let_others_run()
                sock.sendall(b"behind")
                sock.shutdown(1)
                assert receive_all(sock) == b"got behind", target

    def test_errors_of_ended_connections_are_not_reported(self):
        for error in (ConnectionError, StopIteration, ConnectionResetError):
            errors = io.StringIO()

            def application(environ, start_response, error=error):
                environ["werkzeug.socket"].send(b"taken")
                raise error

            with serving(application, error_log=errors) as server, connect(server) as sock:
                sock.sendall(request())
                sock.shutdown(1)
                assert receive_all(sock) == b"taken"
            assert errors.getvalue() == ""

    def test_other_errors_are_reported_and_not_answered(self):
        errors = io.StringIO()

        def application(environ, start_response):
            environ["werkzeug.socket"].send(b"taken")
            raise ValueError("it is wrong")

        with serving(application, error_log=errors) as server, connect(server) as sock:
            sock.sendall(request())
            sock.shutdown(1)
            assert receive_all(sock) == b"taken"
        assert errors.getvalue().count("Traceback") == 1

    def test_the_websocket_is_refused_when_the_socket_was_taken(self):
        failed = []

        def application(environ, start_response):
            environ["werkzeug.socket"].send(b"taken")
            with pytest.raises(WebSocketError, match="the other of"):
                environ["wsgi.websocket"].send("a")
            failed.append(1)

        with serving(application) as server, connect(server) as sock:
            sock.sendall(request())
            sock.shutdown(1)
            assert receive_all(sock) == b"taken"
        assert failed == [1]

    def test_a_taken_socket_may_be_closed(self):
        def application(environ, start_response):
            sock = environ["werkzeug.socket"]
            sock.send(b"taken")
            assert sock.fileno() >= 0 and sock.getsockname()[0] == "127.0.0.1" and "socket" in repr(sock)
            sock.close()
            sock.close()
            assert sock.recv(10) == b""

        with serving(application) as server, connect(server) as sock:
            sock.sendall(request())
            assert receive_all(sock) == b"taken"
