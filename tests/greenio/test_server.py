"""StreamServer: serving, limits, errors of handlers and of the listener, addresses."""

import errno
import os
import resource
import socket as standard

import pytest
from naming import named
from stream_servers import ask, check_refused, echo
from waiting import let_others_run, until

from greenio import GreenletExit, Timeout, get_hub, joinall, sleep, spawn
from greenio.baseserver import parse_address
from greenio.server import StreamServer
from greenio.socket import create_connection, socket


class TestServing:
    def test_many_clients_are_served_at_once(self):
        with StreamServer(("127.0.0.1", 0), echo) as server:
            assert server.started and server.server_port == server.address[1] and server.server_host == "127.0.0.1"
            asking = [spawn(ask, server, b"%d" % number) for number in range(50)]
            joinall(asking)
            assert [g.value for g in asking] == [b"%d" % number for number in range(50)]
        assert not server.started and server.closed
        check_refused(server)

    def test_the_connection_is_closed_when_the_handler_ends(self):
        with StreamServer(("127.0.0.1", 0), lambda sock, address: None) as server:
            with create_connection(server.address, timeout=30) as sock:
                assert sock.recv(1) == b""

    def test_a_subclass_may_have_the_handler(self):
        class Shouting(StreamServer):
            def handle(self, sock, address):
                sock.sendall(sock.recv(100).upper())

        with Shouting(("127.0.0.1", 0)) as server:
            assert ask(server) == b"HELLO"

    def test_a_listening_socket_is_served(self):
        listener = socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with StreamServer(listener, echo) as server:
            assert ask(server) == b"hello"
        assert listener.fileno() >= 0  # the program's own socket stays open
        listener.close()

    def test_a_listening_socket_of_the_standard_library_is_served(self):
        with standard.create_server(("127.0.0.1", 0)) as listener:
            with StreamServer(listener, echo) as server:
                assert ask(server) == b"hello"
            assert listener.fileno() >= 0

    def test_a_server_on_all_addresses_serves_ipv4(self):
        with StreamServer(":0", echo) as server:
            with create_connection(("127.0.0.1", server.server_port), timeout=30) as sock:
                sock.sendall(b"x")
                assert sock.recv(1) == b"x"

    def test_a_stopped_server_can_be_started_again(self):
        server = StreamServer(("127.0.0.1", 0), echo)
        for _ in range(3):
            server.start()
            server.start()
            assert ask(server) == b"hello"
            server.stop()
            server.stop()

    def test_serve_forever_returns_when_the_server_stops(self):
        server = StreamServer(("127.0.0.1", 0), echo)
        serving = spawn(server.serve_forever)
        sleep(0)
        assert ask(server) == b"hello"
        server.stop()
        serving.get(timeout=30)

    def test_a_timeout_in_serve_forever_closes_the_server(self):
        server = StreamServer(("127.0.0.1", 0), echo)
        with pytest.raises(Timeout), Timeout(0.005):
            server.serve_forever()
        assert server.closed

    def test_a_handler_may_stop_its_server(self):
        def handle(sock, address):
            sock.sendall(b"bye")
            server.stop()

        server = StreamServer(("127.0.0.1", 0), handle)
        serving = spawn(server.serve_forever)
        sleep(0)
        assert ask(server) == b"bye"
        serving.get(timeout=30)


def my_spawn(function, *args):
    return spawn(function, *args)


