"""Servers that listen on Unix sockets, on inherited descriptors, or on a port that several share."""

import errno
import os
import socket as standard
import stat
import subprocess
import sys
import threading

import pytest
from places import SCRIPTS
from stream_servers import echo
from waiting import until

from greenio.server import DatagramServer, StreamServer
from greenio.socket import AF_INET, AF_UNIX, SOCK_DGRAM, SOCK_STREAM, create_connection, socket


def ask(address, message=b"hello"):
    with socket(AF_UNIX if isinstance(address, (str, bytes)) else AF_INET, SOCK_STREAM) as sock:
        sock.connect(address)
        sock.sendall(message)
        return sock.recv(1000)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


class TestPaths:
    def test_a_path_is_served_for_its_owner_and_removed(self, path):
        with StreamServer(f"unix:{path}", echo) as server:
            assert ask(path) == b"hello" and server.address == path and server.server_port is None
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert not os.path.exists(path)

    def test_mode_lets_others_connect(self, path):
        before = os.umask(0o077)
        try:
            with StreamServer(f"unix://{path}", echo, mode=0o666):
                assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
        finally:
            os.umask(before)

    def test_a_path_is_served_again_after_a_stop(self, path):
        server = StreamServer(f"unix:{path}", echo)
        for _ in range(3):
            with server:
                assert ask(path) == b"hello"
            assert not os.path.exists(path)

    def test_a_stale_socket_is_replaced(self, path):
        with standard.socket(AF_UNIX) as left:
            left.bind(path)
        with StreamServer(f"unix:{path}", echo):
            assert ask(path) == b"hello"

    @pytest.mark.parametrize("listens", [True, False])
    def test_a_socket_in_use_is_not_replaced(self, path, listens):
        kind = SOCK_STREAM if listens else SOCK_DGRAM
        with standard.socket(AF_UNIX, kind) as alive:
            alive.bind(path)
            if listens:
                alive.listen()
            with pytest.raises(OSError, match="may be in use") as caught:
                (StreamServer if listens else DatagramServer)(f"unix:{path}", echo).start()
            assert caught.value.errno == errno.EADDRINUSE and os.path.exists(path)

    def test_a_file_that_is_no_socket_is_not_replaced(self, path):
        with open(path, "w") as file:
            file.write("precious")
        with pytest.raises(OSError, match="that is not a socket"):
            StreamServer(f"unix:{path}", echo).start()
        with open(path) as file:
            assert file.read() == "precious"

    def test_another_socket_at_the_path_is_not_removed(self, path):
        with StreamServer(f"unix:{path}", echo):
            os.unlink(path)
            with standard.socket(AF_UNIX) as other:
                other.bind(path)
        assert os.path.exists(path)

    def test_a_forked_child_does_not_remove_the_socket(self, path):
        with StreamServer(f"unix:{path}", echo) as server:
            child = os.fork()
            if child == 0:
                server.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            assert ask(path) == b"hello"

    def test_one_of_several_servers_replaces_a_stale_socket(self, path):
        with standard.socket(AF_UNIX) as left:
            left.bind(path)
        command = [sys.executable, str(SCRIPTS / "unix_server.py"), path]
        starting = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
        ]
        outcomes = [each.stdout.readline().strip() for each in starting]
        assert sorted(outcomes) == ["in use"] * 3 + ["serves"]
        assert ask(path) == b"hello"
        for each in starting:
            each.communicate()
        assert not os.path.exists(path)

    def test_an_abstract_name_is_served_without_a_file(self):
        name = f"greenio-{os.getpid()}"
        with StreamServer(f"unix:@{name}", echo):
            assert ask(f"\0{name}") == b"hello" and not os.path.exists(f"@{name}")

    def test_datagrams_to_a_path_are_answered(self, path, tmp_path):
        with DatagramServer(f"unix:{path}", lambda data, address: server.sendto(data.upper(), address)) as server:
            with socket(AF_UNIX, SOCK_DGRAM) as client:
                client.bind(str(tmp_path / "client"))
                client.sendto(b"hello", path)
                assert client.recv(100) == b"HELLO"
        assert not os.path.exists(path)

    def test_a_missing_folder_is_an_error(self, path):
        with pytest.raises(FileNotFoundError):
            StreamServer(f"unix:{path}/deeper", echo).start()

    @pytest.mark.parametrize("written", ["unix:", "unix:relative", "unix:@"])
    def test_a_malformed_path_is_refused(self, written):
        with pytest.raises(ValueError, match="unix:"):
            StreamServer(written, echo)


