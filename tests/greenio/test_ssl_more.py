"""TLS beyond the plain case: callbacks, sessions, late authentication, several writers, other libraries' contexts."""

import gc
import os
import shutil
import socket as standard_socket
import ssl as standard
import struct

import pytest
from places import CERTIFICATE, KEY
from waiting import let_others_run, until_waiting

from greenio import joinall, sleep, socket, spawn, ssl, subprocess


@pytest.fixture
def connect(server_context, client_context):
    """A function that makes a connection of TLS: the client's end and the server's."""
    made = []

    def make(**options):
        first, second = socket.socketpair()
        made.extend([first, second])
        serving = spawn(server_context.wrap_socket, second, server_side=True)
        serving.reports_errors = False
        try:
            client = client_context.wrap_socket(first, server_hostname="localhost", **options)
            made.append(client)
        finally:
            serving.join()
        made.append(serving.get())
        return client, serving.get()

    yield make
    for sock in made:
        sock.close()


def test_a_tls_socket_is_of_both_socket_classes(connect):
    for sock in connect():
        assert isinstance(sock, standard.SSLSocket) and isinstance(sock, socket.socket)
        assert isinstance(sock, standard_socket.socket)
    assert ssl.SSLSocket is not standard.SSLSocket and ssl.SSLContext is standard.SSLContext


def test_the_module_offers_what_the_standard_one_does():
    from types import ModuleType

    for name, value in vars(standard).items():
        if not name.startswith("_") and not isinstance(value, ModuleType):
            assert hasattr(ssl, name)
            # Names that the standard module imports for its own use are missing.
            assert name in ssl.__all__ or name in ("create_connection", "namedtuple", "socket")


@pytest.mark.skipif(not hasattr(standard, "wrap_socket"), reason="ssl.wrap_socket() went with CPython 3.12")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_old_function_wrap_socket_works():
    first, second = socket.socketpair()
    serving = spawn(ssl.wrap_socket, second, str(KEY), str(CERTIFICATE), True)
    with (
        ssl.wrap_socket(first, ca_certs=str(CERTIFICATE), cert_reqs=ssl.CERT_REQUIRED) as client,
        serving.get() as server,
    ):
        assert type(client) is type(server) is ssl.SSLSocket
        client.send(b"x")
        assert server.recv(1) == b"x"


# --- the name that a client asks for ---


def test_a_callback_may_swap_the_context(connect, server_context):
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(CERTIFICATE, KEY)
    other.set_alpn_protocols(["h2"])

    def swap(sock, name, context):
        assert context is server_context and type(sock) is ssl.SSLSocket
        sock.context = other

    server_context.sni_callback = swap
    client, server = connect()
    assert server.context is other and client.context is not other
    client.send(b"x")
    assert server.recv(1) == b"x"


def test_a_callback_may_let_others_run(connect, server_context, ticks):
    server_context.sni_callback = lambda *args: sleep(0.005)
    before = len(ticks)
    client, server = connect()
    assert len(ticks) > before
    server.send(b"x")
    assert client.recv(1) == b"x"


def test_an_error_of_a_callback_ends_the_handshake(connect, server_context, monkeypatch):
    reported = []
    monkeypatch.setattr("sys.unraisablehook", lambda told: reported.append(told.exc_type))
    server_context.sni_callback = lambda *args: 1 / 0
    with pytest.raises(ssl.SSLError, match="alert handshake failure|HANDSHAKE_FAILURE"):
        connect()
    assert reported == [ZeroDivisionError]


def test_a_callback_may_refuse_the_handshake(connect, server_context):
    server_context.sni_callback = lambda *args: ssl.ALERT_DESCRIPTION_ACCESS_DENIED
    with pytest.raises(ssl.SSLError, match="(?i)access.denied"):
        connect()


# --- sessions, certificates ---


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_used_again(connect, client_context, version):
    client_context.minimum_version = client_context.maximum_version = version
    first, server = connect()
    server.send(b"x")
    assert first.recv(1) == b"x"  # with TLS 1.3, the ticket comes with the first data
    session = first.session
    assert isinstance(session, ssl.SSLSession) and not first.session_reused
    second, server = connect(session=session)
    assert second.session_reused and server.session_reused
    second.send(b"y")
    assert server.recv(1) == b"y"


def test_a_client_is_authenticated_after_the_handshake(connect, client_context, server_context):
    client_context.load_cert_chain(CERTIFICATE, KEY)
    client_context.post_handshake_auth = True
    server_context.post_handshake_auth = True
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_verify_locations(CERTIFICATE)
    client, server = connect()
    assert server.getpeercert(True) is None
    server.verify_client_post_handshake()
    answering = spawn(client.recv, 1)
    server.send(b"x")
    assert answering.get() == b"x"
    client.send(b"y")
    assert server.recv(1) == b"y"
    assert server.getpeercert(True) is not None