class TestLimits:
    def test_no_more_handlers_run_than_the_limit(self):
        running, most = [], []

        def handle(sock, address):
            running.append(1)
            most.append(len(running))
            sock.recv(1)
            running.pop()

        with StreamServer(("127.0.0.1", 0), handle, spawn=2) as server:
            clients = [create_connection(server.address, timeout=30) for _ in range(6)]
            until(lambda: len(running) == 2)
            let_others_run()
            assert server.full() and len(running) == 2
            for client in clients:
                client.sendall(b"x")
                assert client.recv(1) == b""
                client.close()
        assert max(most) == 2 and len(most) == 6

    def test_connections_are_served_in_turn_without_spawning(self):
        with StreamServer(("127.0.0.1", 0), lambda sock, address: sock.sendall(b"x"), spawn=None) as server:
            assert [ask(server) for _ in range(3)] == [b"x"] * 3

    def test_a_function_may_spawn_the_handlers(self):
        spawned = []

        def my_spawn(function, *args):
            spawned.append(function)
            return spawn(function, *args)

        with StreamServer(("127.0.0.1", 0), echo, spawn=my_spawn) as server:
            assert ask(server) == b"hello"
        assert len(spawned) == 1

    def test_stop_kills_handlers_that_are_limited(self):
        begun, ended = [], []

        def handle(sock, address):
            begun.append(1)
            try:
                sock.recv(1)
            finally:
                ended.append(1)

        server = StreamServer(("127.0.0.1", 0), handle, spawn=5)
        server.start()
        client = create_connection(server.address, timeout=30)
        until(lambda: begun)
        server.stop(timeout=0.001)
        assert ended == [1] and client.recv(1) == b""
        client.close()

    def test_no_more_connections_are_accepted_than_the_limit(self):
        with StreamServer(("127.0.0.1", 0), echo, max_connections=2) as server:
            clients = [create_connection(server.address, timeout=30) for _ in range(3)]
            until(server.full)
            for client in clients:
                client.sendall(b"x")
            assert [client.recv(1) for client in clients[:2]] == [b"x"] * 2
            let_others_run()
            assert server.full()
            clients[0].close()
            assert clients[2].recv(1) == b"x"  # this connection had to wait in the listener
            for client in clients[1:]:
                client.close()

    @pytest.mark.parametrize("more", ["default", 5, my_spawn], ids=named)
    def test_more_handlers_may_be_allowed_while_a_client_waits(self, more):
        with StreamServer(("127.0.0.1", 0), echo, spawn=1) as server:
            with create_connection(server.address, timeout=30), create_connection(server.address, timeout=30) as late:
                until(server.full)
                let_others_run()
                server.set_spawn(more)
                late.sendall(b"x")
                assert late.recv(1) == b"x"

    def test_a_fifth_of_the_descriptors_is_left_to_others(self):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, limits[1]))
        try:
            with StreamServer(("127.0.0.1", 0), echo) as server:
                clients = [standard.create_connection(server.address) for _ in range(20)]
                until(lambda: len(server._handlers) == 20)
                assert server._places.limit == 160
                for client in clients:
                    client.close()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    @pytest.mark.parametrize(
        ("given", "error"), [(0, ValueError), (-1, ValueError), ("5", TypeError), (1.5, TypeError)]
    )
    def test_bad_numbers_of_connections_are_refused(self, given, error):
        with pytest.raises(error):
            StreamServer(("127.0.0.1", 0), echo, max_connections=given)

    @pytest.mark.parametrize(
        ("spawn", "error"), [(0, ValueError), (-1, ValueError), ("five", TypeError), (1.5, TypeError)]
    )
    def test_bad_limits_are_refused(self, spawn, error):
        with pytest.raises(error):
            StreamServer(("127.0.0.1", 0), echo, spawn=spawn)


