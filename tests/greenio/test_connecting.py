"""create_connection() and connect(): the addresses of a name, tried in turn or side by side; busy listeners."""

import errno
import socket as standard
import sys

import pytest
from waiting import until_waiting

from greenio import get_hub, joinall, sleep, socket, spawn
from greenio._descriptors.connecting import interleaved
from greenio.socket import create_connection, create_server


class ManyAddresses:
    """A name with several addresses."""

    def __init__(self, *addresses):
        self.addresses = addresses

    def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        return [
            (standard.AF_INET6 if ":" in each[0] else standard.AF_INET, standard.SOCK_STREAM, 6, "", each)
            for each in self.addresses
        ]

    def close(self):
        pass


@pytest.fixture
def listener():
    with create_server(("127.0.0.1", 0)) as made:
        yield made.getsockname()


@pytest.fixture
def silent():
    """An address that never answers, as the listener's queue is full."""
    with standard.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = [standard.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield server.getsockname()
        for filler in fillers:
            filler.close()


@pytest.fixture
def refused():
    """An address on which nobody listens."""
    with standard.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()


@pytest.fixture
def resolves_to():
    def set_addresses(*addresses):
        get_hub().resolver = ManyAddresses(*addresses)

    yield set_addresses
    get_hub().resolver = None


@pytest.mark.parametrize("delay", [None, 0.01])
def test_refused_addresses_are_passed_over(listener, refused, resolves_to, delay):
    resolves_to(refused, refused, listener)
    with create_connection(("host", 1), timeout=30, happy_eyeballs_delay=delay) as sock:
        assert sock.getpeername() == listener and sock.gettimeout() == 30


def test_a_silent_address_is_not_waited_for(listener, silent, resolves_to):
    resolves_to(silent, silent, listener)
    with create_connection(("host", 1), timeout=60, happy_eyeballs_delay=0.005) as sock:
        assert sock.getpeername() == listener
    resolves_to(silent, listener)
    with create_connection(("host", 1), timeout=0.02, happy_eyeballs_delay=60) as sock:
        assert sock.getpeername() == listener  # tried when the first had timed out


def test_the_error_is_raised_when_no_address_answers(refused, resolves_to):
    resolves_to(refused, refused)
    with pytest.raises(ConnectionRefusedError):
        create_connection(("host", 1), happy_eyeballs_delay=0.01)
    if sys.version_info >= (3, 11):
        with pytest.raises(ExceptionGroup) as caught:  # noqa: F821  (from CPython 3.11 on)
            create_connection(("host", 1), all_errors=True, happy_eyeballs_delay=0.01)
        assert [error.errno for error in caught.value.exceptions] == [errno.ECONNREFUSED] * 2
    resolves_to()
    with pytest.raises(OSError, match="empty list"):
        create_connection(("host", 1), happy_eyeballs_delay=0.01)


def test_families_take_turns():
    def info(family, number):
        return (family, standard.SOCK_STREAM, 6, "", number)

    six, four = standard.AF_INET6, standard.AF_INET
    addresses = [info(six, 1), info(six, 2), info(six, 3), info(four, 4), info(four, 5)]
    assert [found[4] for found in interleaved(addresses)] == [1, 4, 2, 5, 3]


def test_connecting_side_by_side_can_be_killed(silent, resolves_to):
    resolves_to(silent, silent)
    job = spawn(create_connection, ("host", 1), happy_eyeballs_delay=0.001)
    sleep(0.005)
    job.kill()
    assert job.dead


def test_addresses_are_tried_in_their_order(resolves_to, refused, silent):
    with create_server(("127.0.0.1", 0)) as listener:
        resolves_to(refused, silent, listener.getsockname())
        with create_connection(("name.invalid", 80), timeout=0.01) as sock:
            assert sock.getpeername() == listener.getsockname()
    resolves_to(silent, refused)
    with pytest.raises(ConnectionRefusedError):  # the last error
        create_connection(("name.invalid", 80), timeout=0.01)
    with pytest.raises(Exception, match="create_connection failed") as caught:
        create_connection(("name.invalid", 80), timeout=0.01, all_errors=True)
    assert [type(error) for error in caught.value.exceptions] == [TimeoutError, ConnectionRefusedError]
    resolves_to()
    with pytest.raises(OSError, match="getaddrinfo returns an empty list"):
        create_connection(("name.invalid", 80))


def test_the_first_address_that_answers_is_taken(resolves_to, refused, silent):
    with create_server(("127.0.0.1", 0)) as listener:
        resolves_to(silent, refused, silent, listener.getsockname())
        with create_connection(("name.invalid", 80), happy_eyeballs_delay=0.001) as sock:
            assert sock.getpeername() == listener.getsockname()
            # The sockets that were still connecting are closed: a fixture of all tests counts descriptors.
    resolves_to(refused, refused)
    with pytest.raises(ConnectionRefusedError):
        create_connection(("name.invalid", 80), happy_eyeballs_delay=10)
    resolves_to(silent, silent)
    with pytest.raises(TimeoutError):
        create_connection(("name.invalid", 80), timeout=0.005, happy_eyeballs_delay=0.001)


def test_bad_arguments_are_raised_while_connecting_side_by_side(resolves_to, refused):
    """An error that is no OSError is raised, and not taken for a failed attempt."""
    resolves_to(refused, refused)
    with pytest.raises(TypeError):
        create_connection(("name.invalid", 80), source_address="x", happy_eyeballs_delay=0.001)


def test_a_connection_that_comes_second_is_closed(resolves_to):
    with create_server(("127.0.0.1", 0)) as first, create_server(("127.0.0.1", 0)) as second:
        resolves_to(first.getsockname(), second.getsockname())
        with create_connection(("name.invalid", 80), happy_eyeballs_delay=0) as sock:
            sleep(0.001)
            assert sock.getpeername() in (first.getsockname(), second.getsockname())


def test_connecting_waits_for_a_busy_unix_listener(tmp_path):
    """connect() waits while the queue is full, up to the timeout. The system's call would refuse at once."""
    with socket.socket(standard.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "listener"))
        listener.listen(1)
        clients = [socket.socket(standard.AF_UNIX) for _ in range(8)]
        connecting = [spawn(sock.connect, listener.getsockname()) for sock in clients]
        until_waiting(*connecting[-2:])
        assert not all(greenlet.ready() for greenlet in connecting)
        with socket.socket(standard.AF_UNIX) as impatient:
            impatient.settimeout(0.005)
            with pytest.raises(TimeoutError):
                impatient.connect(listener.getsockname())
            impatient.settimeout(0)
            with pytest.raises(BlockingIOError):
                impatient.connect(listener.getsockname())
        servers = [listener.accept()[0] for _ in clients]
        joinall(connecting, raise_error=True, timeout=5)
        for number, sock in enumerate(clients):
            sock.send(b"%d" % number)
        assert sorted(sock.recv(1) for sock in servers) == [b"%d" % number for number in range(8)]
        for sock in (*clients, *servers):
            sock.close()
