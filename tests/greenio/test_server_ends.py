"""How stream servers end: stop(), drains, handlers that wait, and handlers that refuse to end."""

import socket as standard
from contextlib import suppress

import pytest
from naming import named
from stream_servers import check_refused, echo
from waiting import let_others_run, until, until_waiting

from greenio import Greenlet, get_hub, kill, spawn
from greenio.event import Event
from greenio.pool import Pool
from greenio.server import StreamServer
from greenio.socket import create_connection, socket
from greenio.threadpool import ThreadPool


def my_spawn(function, *args):
    return spawn(function, *args)


def silent_spawn(function, *args):
    """Spawn a handler, and do not return its greenlet."""
    spawn(function, *args)


SPAWNS = ["default", 5, my_spawn, silent_spawn, "pool", None]


@pytest.fixture(params=SPAWNS, ids=named)
def spawning(request):
    return Pool(5) if request.param == "pool" else request.param


class Waiting:
    """A handler that waits for one message, and answers it in capitals."""

    def __init__(self):
        self.begun, self.ended, self.answered = [], [], []

    def __call__(self, sock, address):
        self.begun.append(address)
        try:
            if message := sock.recv(100):
                sock.sendall(message.upper())
                self.answered.append(message)
        finally:
            self.ended.append(address)


@pytest.fixture
def serving(spawning):
    """A started server with one client, whose handler waits: (server, client, handler)."""
    handler = Waiting()
    with StreamServer(("127.0.0.1", 0), handler, spawn=spawning) as server:
        with create_connection(server.address, timeout=30) as client:
            until(lambda: handler.begun)
            yield server, client, handler


