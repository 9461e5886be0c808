"""Sockets of all families and types, and uses of socket objects other than sending and receiving."""

import array
import os
import pickle
import shutil
import socket as standard
import struct

import pytest
from waiting import until_waiting

from greenio import Timeout, get_hub, joinall, sleep, socket, spawn, ssl, subprocess
from greenio.socket import create_connection, create_server, socketpair

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may open raw sockets")


def waits_for(receive, send):
    """Receive in a greenlet, which must wait; then send. Returns the received data."""
    receiving = spawn(receive)
    sleep(0)
    assert not receiving.ready()
    send()
    return receiving.get(timeout=5)


# --- families and types -----------------------------------------------------------------------------------------


def test_unix_datagrams_wait_for_their_receiver(tmp_path):
    with socket.socket(standard.AF_UNIX, standard.SOCK_DGRAM) as server:
        with socket.socket(standard.AF_UNIX, standard.SOCK_DGRAM) as client:
            server.bind(str(tmp_path / "server"))
            client.bind(str(tmp_path / "client"))
            data, address = waits_for(
                lambda: server.recvfrom(100), lambda: client.sendto(b"hello", str(tmp_path / "server"))
            )
            assert (data, address) == (b"hello", str(tmp_path / "client"))
            # The queue of a Unix datagram socket is short, so that the sender waits for the receiver.
            sending = spawn(lambda: [client.sendto(b"%d" % number, server.getsockname()) for number in range(2000)])
            assert [server.recv(10) for _ in range(2000)] == [b"%d" % number for number in range(2000)]
            assert sending.get(timeout=5) == [len(str(number)) for number in range(2000)]


@pytest.mark.parametrize("call", ["send", "sendto", "sendmsg", "sendto, not connected", "sendmsg, not connected"])
def test_unix_datagrams_to_a_full_queue(tmp_path, call):
    """The system says that the sender is always writable, whatever the queue of the receiver."""
    path = str(tmp_path / "server")
    with socket.socket(standard.AF_UNIX, standard.SOCK_DGRAM) as server:
        with socket.socket(standard.AF_UNIX, standard.SOCK_DGRAM) as client:
            server.bind(path)
            if "not" not in call:
                client.connect(path)
            send = {
                "send": lambda: client.send(b"x"),
                "sendto": lambda: client.sendto(b"x", path),
                "sendmsg": lambda: client.sendmsg([b"x"], [], 0, path if "not" in call else None),
            }[call.partition(",")[0]]
            client.settimeout(0)
            with pytest.raises(BlockingIOError):
                while True:
                    send()
            client.settimeout(0.01)
            with pytest.raises(TimeoutError):
                send()
            client.settimeout(None)
            turns = []
            with get_hub().loop.check() as watcher:
                watcher.start(turns.append, None)
                sending = spawn(send)
                sleep(0.2)
                assert not sending.ready() and len(turns) < 200  # a loop that spins has thousands of turns
            server.recv(1)
            assert sending.get(timeout=5) == 1
            sending = spawn(send)
            sleep(0)
            sending.kill()

            def send_to_the_end():
                with pytest.raises(OSError, match="closed|Bad file descriptor"):
                    send()

            sending = spawn(send_to_the_end)
            sleep(0)
            client.close()
            sending.get(timeout=5)


def test_sequenced_packets_keep_their_bounds(tmp_path):
    with socket.socket(standard.AF_UNIX, standard.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "listener"))
        listener.listen()
        with socket.socket(standard.AF_UNIX, standard.SOCK_SEQPACKET) as client:
            client.connect(str(tmp_path / "listener"))
            server, _ = listener.accept()
            with server:
                assert server.type == standard.SOCK_SEQPACKET
                client.send(b"one")
                client.send(b"two")
                assert (server.recv(100), server.recv(2)) == (b"one", b"tw")  # the rest of a message is dropped
                assert waits_for(lambda: server.recv(100), lambda: client.send(b"three")) == b"three"


def test_sockets_with_abstract_names_connect():
    with socket.socket(standard.AF_UNIX) as listener:
        listener.bind("")  # the system chooses a name
        listener.listen()
        assert listener.getsockname().startswith(b"\0")
        with socket.socket(standard.AF_UNIX) as client:
            client.bind(b"\0greenio-test-%d" % os.getpid())
            client.connect(listener.getsockname())
            server, address = listener.accept()
            assert address == client.getsockname()
            server.close()