class TestErrors:
    def test_a_failing_handler_is_reported_and_the_server_goes_on(self, errors):
        def handle(sock, address):
            if sock.recv(100) == b"fail":
                raise KeyError("in the handler")
            sock.sendall(b"fine")

        with StreamServer(("127.0.0.1", 0), handle) as server:
            assert ask(server, b"fail") == b""
            assert ask(server) == b"fine"
        assert "KeyError: 'in the handler'" in errors.getvalue()

    @pytest.mark.parametrize("error", [Timeout(1), GreenletExit(), GeneratorExit(), KeyError()], ids=named)
    def test_a_failing_handler_in_the_accepting_greenlet_does_not_end_it(self, errors, error):
        def handle(sock, address):
            if sock.recv(100) == b"fail":
                raise error
            sock.sendall(b"fine")

        with StreamServer(("127.0.0.1", 0), handle, spawn=None) as server:
            for _ in range(2):
                assert ask(server, b"fail") == b""
            assert ask(server) == b"fine"
        assert (type(error).__name__ in errors.getvalue()) is not isinstance(error, GreenletExit)

    def test_a_failing_spawn_closes_the_connection(self, errors):
        def my_spawn(function, *args):
            raise RuntimeError("cannot spawn")

        with StreamServer(("127.0.0.1", 0), echo, spawn=my_spawn) as server:
            assert ask(server) == b""
            assert ask(server) == b""
        get_hub()._repeats.tell_rest()
        assert errors.getvalue().count("RuntimeError: cannot spawn") == 1
        assert "and 1 more like it" in errors.getvalue()

    def test_the_server_recovers_from_the_limit_of_descriptors(self, errors):
        """EMFILE: the error is reported, the server backs off, and serves again when descriptors are free."""
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        with StreamServer(("127.0.0.1", 0), echo) as server:
            server.max_delay = 0.01
            client = standard.socket()
            highest = max(int(name) for name in os.listdir("/proc/self/fd"))
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
            taken = []
            try:
                while True:
                    taken.append(os.dup(0))
            except OSError as error:
                assert error.errno == errno.EMFILE
            try:
                client.connect(server.address)
                until(lambda: "Too many open files" in errors.getvalue())
                assert server.started
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                for fd in taken:
                    os.close(fd)
            client.close()
            assert ask(server) == b"hello"

    @pytest.mark.parametrize("own", [False, True])
    def test_the_server_ends_when_its_listener_is_closed(self, errors, own):
        """The server reports it, and ends."""
        listener = socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = StreamServer(listener if own else ("127.0.0.1", 0), echo)
        serving = spawn(server.serve_forever)
        until(lambda: server.started)
        let_others_run()
        (listener if own else server.socket).close()
        serving.get(timeout=30)
        assert server.closed and "was closed while" in errors.getvalue()
        listener.close()

    def test_a_port_in_use_is_named(self):
        with StreamServer(("127.0.0.1", 0), echo) as first:
            second = StreamServer(first.address, echo)
            with pytest.raises(OSError, match=str(first.server_port)) as caught:
                second.start()
            assert caught.value.errno == errno.EADDRINUSE

    def test_a_handler_that_cannot_be_called_is_refused(self):
        with pytest.raises(TypeError, match="callable"):
            StreamServer(("127.0.0.1", 0), 5)

    def test_a_server_without_a_handler_does_not_start(self):
        server = StreamServer(("127.0.0.1", 0))
        with pytest.raises(TypeError, match="StreamServer has no handler"):
            server.start()
        assert server.socket is None and not server.started
        server.set_handle(echo)
        with server:
            assert ask(server) == b"hello"

    def test_backlog_is_refused_with_a_socket(self):
        with standard.create_server(("127.0.0.1", 0)) as listener, pytest.raises(TypeError, match="backlog"):
            StreamServer(listener, echo, backlog=5)

    def test_clients_that_leave_at_once_do_no_harm(self, errors):
        with StreamServer(("127.0.0.1", 0), echo) as server:
            for _ in range(20):
                sock = standard.create_connection(server.address)
                sock.setsockopt(standard.SOL_SOCKET, standard.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.close()
            assert ask(server) == b"hello"


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        (("localhost", 80), (standard.AF_INET, ("localhost", 80))),
        (("::1", 80), (standard.AF_INET6, ("::1", 80))),
        ("127.0.0.1:80", (standard.AF_INET, ("127.0.0.1", 80))),
        ("[::1]:80", (standard.AF_INET6, ("::1", 80))),
        (":80", (standard.AF_INET6, ("", 80))),
        ("80", (standard.AF_INET6, ("", 80))),
        (80, (standard.AF_INET6, ("", 80))),
    ],
)
def test_every_form_of_an_address_is_parsed(written, parsed):
    assert parse_address(written) == parsed


@pytest.mark.parametrize(
    "written",
    [None, "host", "host:", "host:99999", "::1:80", "[::1:80", "::1]:80", (1,), ("host", "80"), True, 1.5],
)
def test_a_malformed_address_is_refused(written):
    with pytest.raises(ValueError):
        parse_address(written)


def test_repr_tells_state_address_and_handler():
    server = StreamServer(("127.0.0.1", 8000), echo)
    assert "stopped" in repr(server) and "handle=echo" in repr(server) and "8000" in repr(server)