def test_channel_bindings_agree(connect, client_context):
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    client, server = connect()
    assert client.get_channel_binding() == server.get_channel_binding() != None  # noqa: E711
    assert "tls-unique" in ssl.CHANNEL_BINDING_TYPES


# --- waiting for the other direction ---


class Contrary:
    """A connection whose next calls need the other direction first, as during a change of keys."""

    def __init__(self, real, wants):
        self.real = real
        self.wants = wants

    def __getattr__(self, name):
        return getattr(self.real, name)

    def read(self, *args):
        if self.wants:
            raise self.wants.pop()
        return self.real.read(*args)

    def write(self, data):
        if self.wants:
            raise self.wants.pop()
        return self.real.write(data)


def test_a_read_may_have_to_write_first(connect):
    client, server = connect()
    server.send(b"x")
    client._sslobj = Contrary(client._sslobj, [ssl.SSLWantWriteError(3, "write")])
    assert client.recv(1) == b"x"


def test_a_write_may_have_to_read_first(connect):
    client, server = connect()
    server.send(b"-")
    assert client.recv(1) == b"-"  # also takes the rest of the handshake
    client._sslobj = Contrary(client._sslobj, [ssl.SSLWantReadError(2, "read")])
    writing = spawn(client.sendall, b"x")
    until_waiting(writing)
    let_others_run()
    assert not writing.ready()
    server.send(b"y")
    writing.get(timeout=5)
    assert server.recv(1) == b"x" and client.recv(1) == b"y"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