@AS_ROOT
def test_a_raw_socket_gets_the_echo():
    """The system answers an echo request that we send to ourselves."""
    with socket.socket(standard.AF_INET, standard.SOCK_RAW, standard.IPPROTO_ICMP) as sock:
        sock.settimeout(5)
        body = struct.pack("!HH", os.getpid() & 0xFFFF, 1)
        total = 0x0800 + sum(struct.unpack("!HH", body))
        checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        receiving = spawn(lambda: next(data for data, _ in iter(lambda: sock.recvfrom(200), None) if data[20] == 0))
        sock.sendto(struct.pack("!BBH", 8, 0, checksum) + body, ("127.0.0.1", 0))
        assert receiving.get()[24:28] == body


def test_netlink_lists_the_links():
    """The system sends the list of network links in parts."""
    with socket.socket(standard.AF_NETLINK, standard.SOCK_RAW, 0) as sock:
        sock.settimeout(5)
        sock.bind((0, 0))
        RTM_GETLINK, NLM_F_REQUEST_DUMP, NLMSG_DONE = 18, 0x301, 3
        sock.send(struct.pack("=LHHLLB3x", 20, RTM_GETLINK, NLM_F_REQUEST_DUMP, 1, 0, 0))
        names, done = b"", False
        while not done:
            data = sock.recv(65536)
            names += data
            while len(data) >= 16:
                length, kind = struct.unpack("=LH", data[:6])
                done = done or kind == NLMSG_DONE
                data = data[(length + 3) & ~3 :]
        assert b"lo\0" in names


