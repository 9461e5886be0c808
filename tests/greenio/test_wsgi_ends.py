"""greenio.wsgi, the end of servers: requests under way, new clients, and clients whose request was refused."""

import pytest
from raw_http import GET, answers_in, connect, receive_all, receive_until, serving
from waiting import until
from wsgi_applications import hello

from greenio import sleep, spawn
from greenio.event import Event


def test_an_answer_that_has_begun_is_the_last_one_of_its_connection(monkeypatch):
    """The answer's head does not say that the connection ends."""

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        go_on.wait()
        yield b"b"

    go_on = Event()
    monkeypatch.setattr("greenio._wsgi.server.NEXT_REQUEST", 0)
    with serving(application) as server, connect(server) as client:
        client.sendall(GET)
        receive_until(client, b"1\r\na\r\n")
        stopping = spawn(server.stop, drain=1000)
        server.draining.wait()
        go_on.set()
        assert receive_all(client) == b"1\r\nb\r\n0\r\n\r\n"
        assert stopping.get() == 0


@pytest.mark.parametrize("seconds", [0, 1000])
def test_a_busy_client_is_served_once_more_when_the_server_stops(monkeypatch, seconds):
    """Otherwise its next request could meet a closed connection. A connection that has been idle is closed at once."""

    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]

    monkeypatch.setattr("greenio._wsgi.server.NEXT_REQUEST", seconds)
    with serving(application) as server, connect(server) as client:
        client.sendall(GET)
        receive_until(client, b"hello")
        (handler,) = server._connections
        until(lambda: handler.idle)
        stopping = spawn(server.stop, drain=30)
        server.draining.wait()
        if seconds:
            client.sendall(GET)
            (answer,) = answers_in(receive_all(client))
            assert answer.code == 200 and answer.fields["connection"] == b"close"
        else:
            assert receive_all(client) == b""
        assert stopping.get() == 0


def test_a_server_can_stop_gently():
    def application(environ, start_response):
        if environ["PATH_INFO"] != "/at-once":
            started.set()
            go_on.wait()
        start_response("200 OK", [])
        return [b"a"]

    started, go_on = Event(), Event()
    with serving(application) as server, connect(server) as busy, connect(server) as idle, connect(server) as new:
        idle.sendall(b"GET /at-once HTTP/1.1\r\nHost: a\r\n\r\n")
        receive_until(idle, b"a")
        busy.sendall(GET)
        started.wait()
        until(lambda: len(server._connections) == 3)
        stopping = spawn(server.stop, drain=30)
        server.draining.wait()
        new.sendall(b"GET /at-once HTTP/1.1\r\nHost: a\r\n\r\n")  # a client that had connected before is served
        assert answers_in(receive_all(new))[0].fields["connection"] == b"close"
        assert receive_all(idle) == b""
        go_on.set()
        (answer,) = answers_in(receive_all(busy))
        assert answer.body == b"a" and answer.fields["connection"] == b"close"
        assert stopping.get() == 0


BAD = b"GET / HTTP/1.1\r\n\r\n"  # without Host


def dribble(sock):
    """Send on and on, as a client that does not read the answer."""
    try:
        while True:
            sock.sendall(b"a")
            sleep(0.25)
    except OSError:
        pass


class TestClientsThatWereRefused:
    """The server reads on for a while, so that its answer arrives. The clock jumps."""

    @pytest.fixture
    def passed(self, greenio_clock):
        begin = greenio_clock.monotonic()
        return lambda: greenio_clock.monotonic() - begin

    def test_the_server_reads_from_them_for_ten_seconds(self, passed):
        with serving(hello) as server, connect(server) as sock:
            sock.sendall(BAD)
            dribbling = spawn(dribble, sock)
            assert answers_in(receive_all(sock))[0].code == 400
            dribbling.join()  # until the server closes the connection
        assert 10 <= passed() < 12

    def test_they_do_not_delay_the_end_of_a_server(self, passed):
        with serving(hello) as server, connect(server) as sock:
            sock.sendall(BAD)
            dribbling = spawn(dribble, sock)
            assert answers_in(receive_all(sock))[0].code == 400
            assert server.stop(drain=30) == 0
            dribbling.kill()
        assert passed() < 2

    def test_they_do_not_delay_a_server_that_ends_already(self, passed):
        with serving(hello) as server, connect(server) as sock:
            sock.sendall(BAD[:-2])
            until(lambda: server._connections and not next(iter(server._connections)).idle)
            stopping = spawn(server.stop, drain=30)
            server.draining.wait()
            sock.sendall(BAD[-2:])
            dribbling = spawn(dribble, sock)
            assert answers_in(receive_all(sock))[0].code == 400
            assert stopping.get() == 0
            dribbling.kill()
        assert passed() < 2