class TestInherited:
    def test_a_descriptor_is_taken_over(self):
        with standard.create_server(("127.0.0.1", 0)) as listener:
            descriptor = listener.detach()
        os.set_inheritable(descriptor, True)
        with StreamServer(f"fd://{descriptor}", echo) as server:
            assert ask(server.address) == b"hello" and not os.get_inheritable(descriptor)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)

    @pytest.mark.parametrize("kind", ["closed", "file", "datagram", "connected", "word"])
    def test_a_descriptor_that_is_no_listener_is_refused(self, kind):
        first, second = standard.socketpair()
        with first, second, socket(AF_INET, SOCK_DGRAM) as datagram, open(os.devnull) as file:
            written = {"file": file, "datagram": datagram, "connected": first}.get(kind)
            written = {"closed": "fd://99999", "word": "fd://three"}.get(kind) or f"fd://{written.fileno()}"
            with pytest.raises(ValueError, match="cannot listen on 'fd://"):
                StreamServer(written, echo)
            for each in (first, second, datagram, file):
                os.fstat(each.fileno())  # still open

    def test_sockets_of_systemd_are_found_by_name(self):
        with standard.create_server(("127.0.0.1", 0)) as first, standard.create_server(("127.0.0.1", 0)) as second:
            ports = [each.getsockname()[1] for each in (first, second)]
            for listener, found in (("systemd:web", ports[0]), ("systemd:admin", ports[1]), ("systemd", None)):
                process = subprocess.Popen(
                    [sys.executable, str(SCRIPTS / "systemd_server.py"), listener, *map(str, ports)],
                    stdout=subprocess.PIPE, text=True, pass_fds=(first.fileno(), second.fileno()),
                    env={**os.environ, "FIRST": str(first.fileno()), "SECOND": str(second.fileno())},
                )  # fmt: skip
                printed = process.communicate()[0].strip()
                assert printed == (f"port {found}" if found else "2 descriptors are meant")

    def test_missing_sockets_of_systemd_are_an_error(self, monkeypatch):
        monkeypatch.delenv("LISTEN_PID", raising=False)
        with pytest.raises(ValueError, match="no descriptor was passed"):
            StreamServer("systemd", echo)


class TestSharedPorts:
    def test_two_servers_serve_one_port(self):
        with StreamServer(("127.0.0.1", 0), echo, reuse_port=True) as first:
            with StreamServer(first.address, echo, reuse_port=True):
                assert [ask(first.address) for _ in range(20)] == [b"hello"] * 20
            with pytest.raises(OSError, match=str(first.server_port)):
                StreamServer(first.address, echo).start()

    def test_two_datagram_servers_share_one_port(self):
        got = []
        with DatagramServer(("127.0.0.1", 0), lambda data, address: got.append(data), reuse_port=True) as first:
            with DatagramServer(first.address, lambda data, address: got.append(data), reuse_port=True) as second:
                assert first.address == second.address
                for number in range(20):
                    with socket(AF_INET, SOCK_DGRAM) as client:
                        client.sendto(b"%d" % number, first.address)
                until(lambda: len(got) == 20)
        assert set(got) == {b"%d" % number for number in range(20)}

    def test_reuse_port_is_refused_without_a_port(self, path):
        with pytest.raises(ValueError, match="reuse_port"):
            StreamServer(f"unix:{path}", echo, reuse_port=True)
        with standard.create_server(("127.0.0.1", 0)) as listener, pytest.raises(ValueError, match="reuse_port"):
            StreamServer(listener, echo, reuse_port=True)


def test_a_server_waits_for_the_lock_of_its_folder(path):
    import fcntl

    descriptor = os.open(os.path.dirname(path), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    timer = threading.Timer(0.05, os.close, [descriptor])
    timer.start()
    with StreamServer(f"unix:{path}", echo):
        assert ask(path) == b"hello"
    timer.join()


def test_a_port_with_a_lingering_connection_can_be_served_again():
    with StreamServer(("127.0.0.1", 0), lambda sock, address: None) as server:
        with create_connection(server.address) as client:
            assert client.recv(1) == b""
    with server:
        assert server.started