def test_an_empty_datagram_is_not_the_end():
    with socket.socket(type=standard.SOCK_DGRAM) as server, socket.socket(type=standard.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        for message in (b"", b"x", b""):
            assert waits_for(lambda: server.recv(10), lambda message=message: client.send(message)) == message


def test_a_late_refusal_is_raised_by_the_next_receive():
    """The refusal of a datagram arrives after it was sent."""
    with socket.socket(type=standard.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()
    with socket.socket(type=standard.SOCK_DGRAM) as sock:
        sock.connect(address)
        with pytest.raises(ConnectionRefusedError):
            waits_for(lambda: sock.recv(1), lambda: sock.send(b"x"))


def test_urgent_data_are_received_separately():
    with create_server(("127.0.0.1", 0)) as listener, create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        with server:
            client.send(b"!", standard.MSG_OOB)
            client.send(b"x")
            assert server.recv(1, standard.MSG_OOB) == b"!" and server.recv(10) == b"x"


# --- methods ----------------------------------------------------------------------------------------------------


def test_each_way_of_receiving_waits(pair):
    ours, theirs = pair
    buffer, second = bytearray(10), bytearray(10)
    send = lambda: theirs.send(b"hello")  # noqa: E731
    assert waits_for(lambda: ours.recvfrom(10), send)[0] == b"hello"
    assert waits_for(lambda: ours.recvfrom_into(buffer), send)[0] == 5 and buffer[:5] == b"hello"
    assert waits_for(lambda: ours.recvmsg(10), send)[:2] == (b"hello", [])
    assert waits_for(lambda: ours.recvmsg_into([memoryview(buffer)[:2], second]), send)[0] == 5
    assert buffer[:2] + second[:3] == b"hello"
    assert waits_for(lambda: ours.recvmsg_into(iter([buffer])), send)[0] == 5


def test_sendmsg_of_an_iterator_is_sent_whole_after_a_wait(pair):
    ours, theirs = pair
    with pytest.raises(BlockingIOError):
        while True:
            ours.send(b"x" * 65536, standard.MSG_DONTWAIT)
    sending = spawn(ours.sendmsg, (part for part in (b"ab", b"cd")))
    sleep(0)
    assert not sending.ready()
    received = b""
    while not received.endswith(b"abcd"):
        received += theirs.recv(1 << 20)
    assert sending.get() == 4


def test_descriptors_can_be_sent(pair):
    ours, theirs = pair
    reader, writer = os.pipe()
    data, fds, _, _ = waits_for(
        lambda: socket.recv_fds(ours, 10, 2), lambda: socket.send_fds(theirs, [b"fd"], [writer])
    )
    assert data == b"fd" and len(fds) == 1
    os.write(fds[0], b"x")
    assert os.read(reader, 1) == b"x"
    for fd in (reader, writer, *fds):
        os.close(fd)
    with open(os.devnull) as file:
        theirs.sendmsg(
            [b"a"], [(standard.SOL_SOCKET, standard.SCM_RIGHTS, array.array("i", [file.fileno()]))],
        )  # fmt: skip
    _, ancillary, _, _ = ours.recvmsg(1, standard.CMSG_SPACE(4))
    os.close(array.array("i", ancillary[0][2])[0])


def test_dontwait_is_for_one_call(pair):
    ours, theirs = pair
    for call in (
        lambda: ours.recv(1, standard.MSG_DONTWAIT),
        lambda: ours.recv_into(bytearray(1), 1, standard.MSG_DONTWAIT),
        lambda: ours.recvfrom(1, standard.MSG_DONTWAIT),
        lambda: ours.recvmsg(1, 0, standard.MSG_DONTWAIT),
    ):
        with pytest.raises(BlockingIOError):
            call()
    assert waits_for(lambda: ours.recv(1), lambda: theirs.send(b"x")) == b"x"


def test_duplicates_share_the_data_and_live_on(pair):
    ours, theirs = pair
    ours.settimeout(5)
    with ours.dup() as twin:
        assert type(twin) is socket.socket and twin.gettimeout() == 5 and twin.fileno() != ours.fileno()
        readers = [spawn(sock.recv, 1) for sock in (ours, twin, ours, twin)]
        sleep(0)
        theirs.send(b"abcd")
        assert sorted(reader.get(timeout=5) for reader in readers) == [b"a", b"b", b"c", b"d"]
        ours.close()
        theirs.send(b"x")
        assert twin.recv(1) == b"x"
    with socket.fromfd(theirs.fileno(), standard.AF_UNIX, standard.SOCK_STREAM) as again:
        assert again.recv(1) == b""


def test_the_kind_of_a_descriptor_is_found_out(pair):
    with create_server(("127.0.0.1", 0)) as listener, socket.socket(fileno=os.dup(listener.fileno())) as again:
        assert (again.family, again.type, again.proto) == (listener.family, listener.type, standard.IPPROTO_TCP)
        client = create_connection(again.getsockname())
        again.accept()[0].close()
        client.close()
    with open(os.devnull) as file, pytest.raises(OSError, match="Socket operation on non-socket"):
        socket.socket(fileno=file.fileno())


# --- makefile ---------------------------------------------------------------------------------------------------


def test_files_keep_the_socket_open(pair):
    ours, theirs = pair
    reading, writing = ours.makefile("r", encoding="utf-8"), ours.makefile("wb")
    number = ours.fileno()
    ours.close()
    os.fstat(number)  # still open
    theirs.sendall("grün\nblau".encode())
    assert reading.readline() == "grün\n"
    writing.write(b"buffered")
    writing.close()
    assert theirs.recv(100) == b"buffered"
    os.fstat(number)
    theirs.close()
    assert reading.read() == "blau"
    reading.close()
    with pytest.raises(OSError):
        os.fstat(number)


def test_a_file_of_a_socket_times_out(pair):
    ours, theirs = pair
    ours.settimeout(0.002)
    with ours.makefile("rb") as file:
        with pytest.raises(TimeoutError):
            file.read(1)
        with pytest.raises(OSError, match="cannot read from timed out object"):
            file.read(1)
    ours.settimeout(0)
    with ours.makefile("rb", buffering=0) as file:
        assert file.read(1) is None


def test_one_file_may_read_and_write(pair):
    ours, theirs = pair
    with ours.makefile("rwb") as file:
        file.write(b"ping\n")
        file.flush()
        assert theirs.recv(10) == b"ping\n"
        assert waits_for(file.readline, lambda: theirs.send(b"pong\n")) == b"pong\n"


# --- objects ----------------------------------------------------------------------------------------------------


class Counted(socket.socket):
    made = 0

    def __init__(self, *args, label="none", **kwargs):
        super().__init__(*args, **kwargs)
        self.label = label
        type(self).made += 1


def test_subclasses_keep_their_methods_and_state():
    with Counted(label="listener") as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with Counted(label="client") as client:
            client.connect(listener.getsockname())
            server, _ = listener.accept()
            # accept() does not know how to make the subclass; so it is in the standard library.
            assert type(server) is socket.socket
            assert waits_for(lambda: server.recv(1), lambda: client.send(b"x")) == b"x"
            server.close()
            with client.dup() as twin:
                assert type(twin) is Counted and twin.label == "none"


def test_representation_and_pickling():
    sock = socket.socket()
    assert repr(sock).startswith(f"<greenio.socket.socket fd={sock.fileno()}, family=")
    with pytest.raises(TypeError, match="cannot pickle 'socket' object"):
        pickle.dumps(sock)
    sock.close()
    assert repr(sock).startswith("<greenio.socket.socket [closed] fd=-1")


def test_the_default_timeout_is_for_every_new_socket():
    with create_server(("127.0.0.1", 0)) as listener:
        assert listener.gettimeout() is None
        standard.setdefaulttimeout(7)
        try:
            client = create_connection(listener.getsockname())
            server, _ = listener.accept()
            first, second = socketpair()
            made = [client, server, first, second, socket.socket(), create_server(("127.0.0.1", 0)), client.dup()]
            assert [sock.gettimeout() for sock in made] == [7.0] * 7
            made.append(socket.socket(type=standard.SOCK_STREAM | standard.SOCK_NONBLOCK))
            assert made[-1].gettimeout() == 0 and made[-1].type == standard.SOCK_STREAM
            made.append(create_connection(listener.getsockname(), timeout=None))
            assert made[-1].gettimeout() is None
        finally:
            socket.setdefaulttimeout(None)
        for sock in made:
            sock.close()


def test_a_non_blocking_listener_accepts_blocking_sockets():
    with create_server(("127.0.0.1", 0)) as listener, create_connection(listener.getsockname()) as client:
        listener.settimeout(0)
        socket.wait_read(listener, 5)
        server, _ = listener.accept()
        assert server.gettimeout() is None
        assert waits_for(lambda: server.recv(1), lambda: client.send(b"x")) == b"x"
        server.close()


def test_an_unclosed_socket_is_closed_with_a_warning():
    sock = socket.socket()
    number = sock.fileno()
    with pytest.warns(ResourceWarning, match="unclosed <greenio.socket.socket"):
        del sock
    with pytest.raises(OSError):
        os.fstat(number)


def test_create_server_shares_ports_and_serves_both_families():
    with create_server(("127.0.0.1", 0), reuse_port=True) as first:
        with create_server(first.getsockname(), reuse_port=True) as second:
            assert first.getsockname() == second.getsockname()
    if socket.has_dualstack_ipv6():
        with create_server(("::", 0), family=standard.AF_INET6, dualstack_ipv6=True) as listener:
            for host in ("127.0.0.1", "::1"):
                with create_connection((host, listener.getsockname()[1]), timeout=5):
                    listener.accept()[0].close()


@pytest.mark.parametrize("how", [standard.SHUT_RD, standard.SHUT_WR, standard.SHUT_RDWR])
def test_shutdown_wakes_waiting_greenlets(how):
    with create_server(("127.0.0.1", 0)) as listener, create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        readers = [spawn(client.recv, 1) for _ in range(3)]
        writer = spawn(client.sendall, bytes(1 << 24))
        writer.reports_errors = False
        until_waiting(*readers, writer)
        client.shutdown(how)
        if how != standard.SHUT_WR:
            joinall(readers, timeout=5)
            assert [reader.value for reader in readers] == [b""] * 3
        if how != standard.SHUT_RD:
            with pytest.raises(BrokenPipeError):
                writer.get(timeout=5)
        for greenlet in (*readers, writer):
            greenlet.kill()
        server.close()


def test_shutdown_of_a_listener_wakes_its_acceptor():
    with create_server(("127.0.0.1", 0)) as listener:
        accepting = spawn(listener.accept)
        accepting.reports_errors = False
        sleep(0)
        listener.shutdown(standard.SHUT_RDWR)
        with pytest.raises(OSError, match="Invalid argument"):
            accepting.get(timeout=5)


def test_closing_a_number_wakes_its_waiters(pair):
    duplicate = os.dup(pair[0].fileno())
    waiting = spawn(socket.wait_read, duplicate)
    waiting.reports_errors = False
    sleep(0)
    socket.close(duplicate)
    with pytest.raises(OSError, match="was closed"):
        waiting.get(timeout=5)
    with pytest.raises(OSError, match="Bad file descriptor"):
        socket.close(duplicate)


def test_bind_looks_up_a_name(threadpool):
    with socket.socket() as sock:
        sock.bind(("localhost", 0))
        assert sock.getsockname()[0] == "127.0.0.1"


# --- waiting for descriptors ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [socket.wait_read, socket.wait_write, socket.wait_readwrite])
def test_descriptors_are_waited_for_by_number(wait, pair):
    ours, theirs = pair
    with pytest.raises(BlockingIOError):
        while True:
            ours.send(b"x" * 65536, standard.MSG_DONTWAIT)
    for argument in (ours, ours.fileno()):
        with pytest.raises(TimeoutError, match="timed out"):
            wait(argument, 0.001)
        with pytest.raises(KeyError):
            wait(argument, timeout=0.001, timeout_exc=KeyError("mine"))
        with pytest.raises(TimeoutError):
            wait(argument, 0)

    def answer():
        theirs.send(b"x")
        while len(theirs.recv(1 << 20)) == 1 << 20:
            pass

    waiting = [spawn(wait, ours) for _ in range(3)]
    sleep(0)
    answer()
    joinall(waiting, raise_error=True, timeout=5)
    for bad in (-1, 0.5, "x", None, object()):
        with pytest.raises((ValueError, TypeError, AttributeError)):
            wait(bad, 0.001)


def test_cancel_wait_ends_a_wait_with_an_error(pair):
    hub = get_hub()
    for error, expected in ((None, OSError), (KeyError("mine"), KeyError)):
        with hub.loop.io(pair[0].fileno(), 1) as watcher:
            waiting = spawn(hub.wait, watcher)
            waiting.reports_errors = False
            sleep(0)
            socket.cancel_wait(watcher, *([error] if error else []))
            with pytest.raises(expected):
                waiting.get(timeout=5)


def test_cancel_wait_ends_a_wait_for_a_child():
    hub = get_hub()
    child = subprocess.Popen(["sleep", "60"])
    try:
        with hub.loop.child(child.pid) as watcher:
            waiting = spawn(hub.wait, watcher)
            waiting.reports_errors = False
            sleep(0)
            socket.cancel_wait(watcher)
            with pytest.raises(OSError):
                waiting.get(timeout=5)
    finally:
        child.kill()
        child.wait()


# --- a peer that is no Python -----------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("nc") is None, reason="the command nc (netcat-openbsd) is not installed")
class TestNetcat:
    def test_netcat_is_served(self):
        with create_server(("127.0.0.1", 0)) as listener:
            command = ["nc", "-N", "127.0.0.1", str(listener.getsockname()[1])]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                server, _ = listener.accept()
                process.stdin.write(b"from netcat\n")
                process.stdin.close()  # -N: it shuts its side down, and goes on reading
                received = b""
                while data := server.recv(100):
                    received += data
                server.sendall(received.upper())
                server.close()
                assert process.stdout.read() == b"FROM NETCAT\n"

    def test_netcat_serves_us(self, tmp_path):
        path = str(tmp_path / "socket")
        with subprocess.Popen(["nc", "-lU", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            with socket.socket(standard.AF_UNIX) as client:
                with Timeout(20):
                    while client.connect_ex(path) != 0:
                        sleep(0.002)
                client.sendall(b"to netcat\n")
                assert process.stdout.readline() == b"to netcat\n"
                process.stdin.write(b"back\n")
                process.stdin.flush()
                assert client.recv(100) == b"back\n"
            process.stdin.close()
            process.wait()

    def test_netcat_gets_an_answer_over_udp(self):
        with socket.socket(type=standard.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            command = ["nc", "-u", "127.0.0.1", str(server.getsockname()[1])]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                process.stdin.write(b"datagram\n")
                process.stdin.flush()
                data, address = server.recvfrom(100)
                server.sendto(data.upper(), address)
                assert process.stdout.readline() == b"DATAGRAM\n"
                process.kill()


def test_the_module_has_all_that_the_standard_one_has():
    ours = vars(socket)
    missing = [name for name in vars(standard) if not name.startswith("_") and name not in ours]
    # The standard module imports these modules and names for its own use.
    assert set(missing) <= {"IntEnum", "IntFlag", "array", "io", "selectors", "sys"}


def test_tls_has_no_blocking_sockets():
    assert ssl.socket is socket.socket and ssl.create_connection is create_connection
