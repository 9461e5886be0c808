"""Faults of the world: peers that reset, dribble, half-close or vanish, the limit of descriptors, forks, thousands of
connections. Nothing hangs, nothing is left behind, and everything that can go on does.
"""

import contextlib
import errno
import gc
import os
import resource
import shutil
import socket as standard
import struct
import subprocess
import sys

import pytest
from places import SCRIPTS
from waiting import let_others_run, until, until_waiting

from greenio import Timeout, get_hub, joinall, select, sleep, socket, spawn
from greenio.lock import Semaphore
from greenio.pool import Pool
from greenio.server import StreamServer
from greenio.socket import create_connection, create_server, socketpair

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


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
        until(lambda: len(os.listdir("/proc/self/fd")) <= opened)
        let_others_run()
        gc.collect()
        counts = get_hub().statistics()
        return len(os.listdir("/proc/self/fd")), counts["watches_registered"], counts["parked"], counts["handles"]

    server = StreamServer(("127.0.0.1", 0), echo)
    server.start()
    opened = len(os.listdir("/proc/self/fd"))
    pool = Pool(50)
    try:
        pool.map(visit, range(2000))
        before, memory = state(), resident()
        pool.map(visit, range(10_000))
        assert state() == before
        assert resident() - memory < 2_000_000
    finally:
        server.stop()


def test_each_byte_of_a_slow_sender_is_received():
    ours, theirs = socketpair()
    with ours, theirs:
        taken = Semaphore(0)

        def dribble():
            for byte in b"hello world":
                theirs.send(bytes([byte]))
                taken.acquire()
            theirs.close()

        job = spawn(dribble)
        received = []
        while data := ours.recv(100):
            received.append(data)
            taken.release()
        assert b"".join(received) == b"hello world" and len(received) == 11
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
        until_waiting(*jobs)
        theirs.close()
        joinall(jobs, raise_error=True, timeout=30)
        expect_reset(ours.sendall, b"x")
        ours.close()


def tcp_pair():
    with create_server(("127.0.0.1", 0)) as listener:
        ours = create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    return ours, theirs


def reset(sock):
    sock.setsockopt(standard.SOL_SOCKET, standard.SO_LINGER, RESET)
    sock.close()


@pytest.mark.parametrize(
    "receive",
    [
        lambda sock: sock.recv(1),
        lambda sock: sock.recv_into(bytearray(1)),
        lambda sock: sock.recvfrom(1),
        lambda sock: sock.recvmsg(1),
        lambda sock: sock.makefile("rb", buffering=0).read(1),
    ],
)
def test_a_reset_ends_every_receive(receive):
    ours, theirs = tcp_pair()
    receiving = [spawn(receive, ours) for _ in range(3)]
    for each in receiving:
        each.reports_errors = False
    sleep(0)
    reset(theirs)
    joinall(receiving, timeout=5)
    # As in the system, one reader gets the error, and for the others the connection has ended.
    outcomes = [type(each.exception) if each.exception else each.value for each in receiving]
    assert outcomes.count(ConnectionResetError) == 1
    ours.close()


def test_a_peer_that_has_finished_sending_still_receives():
    ours, theirs = tcp_pair()
    reading = spawn(ours.recv, 10)
    sleep(0)
    theirs.shutdown(standard.SHUT_WR)
    assert reading.get(timeout=5) == b""
    sending = spawn(ours.sendall, bytes(1 << 22))
    received = 0
    while received < 1 << 22:
        received += len(theirs.recv(1 << 20))
    sending.get(timeout=5)
    ours.close()
    assert theirs.recv(1) == b""
    theirs.close()


def fill(sock):
    """Send until the window of the peer, which does not read, is closed."""
    full = 0
    sock.settimeout(0)
    while full < 3:
        try:
            sock.send(bytes(1 << 16))
            full = 0
        except BlockingIOError:
            full += 1
            sleep(0.005)  # meanwhile the system moves data to the peer's buffer


def test_sending_to_a_peer_that_never_reads_times_out():
    """Its window is closed: sending waits until a timeout. Then the peer may still read what was sent."""
    ours, theirs = tcp_pair()
    fill(ours)
    ours.settimeout(0.02)
    with pytest.raises(TimeoutError):
        ours.sendall(bytes(1 << 24))
    with pytest.raises(Timeout), Timeout(0.01):
        ours.settimeout(None)
        ours.sendall(bytes(1 << 24))  # some bytes may still fit
    closing = spawn(ours.close)  # does not wait until the buffers are empty
    closing.get(timeout=5)
    received = 0
    while data := theirs.recv(1 << 20):
        received += len(data)
    assert 0 < received < 1 << 24
    theirs.close()


