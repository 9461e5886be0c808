"""recvfrom() and sendto(): results and errors are the standard library's, whatever the address and the arguments."""

import errno
import os
import socket as standard

import pytest

from greenio import Timeout, get_hub, sleep, socket, spawn

DGRAM = standard.SOCK_DGRAM


def bound(module, family=standard.AF_INET, address=("127.0.0.1", 0)):
    sock = module.socket(family, DGRAM)
    sock.bind(address)
    return sock


@pytest.fixture(params=[standard, socket], ids=["standard", "greenio"])
def two(request):
    """Two sockets of either kind, each with an address."""
    with bound(request.param) as first, bound(request.param) as second:
        yield first, second


def test_datagrams_go_there_and_back(two):
    first, second = two
    assert first.sendto(b"hello", second.getsockname()) == 5
    assert second.recvfrom(100) == (b"hello", first.getsockname())
    assert second.sendto(bytearray(b"x" * 1000), 0, first.getsockname()) == 1000
    assert first.recvfrom(10, 0) == (b"x" * 10, second.getsockname())
    assert first.sendto(b"", second.getsockname()) == 0
    assert second.recvfrom(1 << 20) == (b"", first.getsockname())
    first.sendto(b"peek", second.getsockname())
    assert second.recvfrom(4, standard.MSG_PEEK)[0] == second.recvfrom(0x10000)[0] == b"peek"
    first.sendto(b"by name", ("localhost", second.getsockname()[1]))
    first.sendto(b"bytes", (b"127.0.0.1", second.getsockname()[1]))
    assert [second.recvfrom(100)[0], second.recvfrom(100)[0]] == [b"by name", b"bytes"]


@pytest.mark.parametrize(
    "args",
    [
        (), (b"x",), (b"x", 0), (b"x", 0, 0, ("127.0.0.1", 9)), ("text", ("127.0.0.1", 9)), (None, ("127.0.0.1", 9)),
        (b"x", None), (b"x", ("127.0.0.1",)), (b"x", ("127.0.0.1", 70000)), (b"x", ("127.0.0.1", -1)),
        (b"x", ("127.0.0.1", 1 << 70)), (b"x", ("127.0.0.1", "9")), (b"x", ("127.0.0.1", 9, 0)), (b"x", (None, 9)),
        (b"x", ["127.0.0.1", 9]), (b"x", None, ("127.0.0.1", 9)), (b"x", 1 << 40, ("127.0.0.1", 9)),
        (b"x", 0.5, ("127.0.0.1", 9)), (b"x", ("nul\0", 9)), (b"x" * 100_000, ("127.0.0.1", 9)),
    ],
    ids=repr,
)  # fmt: skip
def test_wrong_arguments_of_sendto_raise_the_standard_errors(args):
    assert outcome("sendto", standard, args) == outcome("sendto", socket, args)


@pytest.mark.parametrize(
    "args", [(), (-1,), ("1",), (1.0,), (1 << 70,), (10, None), (10, 0, 0), (10, 1 << 40)], ids=repr
)
def test_wrong_arguments_of_recvfrom_raise_the_standard_errors(args):
    assert outcome("recvfrom", standard, args) == outcome("recvfrom", socket, args)


def outcome(name, module, args):
    with bound(module) as sock:
        with pytest.raises(Exception) as caught:
            getattr(sock, name)(*args)
    message = str(caught.value)[:40] if len(repr(args)) < 1000 else ""
    return type(caught.value), message, getattr(caught.value, "errno", None)


def test_addresses_of_ipv6_are_the_standard_librarys():
    try:
        first = bound(socket, standard.AF_INET6, ("::1", 0))
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")
    with first, bound(standard, standard.AF_INET6, ("::1", 0)) as second:
        second.sendto(b"x", first.getsockname())
        assert first.recvfrom(10) == (b"x", second.getsockname())
        first.sendto(b"y", second.getsockname())
        assert second.recvfrom(10) == (b"y", first.getsockname())


@pytest.mark.parametrize("name", ["path", "abstract"])
def test_addresses_of_unix_sockets_are_the_standard_librarys(tmp_path, name):
    first_name, second_name = ((str(tmp_path / n) if name == "path" else b"\0greenio-" + os.urandom(8)) for n in "ab")
    with bound(socket, standard.AF_UNIX, first_name) as first, bound(standard, standard.AF_UNIX, second_name) as second:
        second.sendto(b"x", first_name)
        assert first.recvfrom(10) == (b"x", second_name)
        with socket.socket(standard.AF_UNIX, DGRAM) as nameless:
            nameless.sendto(b"y", first_name)
            assert first.recvfrom(10) == (b"y", None)


def test_connected_sockets_receive_no_address():
    first, second = socket.socketpair()
    with first, second, standard.create_server(("127.0.0.1", 0)) as listener:
        first.send(b"x")
        assert second.recvfrom(10) == (b"x", None)
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            server.send(b"x")
            assert client.recvfrom(10) == (b"x", None)
            server.close()
            assert client.recvfrom(10) == (b"", None)


def test_receiving_waits_times_out_and_ends_when_closed():
    with bound(socket) as sock, bound(standard) as sender:
        with pytest.raises(BlockingIOError):
            sock.recvfrom(10, standard.MSG_DONTWAIT)
        receiving = spawn(sock.recvfrom, 10)
        sleep(0)
        sender.sendto(b"late", sock.getsockname())
        assert receiving.get() == (b"late", sender.getsockname())
        sock.settimeout(0.001)
        with pytest.raises(TimeoutError):
            sock.recvfrom(10)
        sock.settimeout(0)
        with pytest.raises(BlockingIOError):
            sock.recvfrom(10)
        sock.settimeout(None)
        with pytest.raises(Timeout), Timeout(0.001):
            sock.recvfrom(10)
        receiving = spawn(sock.recvfrom, 10)
        sleep(0)
        get_hub().exception_stream = None
        sock.close()
        with pytest.raises(OSError) as caught:
            receiving.get()
        del get_hub().__dict__["_exception_stream"]
        assert caught.value.errno == errno.EBADF
        for call in (lambda: sock.recvfrom(1), lambda: sock.sendto(b"x", sender.getsockname())):
            with pytest.raises(OSError) as caught:
                call()
            assert caught.value.errno == errno.EBADF


def test_sending_waits_for_room(tmp_path):
    """The queue of a Unix datagram socket can be full."""
    with bound(standard, standard.AF_UNIX, str(tmp_path / "s")) as slow, socket.socket(standard.AF_UNIX, DGRAM) as sock:
        sock.settimeout(0.001)
        with pytest.raises(TimeoutError):
            for _ in range(100_000):
                sock.sendto(b"x", str(tmp_path / "s"))
        sock.settimeout(30)
        sending = spawn(sock.sendto, b"last", str(tmp_path / "s"))
        sleep(0)
        assert not sending.dead
        received = []
        slow.setblocking(False)
        while not sending.dead or received[-1] != b"last":
            try:
                received.append(slow.recv(10))
            except BlockingIOError:
                sleep(0.001)
        assert sending.get() == 4
