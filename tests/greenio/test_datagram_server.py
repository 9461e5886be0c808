"""DatagramServer: datagrams of all sizes, answers from the address that a client knows, limits, ends."""

import os
import socket as standard

import pytest
from naming import named
from waiting import let_others_run, until

from greenio import get_hub, spawn
from greenio.event import Event
from greenio.pool import Pool
from greenio.server import DatagramServer
from greenio.socket import AF_INET, AF_INET6, SOCK_DGRAM, socket


@pytest.fixture
def client():
    with socket(AF_INET, SOCK_DGRAM) as sock:
        sock.settimeout(30)
        yield sock


class Echo(DatagramServer):
    """Answers in capitals."""

    def handle(self, data, address):
        self.sendto(data.upper(), address)


def test_many_datagrams_are_answered(client):
    with Echo(("127.0.0.1", 0)) as server:
        for number in range(50):
            client.sendto(b"hello %d" % number, server.address)
        assert {client.recv(100) for _ in range(50)} == {b"HELLO %d" % number for number in range(50)}


@pytest.mark.parametrize("size", [0, 1, 8192, 8193, 65507])
def test_datagrams_of_every_size_come_whole(client, size):
    with Echo(("127.0.0.1", 0)) as server:
        client.sendto(b"x" * size, server.address)
        assert client.recv(70000) == b"X" * size


@pytest.mark.parametrize("asked", ["127.0.0.1", "127.0.0.2", "127.1.2.3"])
def test_the_answer_comes_from_the_address_that_the_client_used(client, asked):
    with Echo(("0.0.0.0", 0)) as server:
        client.sendto(b"hello", (asked, server.server_port))
        assert client.recvfrom(100) == (b"HELLO", (asked, server.server_port))


def test_the_address_may_be_kept_and_used_later(client):
    kept = []
    with DatagramServer(("0.0.0.0", 0), lambda data, address: kept.append(address)) as server:
        client.sendto(b"hello", ("127.0.0.3", server.server_port))
        until(lambda: kept)
        assert kept == [("127.0.0.1", client.getsockname()[1])]
        assert hash(kept[0]) == hash(tuple(kept[0]))
        server.sendto(b"later", 0, kept[0])
        assert client.recvfrom(100) == (b"later", ("127.0.0.3", server.server_port))
        server.sendto(b"plain", tuple(kept[0]))
        assert client.recv(100) == b"plain"


@pytest.mark.skipif(not standard.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="the machine has no IPv6")
@pytest.mark.parametrize(("family", "asked"), [(AF_INET6, "::1"), (AF_INET, "127.0.0.5")])
def test_a_server_on_all_addresses_has_both_families(family, asked):
    with Echo(":0") as server, socket(family, SOCK_DGRAM) as client:
        client.settimeout(30)
        try:
            client.sendto(b"hello", (asked, server.server_port))
        except OSError as error:
            pytest.skip(f"the machine has no address {asked}: {error}")
        data, address = client.recvfrom(100)
        assert (data, address[0]) == (b"HELLO", asked)


def test_a_bounded_server_runs_no_more_handlers(client):
    running, most, go_on = [], [], Event()

    def handle(data, address):
        running.append(1)
        most.append(len(running))
        go_on.wait()
        running.pop()

    with DatagramServer(("127.0.0.1", 0), handle, spawn=2) as server:
        for _ in range(6):
            client.sendto(b"x", server.address)
        until(lambda: len(running) == 2)
        let_others_run()
        go_on.set()
        until(lambda: len(most) == 6)
    assert max(most) == 2


@pytest.mark.parametrize("spawning", ["default", "pool", None, spawn], ids=named)
def test_every_kind_of_spawn_works(client, spawning):
    with Echo(("127.0.0.1", 0), spawn=Pool(3) if spawning == "pool" else spawning) as server:
        client.sendto(b"hello", server.address)
        assert client.recv(100) == b"HELLO"


