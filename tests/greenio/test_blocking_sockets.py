"""Sockets without a timeout are blocking, as in the standard library: for children, and for the system's options."""

import errno
import os
import socket as standard
import struct
import subprocess as standard_subprocess
import sys

import pytest
from places import SCRIPTS
from waiting import until_asleep, until_waiting

import greenio.os
from greenio import Timeout, sleep, spawn, subprocess
from greenio.socket import SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET, create_connection, create_server, fromfd, socketpair

ALL, PEEK = standard.MSG_WAITALL, standard.MSG_PEEK
CAT = [sys.executable, "-c", "import os; data = os.read(0, 100); os.write(1, data)"]


@pytest.fixture(params=["unix", "tcp"])
def pair(request):
    if request.param == "unix":
        ours, theirs = socketpair()
    else:
        with create_server(("127.0.0.1", 0)) as listener:
            connecting = spawn(create_connection, listener.getsockname())
            theirs, _ = listener.accept()
            ours = connecting.get()
    with ours, theirs:
        yield ours, theirs


def in_parts(sock, parts, pause=0.01):
    def send():
        for part in parts:
            sock.sendall(part)
            sleep(pause)

    return spawn(send)


def limit(sock, option, milliseconds):
    sock.setsockopt(SOL_SOCKET, option, struct.pack("ll", 0, milliseconds * 1000))


# --- sharing the descriptor -------------------------------------------------------------------------------------


def test_the_descriptors_of_all_kinds_are_blocking(pair):
    ours, theirs = pair
    assert os.get_blocking(ours.fileno()) and os.get_blocking(theirs.fileno())
    with ours.dup() as copy, fromfd(ours.fileno(), ours.family, ours.type) as other:
        other.settimeout(5)  # all three have the same open file
        theirs.send(b"x")
        assert copy.recv(1, PEEK) == ours.recv(1, PEEK) == other.recv(1) == b"x"
        other.settimeout(None)
    descriptor = ours.detach()
    assert os.get_blocking(descriptor)
    os.close(descriptor)


def test_a_child_reads_and_writes_a_socket_as_its_standard_streams(pair):
    ours, theirs = pair
    process = subprocess.Popen(CAT, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
    theirs.close()
    until_asleep(process.pid)
    ours.sendall(b"hello")
    assert ours.recv(100) == b"hello" and process.wait() == 0


def test_a_child_reads_a_socket_that_is_passed_on(pair):
    ours, theirs = pair
    command = [sys.executable, "-c", f"import os; os.write(1, os.read({theirs.fileno()}, 100))"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[theirs.fileno()])
    until_asleep(process.pid)
    ours.sendall(b"hello")
    assert process.communicate()[0] == b"hello"


def test_a_listener_is_blocking_for_a_child():
    """accept() makes a listener non-blocking. It is blocking again when a child gets it."""
    code = "import socket; s = socket.socket(fileno=0); print(s.accept()[0].recv(9).decode())"
    with create_server(("127.0.0.1", 0)) as listener:
        assert os.get_blocking(listener.fileno())
        with pytest.raises(Timeout), Timeout(0.01):
            listener.accept()
        for stdin in (listener, os.dup(listener.fileno())):
            with pytest.raises(Timeout), Timeout(0.01):
                listener.accept()
            process = subprocess.Popen([sys.executable, "-c", code], stdin=stdin, stdout=subprocess.PIPE)
            assert os.get_blocking(listener.fileno())
            with create_connection(listener.getsockname()) as client:
                client.sendall(b"hello")
                assert process.communicate()[0] == b"hello\n"
        os.close(stdin)
        connecting = spawn(create_connection, listener.getsockname())
        accepted, _ = listener.accept()
        assert os.get_blocking(accepted.fileno())
        accepted.close()
        connecting.get().close()
        descriptor = listener.detach()
        assert os.get_blocking(descriptor)
        os.close(descriptor)


def test_os_read_and_write_of_the_descriptor_let_others_run(pair, ticks):
    ours, theirs = pair
    data = os.urandom(4_000_000)
    writing = spawn(greenio.os.write, ours.fileno(), data)
    received = bytearray()
    while len(received) < len(data):
        received += greenio.os.read(theirs.fileno(), 65_536)
    assert writing.get() == len(data) and received == data and ticks


def test_sendfile_lets_others_run(pair, tmp_path, ticks):
    ours, theirs = pair
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3_000_000))
    with path.open("rb") as file:
        sending = spawn(ours.sendfile, file)
        received = theirs.recv(3_000_000, ALL)
        assert sending.get() == 3_000_000 and received == path.read_bytes()
    assert ticks and os.get_blocking(ours.fileno())


