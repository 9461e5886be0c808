"""TLS: both ends, timeouts, kills, the standard library and OpenSSL as peers."""

import contextlib
import os
import shutil
import socket as standard_socket
import ssl as standard
import threading

import pytest
from places import CERTIFICATE, KEY
from waiting import until, until_waiting

from greenio import Timeout, joinall, socket, spawn, ssl, subprocess


@pytest.fixture
def pair(tcp, client_context, server_context):
    client, server = tcp
    serving = spawn(server_context.wrap_socket, server, server_side=True)
    made = client_context.wrap_socket(client, server_hostname="localhost"), serving.get()
    yield made
    for each in made:
        each.close()


def test_there_is_one_context_class():
    assert ssl.SSLContext is standard.SSLContext
    assert ssl.create_default_context is standard.create_default_context
    assert ssl.SSLError is standard.SSLError and issubclass(ssl.SSLSocket, standard.SSLSocket)


def test_the_kind_of_the_wrapped_socket_decides(client_context):
    with socket.socket() as ours, standard_socket.socket() as plain:
        with client_context.wrap_socket(ours, server_hostname="localhost") as wrapped:
            assert type(wrapped) is ssl.SSLSocket
        with client_context.wrap_socket(plain, server_hostname="localhost") as wrapped:
            assert type(wrapped) is standard.SSLSocket


def test_data_go_there_and_back_encrypted(pair):
    client, server = pair
    assert client.version().startswith("TLS") and client.getpeercert()["subject"] and client.cipher()
    reading = spawn(server.recv, 100)
    until_waiting(reading)
    client.sendall(b"hello")
    assert reading.get() == b"hello"
    buffer = bytearray(10)
    server.send(b"there")
    assert client.recv_into(buffer) == 5 and buffer[:5] == b"there"
    server.write(b"xyz")
    assert client.read(2) == b"xy" and client.pending() == 1 and client.read() == b"z"


def test_a_read_after_one_that_took_all_data_waits_first(pair):
    """The read waits for data within its timeout. It reads data that is there already, in whatever pieces it came."""
    client, server = pair
    for _ in range(3):
        server.sendall(b"one")
        assert client.recv(100) == b"one"
        reading = spawn(client.recv, 100)
        until_waiting(reading)
        server.sendall(b"two")
        server.sendall(b"three")
        assert reading.get() == b"two" and client.recv(100) == b"three"
    server.sendall(b"x" * 16384 + b"end")
    assert client.recv(65536) == b"x" * 16384 and client.recv(2) == b"en" and client.recv(2) == b"d"
    client.settimeout(0.001)
    with pytest.raises(TimeoutError, match="read operation timed out"):
        client.recv(1)
    client.settimeout(0)
    server.sendall(b"y")
    assert client.recv(100) == b"y"
    with pytest.raises(ssl.SSLWantReadError):
        client.recv(100)
    client.settimeout(None)
    server.sendall(b"last")
    assert client.recv(100) == b"last"
    closing = spawn(server.unwrap)
    assert client.recv(100) == b""
    client.unwrap()
    closing.get()


def test_much_data_go_both_ways_at_once(pair):
    client, server = pair
    data = os.urandom(3_000_000)

    def receive(sock):
        chunks = []
        while sum(map(len, chunks)) < len(data):
            chunks.append(sock.recv(65536))
        return b"".join(chunks)

    jobs = [spawn(receive, client), spawn(receive, server), spawn(client.sendall, data), spawn(server.sendall, data)]
    joinall(jobs, raise_error=True)
    assert jobs[0].value == data == jobs[1].value


def test_reading_and_writing_time_out(pair, tcp):
    client, server = pair
    client.settimeout(0.005)
    with pytest.raises(TimeoutError, match="read operation timed out"):
        client.recv(1)
    with pytest.raises(TimeoutError, match="write operation timed out"):
        while True:
            client.send(b"x" * 65536)
    server.settimeout(0)
    server.recv(10)
    client.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        client.recv(1)


def test_a_handshake_that_times_out_closes_the_socket(tcp, client_context):
    client, _ = tcp
    client.settimeout(0.005)
    number = client.fileno()
    with pytest.raises(TimeoutError, match="handshake operation timed out"):
        client_context.wrap_socket(client, server_hostname="localhost")
    with pytest.raises(OSError):
        os.fstat(number)


@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_an_interrupted_handshake_closes_the_socket(tcp, server_context, how):
    client, server = tcp
    number = server.fileno()
    if how == "kill":
        job = spawn(server_context.wrap_socket, server, server_side=True)
        until_waiting(job)
        job.kill()
    else:
        with pytest.raises(Timeout):
            with Timeout(0.005):
                server_context.wrap_socket(server, server_side=True)
    with pytest.raises(OSError):
        os.fstat(number)
    assert client.recv(10) == b""


def test_a_peer_that_does_not_speak_tls_is_an_error(tcp, server_context):
    client, server = tcp
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises(ssl.SSLError):
        server_context.wrap_socket(server, server_side=True)


def test_a_certificate_that_is_not_trusted_is_an_error(tcp, server_context):
    client, server = tcp
    serving = spawn(server_context.wrap_socket, server, server_side=True)
    serving.reports_errors = False
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(client, server_hostname="localhost")
    with pytest.raises(ssl.SSLError):
        serving.get()


def test_after_unwrap_both_ends_are_plain(pair):
    client, server = pair
    closing = spawn(client.unwrap)
    assert server.recv(10) == b""
    plain = server.unwrap()
    assert plain is server and closing.get() is client
    server.sendall(b"plain")
    assert client.recv(10) == b"plain"
    with pytest.raises(ValueError, match="No SSL wrapper"):
        client.unwrap()