def test_an_inherited_descriptor_is_served(client):
    with socket(AF_INET, SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        with Echo(f"fd://{os.dup(bound.fileno())}") as server:
            client.sendto(b"hello", server.address)
            assert client.recv(100) == b"HELLO"


def test_a_failing_handler_is_reported_and_the_server_goes_on(client, errors):
    def handle(data, address):
        if data == b"fail":
            raise KeyError("in the handler")
        server.sendto(b"fine", address)

    with DatagramServer(("127.0.0.1", 0), handle) as server:
        client.sendto(b"fail", server.address)
        client.sendto(b"go on", server.address)
        assert client.recv(100) == b"fine"
    assert "KeyError: 'in the handler'" in errors.getvalue()


def test_the_server_goes_on_after_an_answer_to_a_client_that_has_gone(client):
    """The system's next call reports the refused answer; the server goes on."""
    with Echo(("127.0.0.1", 0)) as server:
        with socket(AF_INET, SOCK_DGRAM) as gone:
            gone.sendto(b"hello", server.address)
        let_others_run()
        client.sendto(b"hello", server.address)
        assert client.recv(100) == b"HELLO"


def test_stop_waits_for_handlers(client):
    go_on, done = Event(), []

    def handle(data, address):
        go_on.wait()
        done.append(data)

    server = DatagramServer(("127.0.0.1", 0), handle)
    server.start()
    client.sendto(b"x", server.address)
    until(lambda: server._handlers.running)
    stopping = spawn(server.stop, drain=30)
    until(lambda: server.closed)
    go_on.set()
    assert stopping.get() == 0 and done == [b"x"]


@pytest.mark.parametrize("arguments", [{"timeout": 30}, {"drain": 30}], ids=str)
@pytest.mark.parametrize("own", [False, True])
def test_handlers_answer_while_the_server_ends(client, arguments, own):
    go_on = Event()
    bound = socket(AF_INET, SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))

    def handle(data, address):
        go_on.wait()
        server.sendto(data.upper(), address)

    server = DatagramServer(("127.0.0.1", 0), handle)
    if own:
        server.socket, server._owns_socket, server.address = bound, False, bound.getsockname()
    server.start()
    for _ in range(5):
        client.sendto(b"hello", server.address)
    until(lambda: len(server._handlers) == 5)
    stopping = spawn(server.stop, **arguments)
    server.draining.wait()
    go_on.set()
    assert [client.recv(100) for _ in range(5)] == [b"HELLO"] * 5
    assert stopping.get() == 0 and (bound.fileno() >= 0)
    bound.close()
    with pytest.raises(RuntimeError, match="does not listen"):
        server.sendto(b"late", client.getsockname())


def test_datagrams_that_wait_are_handled_when_it_drains(client):
    go_on, handled = Event(), []

    def handle(data, address):
        go_on.wait()
        handled.append(data)

    server = DatagramServer(("127.0.0.1", 0), handle, spawn=2)
    server.start()
    for _ in range(10):
        client.sendto(b"x", server.address)
    until(lambda: len(server._handlers) == 2)
    stopping = spawn(server.stop, drain=30)
    server.draining.wait()
    go_on.set()
    assert stopping.get() == 0 and len(handled) == 10


def test_wrong_use_is_refused_at_once(client):
    server = DatagramServer(("127.0.0.1", 0), print)
    for call in (server.do_read, lambda: server.sendto(b"x", ("127.0.0.1", 1))):
        with pytest.raises(RuntimeError, match="does not listen"):
            call()
    with server, pytest.raises(TypeError, match="sendto"):
        server.sendto(b"x")
    with pytest.raises(OSError, match="Address already in use: "), Echo(("127.0.0.1", 0)) as first:
        DatagramServer(first.address, print).start()
    assert get_hub().loop.statistics()["references"] == 0
    with pytest.raises(TypeError, match="a DatagramServer has no argument 'ssl_context': it does not support TLS"):
        DatagramServer(("127.0.0.1", 0), print, ssl_context=None)
    with pytest.raises(TypeError, match="a DatagramServer has no argument 'backlog'$"):
        DatagramServer(("127.0.0.1", 0), print, backlog=1)