def test_a_socket_is_blocking_after_connecting():
    with create_server(("127.0.0.1", 0)) as listener:
        with create_connection(listener.getsockname()) as client:
            assert os.get_blocking(client.fileno())
        with create_connection(listener.getsockname(), timeout=5) as client:
            assert not os.get_blocking(client.fileno())
            client.settimeout(None)
            assert os.get_blocking(client.fileno())


# --- MSG_WAITALL ------------------------------------------------------------------------------------------------


def received_by(name, sock, size, flags):
    """Receive with the method of that name; return the data."""
    buffer = bytearray(size)
    if name in ("recv", "recvfrom"):
        result = getattr(sock, name)(size, flags)
        return result if name == "recv" else result[0]
    if name in ("recv_into", "recvfrom_into"):
        result = getattr(sock, name)(buffer, 0, flags)
        return bytes(buffer[: result if name == "recv_into" else result[0]])
    if name == "recvmsg":
        return sock.recvmsg(size, 0, flags)[0]
    with memoryview(buffer) as view:
        return bytes(buffer[: sock.recvmsg_into([view[:2], view[2:2], view[2:]], 0, flags)[0]])


WAYS = ["recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"]


@pytest.mark.parametrize("name", WAYS)
def test_waitall_waits_for_all_data(pair, name, ticks):
    ours, theirs = pair
    sending = in_parts(theirs, [b"abc"] * 4)
    assert received_by(name, ours, 10, ALL) == b"abcabcabca" and ticks
    assert received_by(name, ours, 10, 0) == b"bc"
    sending.join()
    large = in_parts(theirs, [b"x" * 200_000] * 2, 0)
    assert received_by(name, ours, 400_000, ALL) == b"x" * 400_000
    large.join()


@pytest.mark.parametrize("name", WAYS)
def test_waitall_ends_with_the_connection(pair, name):
    ours, theirs = pair
    sending = in_parts(theirs, [b"abc", b"def"])
    ending = spawn(lambda: (sending.join(), theirs.close()))
    assert received_by(name, ours, 10, ALL) == b"abcdef"
    assert received_by(name, ours, 10, ALL) == b""
    ending.join()


