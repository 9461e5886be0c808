"""Peers that come and go badly: thousands of connections that are opened, dropped or reset leave nothing behind."""

import gc
import os
import socket as standard
import struct

import pytest

from greenio import get_hub, joinall, sleep, spawn
from greenio.pool import Pool
from greenio.server import StreamServer
from greenio.socket import create_connection, socketpair

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def quiet():
    """Handlers whose peer has reset the connection end with an error, which need not be printed."""
    hub = get_hub()
    hub.exception_stream = None
    yield
    del hub.__dict__["_exception_stream"]


def test_ten_thousand_connections_leave_nothing(quiet):
    def echo(sock, address):
        while data := sock.recv(100):
            sock.sendall(data)

    def visit(number):
        with create_connection(("127.0.0.1", server.server_port)) as sock:
            if number % 4:
                sock.sendall(b"x")
                assert sock.recv(1) == b"x"
            if number % 3 == 0:
                sock.setsockopt(standard.SOL_SOCKET, standard.SO_LINGER, RESET)

    def state():
        sleep(0.02)
        gc.collect()
        counts = get_hub().statistics()
        return len(os.listdir("/proc/self/fd")), counts["watches_registered"], counts["parked"], counts["handles"]

    server = StreamServer(("127.0.0.1", 0), echo)
    server.start()
    pool = Pool(50)
    try:
        pool.map(visit, range(2000))
        before, memory = state(), resident()
        pool.map(visit, range(10_000))
        assert state() == before
        assert resident() - memory < 2_000_000
    finally:
        server.stop()


def test_a_peer_that_sends_one_byte_at_a_time():
    ours, theirs = socketpair()
    with ours, theirs:

        def dribble():
            for byte in b"hello world":
                theirs.send(bytes([byte]))
                sleep(0)
            theirs.close()

        job = spawn(dribble)
        received = []
        while data := ours.recv(100):
            received.append(data)
        assert b"".join(received) == b"hello world" and len(received) > 1
        job.get()


def test_resets_wake_both_directions():
    with standard.create_server(("127.0.0.1", 0)) as listener:
        ours = create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        theirs.setsockopt(standard.SOL_SOCKET, standard.SO_LINGER, RESET)

        def expect_reset(function, *args):
            with pytest.raises(ConnectionError):
                function(*args)

        jobs = [spawn(expect_reset, ours.sendall, b"x" * 50_000_000)]
        sleep(0.01)
        theirs.close()
        joinall(jobs, raise_error=True, timeout=30)
        expect_reset(ours.sendall, b"x")
        ours.close()
