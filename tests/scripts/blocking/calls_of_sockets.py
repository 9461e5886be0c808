"""Sockets, TLS, names, and waiting for descriptors."""

import _socket
import contextlib
import select
import selectors
import socket
import ssl
import tempfile
from pathlib import Path

from measuring import call, later, measured

from greenio import monkey, spawn

CERTIFICATES = Path(__file__).parents[2] / "certificates"
LARGE = b"x" * 4_000_000
LOOPBACK = "127.0.0.1"


def read_large(sock):
    """Read as many bytes as LARGE has."""
    left = len(LARGE)
    while left > 0:
        left -= len(sock.recv(1_000_000))


@contextlib.contextmanager
def pair():
    first, second = socket.socketpair()
    with first, second:
        yield first, second


def receiving(name, *args):
    def make_call():
        with pair() as (ours, theirs):
            later(theirs.sendall, b"x\n")
            measured(getattr(ours, name), *args)

    call(f"socket.socket.{name}")(make_call)


receiving("recv", 10)
receiving("recv_into", bytearray(10))
receiving("recvfrom", 10)
receiving("recvfrom_into", bytearray(10))
receiving("recvmsg", 10)
receiving("recvmsg_into", [bytearray(10)])


@call("socket.socket.makefile")
def makefile():
    with pair() as (ours, theirs), ours.makefile() as lines:
        later(theirs.sendall, b"x\n")
        assert measured(lines.readline) == "x\n"


def fill(sock):
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(100_000))
    sock.setblocking(True)


@call("socket.socket.send")
def send():
    with pair() as (ours, theirs):
        fill(ours)
        later(theirs.recv, 1_000_000)
        measured(ours.send, b"x")


@call("socket.socket.sendmsg")
def sendmsg():
    with pair() as (ours, theirs):
        fill(ours)
        later(theirs.recv, 1_000_000)
        measured(ours.sendmsg, [b"x"])


@call("socket.socket.sendall")
def sendall():
    with pair() as (ours, theirs):
        later(read_large, theirs)
        measured(ours.sendall, LARGE)


@call("socket.socket.sendto")
def sendto():
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs,
    ):
        theirs.bind("")
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.sendto(b"x", theirs.getsockname())
        ours.setblocking(True)
        later(lambda: [theirs.recv(10) for _ in range(5)])
        measured(ours.sendto, b"x", theirs.getsockname())


@call("socket.socket.sendfile")
def sendfile():
    with pair() as (ours, theirs), tempfile.TemporaryFile() as file:
        file.write(LARGE)
        file.seek(0)
        later(read_large, theirs)
        assert measured(ours.sendfile, file) == len(LARGE)