@pytest.mark.parametrize("name", WAYS)
def test_waitall_returns_the_data_before_an_error(pair, name):
    """The call returns the data before the error, and the next call raises it."""
    ours, theirs = pair
    if ours.family == standard.AF_UNIX:
        ours.send(b"unread")
    else:
        theirs.setsockopt(SOL_SOCKET, standard.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.send(b"abc")
    job = spawn(received_by, name, ours, 10, ALL)
    until_waiting(job)
    theirs.close()
    assert job.get() == b"abc"
    with pytest.raises(ConnectionResetError):
        received_by(name, ours, 10, ALL)


@pytest.mark.parametrize("name", WAYS)
def test_waitall_that_is_interrupted_leaves_a_usable_socket(pair, name):
    """The data of the interrupted call are lost, as when a signal handler raises. The socket can be used."""
    ours, theirs = pair
    theirs.send(b"abc")
    with pytest.raises(Timeout), Timeout(0.02):
        received_by(name, ours, 10, ALL)
    theirs.send(b"def")
    assert received_by(name, ours, 10, 0) == b"def"


@pytest.mark.parametrize("name", WAYS)
def test_waitall_does_not_wait_with_a_timeout(pair, name):
    """With a timeout the descriptor is non-blocking, and the system does not wait for all data."""
    ours, theirs = pair
    theirs.send(b"abc")
    assert received_by(name, ours, 10, ALL | standard.MSG_DONTWAIT) == b"abc"
    ours.settimeout(5)
    sending = in_parts(theirs, [b"abc", b"def"], 0.05)
    assert received_by(name, ours, 10, ALL) == b"abc"
    sending.join()
    assert received_by(name, ours, 10, ALL) == b"def"


@pytest.mark.parametrize("name", WAYS)
def test_waitall_with_peek_leaves_the_data(pair, name):
    ours, theirs = pair
    sending = in_parts(theirs, [b"abc", b"def"])
    assert received_by(name, ours, 6, ALL | PEEK) == b"abcdef"
    sending.join()
    theirs.close()
    assert received_by(name, ours, 10, ALL | PEEK) == b"abcdef" == received_by(name, ours, 10, ALL)


@pytest.mark.parametrize("name", WAYS)
def test_waitall_returns_one_datagram(name):
    ours, theirs = socketpair(type=standard.SOCK_DGRAM)
    with ours, theirs:
        theirs.send(b"abc")
        assert received_by(name, ours, 10, ALL) == b"abc"


def test_waitall_ends_at_descriptors():
    ours, theirs = socketpair()
    with ours, theirs:
        standard.send_fds(theirs, [b"abc"], [0])
        data, ancillary, _, _ = ours.recvmsg(10, standard.CMSG_SPACE(4), ALL)
        os.close(struct.unpack("i", ancillary[0][2])[0])
        assert data == b"abc"


# --- SO_RCVTIMEO, SO_SNDTIMEO -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAYS)
def test_so_rcvtimeo_ends_a_receive(pair, name):
    ours, theirs = pair
    limit(ours, SO_RCVTIMEO, 20)
    with pytest.raises(BlockingIOError) as caught:
        received_by(name, ours, 10, 0)
    assert caught.value.errno == errno.EAGAIN
    theirs.send(b"abc")
    assert received_by(name, ours, 10, ALL) == b"abc"  # the data that came in time
    with ours.dup() as copy, pytest.raises(BlockingIOError):
        received_by(name, copy, 10, 0)
    ours.settimeout(0.01)  # now this timeout counts
    with pytest.raises(TimeoutError):
        received_by(name, ours, 10, 0)
    ours.settimeout(None)
    limit(ours, SO_RCVTIMEO, 0)
    sending = in_parts(theirs, [b"", b"late"], 0.05)
    assert received_by(name, ours, 10, 0) == b"late"
    sending.join()


def test_so_sndtimeo_ends_a_send(pair):
    ours, _ = pair
    limit(ours, SO_SNDTIMEO, 20)
    with pytest.raises(BlockingIOError):
        ours.sendall(bytes(20_000_000))
    for send in (ours.send, lambda data: ours.sendmsg([data])):
        with pytest.raises(BlockingIOError):
            for _ in range(1000):  # the buffer may still have some room
                send(bytes(65_536))


def test_so_rcvtimeo_ends_an_accept():
    with create_server(("127.0.0.1", 0)) as listener:
        limit(listener, SO_RCVTIMEO, 20)
        with pytest.raises(BlockingIOError):
            listener.accept()
        with create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            with pytest.raises(BlockingIOError):  # accepted sockets inherit the option
                accepted.recv(1)


def test_a_child_of_the_standard_subprocess_reads_a_socket(pair):
    ours, theirs = pair
    process = standard_subprocess.Popen(CAT, stdin=theirs, stdout=theirs)
    theirs.close()
    ours.sendall(b"hello")
    assert ours.recv(5, ALL) == b"hello" and process.wait() == 0


def test_processes_of_a_fork_server_get_blocking_descriptors():
    """The server, which is not patched, gets a listener and pipes of a patched program."""
    script = SCRIPTS / "forkserver_children.py"
    result = standard_subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.stderr) == ("['asked', 'answered']\n[0, 2, 4, 6, 8] 0\n", "")