def test_closing_in_another_greenlet_ends_a_read(pair):
    client, _ = pair
    reading = spawn(client.recv, 10)
    reading.reports_errors = False
    until_waiting(reading)
    client.close()
    with pytest.raises(OSError):
        reading.get()


def test_a_wrapped_listener_accepts_tls_sockets(client_context, server_context):
    with socket.create_server(("127.0.0.1", 0)) as plain:
        with server_context.wrap_socket(plain, server_side=True) as listener:

            def serve():
                sock, _ = listener.accept()
                with sock:
                    assert type(sock) is ssl.SSLSocket
                    sock.sendall(sock.recv(100))

            serving = spawn(serve)
            client = client_context.wrap_socket(socket.socket(), server_hostname="localhost")
            with client:
                client.connect(listener.getsockname())
                client.sendall(b"x")
                with client.makefile("rb") as file:
                    assert file.read() == b"x"
            serving.get()


def test_sni_alpn_and_sessions_work(tcp, client_context, server_context):
    names = []
    server_context.sni_callback = lambda sock, name, context: names.append((type(sock), name)) and None
    server_context.set_alpn_protocols(["http/1.1", "h2"])
    client_context.set_alpn_protocols(["h2"])
    client, server = tcp
    serving = spawn(server_context.wrap_socket, server, server_side=True)
    with client_context.wrap_socket(client, server_hostname="localhost") as ours:
        with serving.get() as theirs:
            assert names == [(ssl.SSLSocket, "localhost")]
            assert ours.selected_alpn_protocol() == "h2" == theirs.selected_alpn_protocol()
            theirs.send(b"x")
            assert ours.recv(1) == b"x" and ours.session is not None
            assert ours.get_channel_binding("tls-unique") is not None


def test_a_server_sees_the_clients_certificate(tcp, client_context, server_context):
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_verify_locations(CERTIFICATE)
    client_context.load_cert_chain(CERTIFICATE, KEY)
    client, server = tcp
    serving = spawn(server_context.wrap_socket, server, server_side=True)
    with client_context.wrap_socket(client, server_hostname="localhost"):
        with serving.get() as theirs:
            assert theirs.getpeercert()["subject"]


def test_sendfile_sends_the_whole_file_encrypted(pair, tmp_path):
    client, server = pair
    (tmp_path / "file").write_bytes(b"y" * 100_000)
    with open(tmp_path / "file", "rb") as file:
        sending = spawn(client.sendfile, file)
        received = b""
        while len(received) < 100_000:
            received += server.recv(65536)
    assert sending.get() == 100_000 == received.count(b"y")


def test_a_client_of_the_standard_library_is_served(client_context, server_context):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def client():
            with standard_socket.create_connection(listener.getsockname()) as plain:
                with client_context.wrap_socket(plain, server_hostname="localhost") as sock:
                    sock.sendall(b"x" * 100_000)
                    answers.append(sock.recv(10))

        answers = []
        thread = threading.Thread(target=client)
        thread.start()
        accepted, _ = listener.accept()
        with server_context.wrap_socket(accepted, server_side=True) as sock:
            received = 0
            while received < 100_000:
                received += len(sock.recv(65536))
            sock.sendall(b"done")
            thread.join(0.01)
        thread.join()
    assert answers == [b"done"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
def test_a_client_of_openssl_is_served(server_context):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", "-quiet", "-no_ign_eof"]
        with subprocess.Popen(
            [*command, "-CAfile", CERTIFICATE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            accepted, _ = listener.accept()
            with server_context.wrap_socket(accepted, server_side=True) as sock:
                process.stdin.write(b"from openssl\n")
                process.stdin.flush()
                assert sock.recv(100) == b"from openssl\n"
                sock.sendall(b"to openssl\n")
                assert process.stdout.readline() == b"to openssl\n"
            process.kill()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
def test_a_server_of_openssl_answers(client_context):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    options = ["-accept", f"127.0.0.1:{port}", "-cert", CERTIFICATE, "-key", KEY, "-rev", "-quiet"]
    with subprocess.Popen(
        ["openssl", "s_server", *options], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:

        def connected():
            with contextlib.suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", port), timeout=10)

        plain = until(connected)
        with client_context.wrap_socket(plain, server_hostname="localhost") as sock:
            sock.sendall(b"abc\n")
            assert sock.recv(10) == b"cba\n"
        process.kill()


def test_get_server_certificate_returns_the_certificate(server_context):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            accepted, _ = listener.accept()
            with server_context.wrap_socket(accepted, server_side=True) as sock:
                sock.recv(1)

        for options in ({}, {"ca_certs": CERTIFICATE}):
            serving = spawn(serve)
            found = ssl.get_server_certificate(listener.getsockname(), **options)
            assert found.split() == CERTIFICATE.read_text().split()
            serving.join()


def test_many_handshakes_are_made_at_once(client_context, server_context):
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:

        def serve(accepted):
            with server_context.wrap_socket(accepted, server_side=True) as sock:
                sock.sendall(sock.recv(10))

        def accept():
            return [spawn(serve, listener.accept()[0]) for _ in range(50)]

        def client(number):
            plain = socket.create_connection(listener.getsockname())
            with client_context.wrap_socket(plain, server_hostname="localhost") as sock:
                sock.sendall(b"%d" % number)
                return int(sock.recv(10))

        accepting = spawn(accept)
        assert [job.get() for job in [spawn(client, number) for number in range(50)]] == list(range(50))
        joinall(accepting.get())