class TestEnds:
    def test_stop_kills_handlers_that_have_not_ended(self, serving):
        server, client, handler = serving
        assert server.stop(timeout=0) == 1
        assert len(handler.ended) == 1 and client.recv(1) == b""
        check_refused(server)

    def test_stop_waits_for_handlers_that_run(self, serving):
        server, client, handler = serving
        stopping = spawn(server.stop, timeout=30)
        until(lambda: server.closed)
        assert server.draining and not handler.ended
        client.sendall(b"late")
        assert client.recv(100) == b"LATE" and stopping.get() == 0

    def test_draining_waits_for_handlers_that_run(self, serving):
        server, client, handler = serving
        stopping = spawn(server.stop, drain=30)
        server.draining.wait()
        client.sendall(b"late")
        assert client.recv(100) == b"LATE" and stopping.get() == 0

    def test_handlers_that_outlast_the_drain_are_killed(self, serving):
        server, client, handler = serving
        assert server.stop(drain=0.001) == 1
        assert len(handler.ended) == 1 and client.recv(1) == b""

    def test_close_kills_all_handlers(self, serving):
        server, client, handler = serving
        server.close()
        assert len(handler.ended) == 1 and client.recv(1) == b""

    def test_a_second_stop_may_be_quicker(self, serving):
        server, client, handler = serving
        draining = spawn(server.stop, drain=1000)
        server.draining.wait()
        assert server.stop(timeout=0) == 1 and draining.get() == 0 and len(handler.ended) == 1

    @pytest.mark.parametrize("how", ["timeout", "drain"])
    @pytest.mark.parametrize("endless", [float("inf"), 1e12, 10**400], ids=named)
    def test_stop_may_wait_without_a_limit(self, serving, how, endless):
        server, client, handler = serving
        stopping = spawn(lambda: server.stop(**{how: endless}))
        server.draining.wait()
        client.sendall(b"late")
        assert client.recv(100) == b"LATE" and stopping.get() == 0

    @pytest.mark.parametrize("how", ["timeout", "drain"])
    def test_a_wrong_limit_of_stop_is_refused_at_once(self, serving, how):
        server, client, handler = serving
        with pytest.raises(ValueError, match=how):
            server.stop(**{how: float("nan")})
        assert server.started

    @pytest.mark.parametrize("how", ["timeout", "drain"])
    def test_a_server_that_is_started_again_meanwhile_goes_on(self, serving, spawning, how):
        server, client, handler = serving
        if spawning is None:
            return  # the handler runs in the accepting greenlet
        stopping = spawn(lambda: server.stop(**{how: 30}))
        until(lambda: server.draining and not server.started)
        until_waiting(stopping)
        server.start()
        with create_connection(server.address, timeout=30) as new:
            until(lambda: len(handler.begun) == 2)
            client.sendall(b"old")
            assert client.recv(100) == b"OLD"
            if how == "timeout" and isinstance(spawning, Pool):
                stopping.kill()  # stop(timeout=...) waits for the whole pool
            else:
                assert stopping.get() == 0
            assert server.started and not server.draining and len(handler.ended) == 1
            new.sendall(b"new")
            assert new.recv(100) == b"NEW"

    def test_several_handlers_may_stop_the_server(self):
        both = Event()
        asking = []

        def handle(sock, address):
            asking.append(sock)
            both.wait()
            sock.sendall(b"%d" % server.stop(drain=1000))

        with StreamServer(("127.0.0.1", 0), handle) as server:
            clients = [create_connection(server.address, timeout=30) for _ in range(3)]
            until(lambda: len(asking) == 3)
            both.set()
            for client in clients:
                with client:
                    assert client.recv(100) == b"0"

    def test_handlers_in_threads_finish(self):
        before = get_hub().loop.activecnt
        with StreamServer(
            ("127.0.0.1", 0), lambda sock, address: sock.sendall(b"hello"), spawn=ThreadPool(3)
        ) as server:
            with create_connection(server.address, timeout=30) as client:
                assert client.recv(100) == b"hello"
            assert server.stop() == 0
        until(lambda: get_hub().loop.activecnt <= before)  # the hub has received the thread's result

    def test_serve_forever_returns_after_draining(self, serving):
        server, client, handler = serving
        forever = spawn(server.serve_forever, 0)
        until(lambda: server._finished)
        stopping = spawn(server.stop, drain=30)
        let_others_run()
        assert not forever.dead
        client.sendall(b"late")
        assert client.recv(100) == b"LATE" and stopping.get() == 0
        forever.get()

    def test_a_handler_can_see_and_await_the_drain(self):
        asked = []

        def handle(sock, address):
            asked.append(bool(server.draining))
            server.draining.wait()
            asked.append(bool(server.draining))

        server = StreamServer(("127.0.0.1", 0), handle)
        server.start()
        with create_connection(server.address, timeout=30):
            until(lambda: asked)
            assert server.stop(drain=30) == 0 and asked == [False, True]
        with server:
            assert not server.draining

    def test_connections_that_are_not_accepted_yet_are_served_when_it_drains(self):
        handler = Waiting()
        server = StreamServer(("127.0.0.1", 0), handler)
        server.start()
        clients = [standard.create_connection(server.address) for _ in range(3)]  # not accepted yet
        for client in clients:
            client.sendall(b"hello")
        assert server.stop(drain=30) == 0 and len(handler.answered) == 3
        for client in clients:
            assert client.recv(100) == b"HELLO"
            client.close()

    @pytest.mark.parametrize("limits", [{"spawn": 1}, {"spawn": None}, {"max_connections": 2}, {"spawn": 3}], ids=str)
    def test_clients_that_wait_for_room_are_served_when_it_drains(self, limits):
        """While the server drains, no more clients are served at a time than before."""
        handler = Waiting()
        server = StreamServer(("127.0.0.1", 0), handler, **limits)
        server.start()
        clients = [create_connection(server.address, timeout=30) for _ in range(8)]
        until(lambda: handler.begun)
        stopping = spawn(server.stop, drain=30)
        server.draining.wait()
        for client in clients:
            client.sendall(b"hello")
        assert [client.recv(100) for client in clients] == [b"HELLO"] * 8
        assert stopping.get() == 0 and len(handler.answered) == 8
        for client in clients:
            client.close()

    def test_draining_ends_while_clients_wait_for_room(self):
        handler = Waiting()
        server = StreamServer(("127.0.0.1", 0), handler, spawn=1)
        server.start()
        clients = [create_connection(server.address, timeout=30) for _ in range(3)]
        until(lambda: handler.begun)
        assert server.stop(drain=0.01) == 1
        for client in clients:
            with suppress(ConnectionResetError):
                assert client.recv(1) == b""
            client.close()

    @pytest.mark.parametrize("ends", ["stop", "close"])
    def test_a_handler_that_has_not_begun_is_never_run(self, ends):
        """The handler never runs, and its connection is closed."""
        spawned = []

        def later(function, *args):
            spawned.append(Greenlet(function, *args))
            return spawned[-1]

        server = StreamServer(("127.0.0.1", 0), lambda sock, address: sock.sendall(b"x"), spawn=later)
        server.start()
        with create_connection(server.address, timeout=30) as client:
            until(lambda: spawned)
            server.stop(timeout=0) if ends == "stop" else server.close()
            assert client.recv(1) == b""
        assert not server._handlers.running

    def test_a_handler_that_is_killed_before_it_begins_closes_its_connection(self):
        pool = Pool(5)
        with StreamServer(("127.0.0.1", 0), lambda sock, address: sock.sendall(b"x"), spawn=pool) as server:
            pool.add(starting := Greenlet(server._run_handler, taken := socket(), None))
            server._handlers.add_spawned(starting, (taken, None))
            kill(starting)
            until(lambda: taken.fileno() < 0)
            assert not server._handlers.running

    def test_a_handler_that_refuses_to_end_is_warned_of(self):
        refused = []
        given_up = Event()

        def handle(sock, address):
            while not given_up.is_set():
                try:
                    given_up.wait()
                except BaseException:
                    refused.append(1)

        server = StreamServer(("127.0.0.1", 0), handle)
        server.kill_timeout = 0.001
        server.start()
        with create_connection(server.address, timeout=30):
            until(lambda: len(server._handlers))
            let_others_run()
            with pytest.warns(RuntimeWarning, match="1 of its handlers have not"):
                assert server.stop(timeout=0) == 1
            assert refused
            given_up.set()
            until(lambda: not len(server._handlers))

    def test_a_callback_of_the_hub_may_close_it(self, serving):
        server, client, handler = serving
        get_hub().run_callback(server.close)
        until(lambda: handler.ended)
        assert server.closed

    def test_timeout_and_drain_exclude_each_other(self):
        with StreamServer(("127.0.0.1", 0), echo) as server, pytest.raises(TypeError, match="either"):
            server.stop(1, drain=1)