def test_a_change_of_keys_is_answered(server_context):
    """OpenSSL's client asks for new keys, which our read must answer with a write."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [
            "openssl",
            "s_client",
            "-connect",
            f"127.0.0.1:{listener.getsockname()[1]}",
            "-CAfile",
            str(CERTIFICATE),
        ]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            accepted, _ = listener.accept()
            accepted.settimeout(20)
            with server_context.wrap_socket(accepted, server_side=True) as sock:
                process.stdin.write(b"K\n")  # has s_client ask for new keys
                process.stdin.flush()
                while process.stderr.readline() != b"KEYUPDATE\n":
                    pass
                process.stdin.write(b"after\n")
                process.stdin.flush()
                received = b""
                while b"after\n" not in received:
                    received += sock.recv(100)
                sock.sendall(b"answer\n")
                while process.stdout.readline() != b"answer\n":
                    pass
            process.kill()


# --- several greenlets, peers that leave ---


def test_several_writers_take_turns(connect):
    """Records of several greenlets are not mixed up, though each greenlet has to wait in the middle of its data."""
    client, server = connect()
    parts = [bytes([letter]) * 300_000 for letter in b"abcde"]
    writers = [spawn(client.sendall, part) for part in parts]
    received = bytearray()
    while len(received) < 1_500_000:
        received += server.recv(1 << 16)
    joinall(writers, raise_error=True)
    assert received == b"".join(parts)


def test_a_writer_that_waits_for_its_turn_has_a_timeout(connect):
    client, _ = connect()
    first = spawn(client.sendall, bytes(1 << 23))
    until_waiting(first)
    client.settimeout(0.005)
    with pytest.raises(TimeoutError, match="write operation timed out"):
        client.send(b"x")
    client.settimeout(0)
    with pytest.raises(ssl.SSLWantWriteError):
        client.send(b"x")
    first.kill()


@pytest.mark.parametrize("what", ["recv", "sendall", "unwrap"])
def test_closing_in_another_greenlet_ends_every_call(connect, what):
    client, server = connect()
    calls = {"recv": lambda: client.recv(1), "sendall": lambda: client.sendall(bytes(1 << 23)), "unwrap": client.unwrap}
    waiting = [spawn(calls[what]) for _ in range(2 if what != "unwrap" else 1)]
    for greenlet in waiting:
        greenlet.reports_errors = False
    until_waiting(*waiting)
    client.close()
    for greenlet in waiting:
        with pytest.raises(OSError):
            greenlet.get(timeout=5)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("side", ["client", "server"])
def test_a_peer_that_leaves_during_the_handshake_is_an_error(client_context, server_context, how, side):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = standard_socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        number = ours.fileno()
        context, options = (server_context, {"server_side": True}) if side == "server" else (
            client_context, {"server_hostname": "localhost"},
        )  # fmt: skip
        handshake = spawn(context.wrap_socket, ours, **options)
        handshake.reports_errors = False
        until_waiting(handshake)
        assert not handshake.ready()
        if how == "reset":
            peer.setsockopt(standard_socket.SOL_SOCKET, standard_socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with pytest.raises((ssl.SSLEOFError, ConnectionError)):
            handshake.get(timeout=5)
        with pytest.raises(OSError):
            os.fstat(number)


def test_connections_leave_no_memory_behind(server_context, client_context):
    def connections(number):
        for _ in range(number):
            first, second = socket.socketpair()
            serving = spawn(server_context.wrap_socket, second, server_side=True)
            with client_context.wrap_socket(first, server_hostname="localhost") as client, serving.get() as server:
                client.sendall(b"x")
                assert server.recv(1) == b"x"
        gc.collect()
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = connections(100)
    assert connections(200) - before < 2_000_000


def test_connect_ex_makes_the_handshake(client_context, server_context):
    with (
        socket.create_server(("127.0.0.1", 0)) as plain,
        server_context.wrap_socket(plain, server_side=True) as listener,
    ):
        serving = spawn(lambda: listener.accept()[0])
        with client_context.wrap_socket(socket.socket(), server_hostname="localhost") as client:
            assert client.connect_ex(listener.getsockname()) == 0
            with serving.get() as server:
                server.send(b"x")
                assert client.recv(1) == b"x"


def test_a_handshake_that_ran_out_of_time_can_be_tried_again(client_context, server_context):
    ours, theirs = socket.socketpair()
    with client_context.wrap_socket(ours, server_hostname="localhost", do_handshake_on_connect=False) as client:
        client.settimeout(0.005)
        with pytest.raises(TimeoutError, match="handshake operation timed out"):
            client.do_handshake()
        client.settimeout(5)
        serving = spawn(server_context.wrap_socket, theirs, server_side=True)
        client.do_handshake()
        with serving.get() as server:
            server.send(b"x")
            assert client.recv(1) == b"x"


def test_non_blocking_ends_make_the_handshake_step_by_step(client_context, server_context):
    """Both ends are non-blocking, and make their handshakes step by step. The errors say which way to wait."""
    from greenio import select

    ours, theirs = socket.socketpair()
    ends = [
        client_context.wrap_socket(ours, server_hostname="localhost", do_handshake_on_connect=False),
        server_context.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False),
    ]

    def handshake(sock):
        sock.setblocking(False)
        while True:
            try:
                return sock.do_handshake()
            except ssl.SSLWantReadError:
                select.select([sock], [], [], 5)
            except ssl.SSLWantWriteError:
                select.select([], [sock], [], 5)

    joinall([spawn(handshake, sock) for sock in ends], raise_error=True)
    with ends[0] as client, ends[1] as server:
        with pytest.raises(ssl.SSLWantReadError):
            server.recv(1)
        with pytest.raises(ssl.SSLWantWriteError):
            while True:
                assert client.send(bytes(40_000)) > 0  # it may send only a part


# --- libraries that wrap contexts ---


def test_a_context_of_truststore_works(server_context):
    """truststore's context is a subclass that passes all calls on to a context of the standard library."""
    truststore = pytest.importorskip("truststore", reason="the package truststore is not installed")
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(CERTIFICATE)
    first, second = socket.socketpair()
    serving = spawn(server_context.wrap_socket, second, server_side=True)
    with context.wrap_socket(first, server_hostname="localhost") as client, serving.get() as server:
        assert isinstance(client, ssl.SSLSocket)
        server.send(b"x")
        assert client.recv(1) == b"x"
    strict = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    first, second = socket.socketpair()
    serving = spawn(server_context.wrap_socket, second, server_side=True)
    serving.reports_errors = False
    with pytest.raises(ssl.SSLCertVerificationError):
        strict.wrap_socket(first, server_hostname="localhost")
    serving.join()
    first.close()
    second.close()


def test_the_socket_class_of_a_context_is_used(client_context, server_context):
    class Counting(standard.SSLSocket):
        sent = 0

        def send(self, data, flags=0):
            self.sent += 1
            return super().send(data, flags)

    client_context.sslsocket_class = Counting
    for _ in range(2):
        first, second = socket.socketpair()
        serving = spawn(server_context.wrap_socket, second, server_side=True)
        with client_context.wrap_socket(first, server_hostname="localhost") as client, serving.get() as server:
            assert isinstance(client, Counting) and isinstance(client, ssl.SSLSocket)
            client.sendall(b"x")
            assert server.recv(1) == b"x" and client.sent == 1
    with standard_socket.socket() as plain, client_context.wrap_socket(plain, server_hostname="x") as wrapped:
        assert type(wrapped) is Counting