@contextlib.contextmanager
def full_server():
    """A listener whose queue is full: connecting to it waits."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server((LOOPBACK, 0), backlog=0))
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()


@call("socket.socket.connect")
def connect():
    with full_server() as address, socket.socket() as client:
        client.settimeout(0.03)
        with contextlib.suppress(TimeoutError):
            measured(client.connect, address)


@call("socket.create_connection")
def create_connection():
    with full_server() as address, contextlib.suppress(TimeoutError):
        measured(socket.create_connection, address, timeout=0.03)


@call("socket.socket.accept")
def accept():
    with socket.create_server((LOOPBACK, 0)) as server, socket.socket() as client:
        later(client.connect, server.getsockname())
        measured(server.accept)[0].close()


# --- TLS ----------------------------------------------------------------------------------------------------------


def contexts():
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATES / "cert.pem", CERTIFICATES / "key.pem")
    return ssl.create_default_context(cafile=CERTIFICATES / "cert.pem"), server


@contextlib.contextmanager
def tls_pair():
    for_client, for_server = contexts()
    with pair() as (ours, theirs):
        client = for_client.wrap_socket(ours, server_hostname="localhost", do_handshake_on_connect=False)
        server = for_server.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False)
        with client, server:
            yield client, server


def connected_tls(act, wait):
    with tls_pair() as (client, server):
        shaking = spawn(server.do_handshake)
        client.do_handshake()
        shaking.get()
        later(act, server)
        measured(wait, client)


@call("ssl.SSLSocket.do_handshake")
def do_handshake():
    with tls_pair() as (client, server):
        later(server.do_handshake)
        measured(client.do_handshake)


def on_tls(name, act, wait):
    call(f"ssl.SSLSocket.{name}")(lambda: connected_tls(act, wait))


on_tls("recv", lambda server: server.sendall(b"x"), lambda client: client.recv(10))
on_tls("recv_into", lambda server: server.sendall(b"x"), lambda client: client.recv_into(bytearray(10)))
on_tls("read", lambda server: server.sendall(b"x"), lambda client: client.read(10))
on_tls("sendall", read_large, lambda client: client.sendall(LARGE))
on_tls("send", read_large, lambda client: send_large(client.send))
on_tls("write", read_large, lambda client: send_large(client.write))
on_tls("unwrap", lambda server: server.unwrap(), lambda client: client.unwrap())


def send_large(send):
    left = memoryview(LARGE)
    while left:
        left = left[send(left) :]


@call("ssl.get_server_certificate")
def get_server_certificate():
    _, for_server = contexts()

    def serve():
        connection, _ = server.accept()
        with for_server.wrap_socket(connection, server_side=True):
            pass

    with socket.create_server((LOOPBACK, 0)) as server:
        later(serve)
        assert measured(ssl.get_server_certificate, server.getsockname()).startswith("-----BEGIN")


# --- names --------------------------------------------------------------------------------------------------------


def looking_up(name, answers, *args):
    """A lookup that takes the system a while."""

    def make_call():
        native_sleep = monkey.get_original("time", "sleep")
        before = getattr(_socket, answers[0])
        setattr(_socket, answers[0], lambda *_args: (native_sleep(0.03), answers[1])[1])
        try:
            measured(getattr(socket, name), *args)
        finally:
            setattr(_socket, answers[0], before)

    call(f"socket.{name}")(make_call)


_BY_ADDRESS = "gethostbyaddr", ("name.test", [], [LOOPBACK])
looking_up("getaddrinfo", ("getaddrinfo", [(socket.AF_INET, 1, 6, "", (LOOPBACK, 80))]), "name.test", 80)
looking_up("gethostbyname", ("gethostbyname", LOOPBACK), "name.test")
looking_up("gethostbyname_ex", ("gethostbyname_ex", ("name.test", [], [LOOPBACK])), "name.test")
looking_up("gethostbyaddr", _BY_ADDRESS, LOOPBACK)
looking_up("getfqdn", _BY_ADDRESS, "name.test")
looking_up("getnameinfo", ("getnameinfo", ("name.test", "80")), (LOOPBACK, 80), 0)


# --- waiting for descriptors --------------------------------------------------------------------------------------


@contextlib.contextmanager
def soon_readable():
    with pair() as (ours, theirs):
        later(theirs.send, b"x")
        yield ours


@call("select.select")
def select_select():
    with soon_readable() as sock:
        assert measured(select.select, [sock], [], [])[0] == [sock]


@call("select.poll.poll")
def poll():
    with soon_readable() as sock:
        waiting = select.poll()
        waiting.register(sock, select.POLLIN)
        assert measured(waiting.poll)


@call("select.epoll.poll")
def epoll():
    with soon_readable() as sock, select.epoll() as waiting:
        waiting.register(sock, select.EPOLLIN)
        assert measured(waiting.poll)


def selecting(name):
    def make_call():
        with soon_readable() as sock, getattr(selectors, name)() as selector:
            selector.register(sock, selectors.EVENT_READ)
            assert measured(selector.select)

    call(f"selectors.{name}.select")(make_call)


for each in ("DefaultSelector", "SelectSelector", "PollSelector", "EpollSelector"):
    selecting(each)


@call("select.epoll as a descriptor in select.select")
def nested_epoll():
    with soon_readable() as sock, select.epoll() as waiting:
        waiting.register(sock, select.EPOLLIN)
        measured(select.select, [waiting], [], [])
