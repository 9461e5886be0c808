"""Servers and other threads: another thread may end a server, and may not start one that runs."""

import threading

import pytest
from hub import InvalidThreadUseError, get_hub
from raw_http import GET
from waiting import in_thread, until
from wsgi_applications import hello

from greenio import sleep, spawn
from greenio.event import Event
from greenio.server import DatagramServer, StreamServer
from greenio.socket import create_connection
from greenio.wsgi import WSGIServer


class Waiting:
    """A handler with an event for its begin, and a list of how it has ended."""

    def __init__(self):
        self.begun, self.ended = Event(), []

    def __call__(self, sock, address):
        self.begun.set()
        try:
            sock.recv(100)
            self.ended.append("client")
        finally:
            self.ended.append("over")


@pytest.fixture(params=["stream", "datagram", "wsgi"])
def server(request):
    here = ("127.0.0.1", 0)
    if request.param == "wsgi":
        return WSGIServer(here, hello, log=None)
    return {"stream": StreamServer, "datagram": DatagramServer}[request.param](here, lambda *args: None)


@pytest.mark.parametrize("end", ["stop", "close"])
def test_another_thread_may_end_a_server(server, end):
    serving = spawn(server.serve_forever)
    until(lambda: server.started)
    thread = threading.Thread(target=getattr(server, end))
    thread.start()
    serving.get()  # serve_forever() returns when the server has ended
    until(lambda: not thread.is_alive())
    assert server.closed


@pytest.mark.parametrize(("arguments", "count"), [({"timeout": 0}, 1), ({"drain": 0}, 1), ({"drain": 1000}, 0)])
def test_another_thread_gets_the_number_of_killed_handlers(arguments, count):
    handler, killed = Waiting(), []
    with StreamServer(("127.0.0.1", 0), handler) as server, create_connection(server.address) as client:
        handler.begun.wait()
        thread = threading.Thread(target=lambda: killed.append(server.stop(**arguments)))
        thread.start()
        server.draining.wait()
        if not count:
            client.sendall(b"a")
        until(lambda: killed)
        thread.join()
    assert killed == [count] and handler.ended == (["over"] if count else ["client", "over"])


def test_another_thread_may_close_idle_connections():
    with WSGIServer(("127.0.0.1", 0), hello, log=None) as server, create_connection(server.address) as client:
        client.sendall(GET)
        while b"hello" not in client.recv(1000):
            pass
        thread = threading.Thread(target=server.stop, kwargs={"drain": 1000})
        thread.start()
        assert client.recv(1) == b""
        until(lambda: not thread.is_alive())


@pytest.mark.parametrize("end", ["stop", "close"])
def test_another_thread_gets_the_error_of_stopping(end, errors):
    class Failing(StreamServer):
        def _release_socket(self, sock):
            super()._release_socket(sock)
            raise LookupError("told")

    server = Failing(("127.0.0.1", 0), lambda *args: None)
    server.start()
    caught = []

    def end_it():
        try:
            getattr(server, end)()
        except LookupError as error:
            caught.append(error)

    thread = threading.Thread(target=end_it)
    thread.start()
    until(lambda: caught)
    thread.join()
    assert errors.getvalue() == ""


@pytest.mark.parametrize("start", ["start", "serve_forever", "__enter__"])
def test_another_thread_may_not_start_a_running_server(server, start):
    with server:
        with pytest.raises(InvalidThreadUseError, match="runs in another thread: stop it before you start it here"):
            in_thread(getattr(server, start))
        assert server.started


def test_a_server_may_run_in_one_thread_after_the_other(server):
    def run():
        with server:
            sleep(0)

    run()
    in_thread(run)
    run()
    assert server.closed


@pytest.mark.parametrize("end", ["stop", "close"])
def test_a_server_can_be_ended_after_its_thread(server, end):
    in_thread(server.start)
    getattr(server, end)()
    assert server.closed and server.socket is None


def test_a_drain_ends_with_the_servers_thread():
    """The hub is destroyed during a drain: the thread that waits for the drain goes on."""
    handler = Waiting()
    begun = threading.Event()
    servers = []

    def serve():
        servers.append(StreamServer(("127.0.0.1", 0), handler))
        servers[0].start()
        begun.set()
        servers[0].draining.wait()
        get_hub().destroy()

    thread = threading.Thread(target=serve)
    thread.start()
    begun.wait()
    (server,) = servers
    with create_connection(server.address):
        assert server.stop(drain=1000) == 0
        assert server.closed and handler.ended == ["over"]
    thread.join()