def test_all_data_reach_a_slow_reader():
    ours, theirs = tcp_pair()
    for sock, option in ((ours, standard.SO_SNDBUF), (theirs, standard.SO_RCVBUF)):
        sock.setsockopt(standard.SOL_SOCKET, option, 1)  # as little as the system allows
    data = os.urandom(20_000)
    sending = spawn(ours.sendall, data)
    received = bytearray()
    while len(received) < len(data):
        received += theirs.recv(1)
    assert received == data
    sending.get(timeout=5)
    ours.close()
    theirs.close()


@pytest.mark.skipif(shutil.which("unshare") is None or shutil.which("ip") is None, reason="no unshare or ip command")
def test_calls_time_out_when_a_peer_vanishes():
    if subprocess.run(["unshare", "--net", "ip", "link", "set", "lo", "up"], capture_output=True).returncode:
        pytest.skip("this user may not make a network namespace")
    result = subprocess.run(
        ["unshare", "--net", sys.executable, "vanishing_peer.py"],
        capture_output=True, text=True, timeout=60, cwd=SCRIPTS,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:3] == ["reading: waits", "sendall: timed out", "Timeout"] and lines[4] == "up again: y"
    assert lines[3] in ("TCP gives up: TimeoutError", "TCP gives up: OSError")


# --- the limit of descriptors -----------------------------------------------------------------------------------


@contextlib.contextmanager
def no_descriptors_left():
    """Within the block, the process cannot open any descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    filled = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
    try:
        while True:
            filled.append(os.dup(0))
    except OSError:
        pass
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in filled:
            os.close(descriptor)


def expect_emfile(function, *args):
    with pytest.raises(OSError) as caught:
        function(*args)
    assert caught.value.errno == errno.EMFILE


def test_calls_fail_or_go_on_at_the_limit_of_descriptors():
    with create_server(("127.0.0.1", 0)) as listener, standard.create_connection(listener.getsockname()) as client:
        ours, theirs = socketpair()
        epoll = select.epoll()
        epoll.register(theirs, select.EPOLLIN)
        with no_descriptors_left():
            expect_emfile(socket.socket)
            expect_emfile(socketpair)
            expect_emfile(create_connection, listener.getsockname())
            expect_emfile(create_server, ("127.0.0.1", 0))
            expect_emfile(listener.accept)
            expect_emfile(ours.dup)
            expect_emfile(select.epoll)
            # Open descriptors work, and so do calls that need no descriptor of their own.
            assert select.select([ours], [], [], 0.001) == ([], [], [])
            waiting = [spawn(ours.recv, 1), spawn(epoll.poll, 5)]
            sleep(0)
            theirs.send(b"x")
            ours.send(b"y")
            joinall(waiting, raise_error=True, timeout=5)
            assert waiting[1].value == [(theirs.fileno(), select.EPOLLIN)]
        # The connection that could not be accepted still waits.
        server, address = listener.accept()
        assert address == client.getsockname()
        for sock in (server, ours, theirs, epoll):
            sock.close()


def test_a_server_without_descriptors_backs_off_and_recovers():
    def echo(sock, address):
        sock.sendall(sock.recv(10))

    server = StreamServer(("127.0.0.1", 0), echo)
    server.min_delay, server.max_delay = 0.001, 0.01
    hub = get_hub()
    errors = []
    hub.handle_error = lambda context, kind, error, traceback: errors.append((context, error.errno))
    server.start()
    try:
        clients = [standard.socket() for _ in range(3)]
        with no_descriptors_left():
            for sock in clients:
                sock.connect(("127.0.0.1", server.server_port))
            until(lambda: len(errors) >= 3)
            before = hub.switches
            sleep(0.05)
            assert hub.switches - before < 100, "the server does not back off"
        assert set(errors) == {(server, errno.EMFILE)}
        for sock in clients:
            sock.settimeout(5)
            sock.send(b"hello")
        for sock in clients:
            assert spawn(socket.wait_read, sock, 5).get() is None and sock.recv(10) == b"hello"
            sock.close()
    finally:
        del hub.handle_error
        server.stop()


# --- forks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["main", "greenlet"])
def test_parent_and_child_go_on_with_open_sockets(run_script, how):
    assert run_script("fork_with_sockets.py", how) == "7 to the parent 1\n"
