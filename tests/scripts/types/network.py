"""A program with sockets and TLS that a type checker finds nothing wrong with; run with a certificate and its key.

It is checked, and run, as it is, and with greenio's modules of the same names in the place of these two.
"""

import contextlib
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator

Address = tuple[str, int]


class CountingSocket(socket.socket):
    """A subclass with an attribute and a method that does more."""

    sent = 0

    def send(self, data: bytes, flags: int = 0, /) -> int:  # type: ignore[override]
        count = super().send(data, flags)
        self.sent += count
        return count


class StrictContext(ssl.SSLContext):
    """A subclass of a context."""

    def load(self, certificate: str, key: str) -> None:
        self.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load_cert_chain(certificate, key)


def listening(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(5)
    assert sock.family is socket.AF_INET and sock.type is socket.SOCK_STREAM
    return sock


def address_of(sock: socket.socket) -> Address:
    host, port = sock.getsockname()
    return str(host), int(port)


def lines(sock: socket.socket) -> Iterator[bytes]:
    rest = b""
    while received := sock.recv(4096):
        *complete, rest = (rest + received).split(b"\n")
        yield from complete


def answer(client: socket.socket) -> None:
    with client:
        for line in lines(client):
            client.sendall(line.upper() + b"\n")


def serve(server: socket.socket, wrap: Callable[[socket.socket], ssl.SSLSocket] | None = None) -> threading.Thread:
    def accept_one() -> None:
        client, _ = server.accept()
        with contextlib.suppress(ConnectionError):  # who wants the certificate only does not stay for more
            answer(client if wrap is None else wrap(client))

    thread = threading.Thread(target=accept_one)
    thread.start()
    return thread


def talk(sock: socket.socket | ssl.SSLSocket) -> str:
    sock.sendall(b"hello\n")
    with sock.makefile("rb") as file:
        return file.readline().decode().strip()


def with_plain_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        thread = serve(server)
        sock: socket.socket = socket.create_connection(address_of(server), timeout=30)
        with sock as connected:
            assert connected.gettimeout() == 30 and connected.timeout == 30 and connected.getblocking()
            print("plain:", talk(connected))
        thread.join()


def with_connect_ex() -> None:
    with listening() as server, CountingSocket(fileno=None) as sock:
        thread = serve(server)
        sock.settimeout(30.0)
        error: int = sock.connect_ex(address_of(server))
        assert error == 0
        assert sock.send(b"one\n") == sock.sent == 4
        buffer = bytearray(10)
        count = sock.recv_into(buffer, 4)
        print("counted:", bytes(buffer[:count]))
        peer = sock.getpeername()
        assert peer == server.getsockname()
        sock.shutdown(socket.SHUT_RDWR)
        thread.join()


def with_datagrams() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as first, socket.socket(type=socket.SOCK_DGRAM) as second:
        for sock in (first, second):
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(30)
        sent: int = first.sendto(b"datagram", address_of(second))
        data, sender = second.recvfrom(100)
        assert sent == len(data) and sender == first.getsockname()
        second.sendto(b"back", 0, sender)
        message, control, flags, source = first.recvmsg(100, socket.CMSG_SPACE(4))
        assert not flags & socket.MSG_TRUNC and control == [] and source == second.getsockname()
        print("datagram:", data, message)


def with_pairs() -> None:
    first, second = socket.socketpair()
    assert isinstance(first, socket.socket)
    ends: list[socket.socket] = [first, second, first.dup(), socket.fromfd(second.fileno(), second.family, second.type)]
    assert first.sendmsg([b"a", bytearray(b"b"), memoryview(b"c")]) == 3
    print("pair:", second.recv(10))
    second.setblocking(False)
    try:
        second.recv(1)
    except BlockingIOError as error:
        print("nothing:", error.errno is not None)
    second.settimeout(0.001)
    try:
        second.recv(1)
    except socket.timeout as error:  # noqa: UP041  (its name here is what is checked)
        print("too late:", error)
    option: int = first.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    raw: bytes = first.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    assert option == socket.SOCK_STREAM and len(raw) == 12
    socket.send_fds(first, [b"x"], [0])
    _, received, _, _ = socket.recv_fds(second, 1, 1)
    socket.close(received[0])
    for end in ends:
        end.close()
    descriptor: int = first.detach()
    assert descriptor == -1


def with_names() -> None:
    for family, kind, proto, canonical, address in socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM):
        found: tuple[socket.AddressFamily, socket.SocketKind, int, str] = (family, kind, proto, canonical)
        print("found:", found[0].name, found[1].name, address[0], address[1])
    name: str = socket.gethostbyname("127.0.0.1")
    host, service = socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    print("names:", name, host, service, socket.inet_ntoa(socket.inet_aton("10.1")), socket.htons(1) == 256)
    try:
        socket.getaddrinfo("127.0.0.1", "no such service", 0, 0, 0, socket.AI_NUMERICHOST)
    except (socket.gaierror, socket.herror) as error:
        print("gaierror:", isinstance(error, socket.error))
    assert socket.getdefaulttimeout() is None and isinstance(socket.has_ipv6, bool)


def with_tls(certificate: str, key: str) -> None:
    context = StrictContext(ssl.PROTOCOL_TLS_SERVER)
    context.load(certificate, key)
    asked: list[str | None] = []

    def name_is_given(sock: ssl.SSLObject, name: str | None, its_context: ssl.SSLContext) -> None:
        asked.append(name)

    context.sni_callback = name_is_given

    def wrap(client: socket.socket) -> ssl.SSLSocket:
        return context.wrap_socket(client, server_side=True)

    client_context: ssl.SSLContext = ssl.create_default_context(cafile=certificate)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_REQUIRED
    client_context.options |= ssl.OP_NO_COMPRESSION
    with listening() as server:
        thread = serve(server, wrap)
        plain: socket.socket = socket.create_connection(address_of(server), 30)
        with client_context.wrap_socket(plain, server_hostname="greenio.test") as tls:
            connected: socket.socket = tls
            described(tls)
            print("TLS:", talk(connected), asked)
            unwrapped: socket.socket = ended(tls)
            assert unwrapped.fileno() >= 0
        thread.join()
    with listening() as server:
        thread = serve(server, wrap)
        pem: str = ssl.get_server_certificate(address_of(server), ca_certs=certificate, timeout=30)
        assert ssl.PEM_cert_to_DER_cert(pem)
        thread.join()


def described(tls: ssl.SSLSocket) -> None:
    decoded = tls.getpeercert()
    binary = tls.getpeercert(binary_form=True)
    cipher = tls.cipher()
    assert decoded is not None and "subject" in decoded
    assert binary is not None and ssl.DER_cert_to_PEM_cert(binary).startswith(ssl.PEM_HEADER)
    assert cipher is not None and isinstance(cipher[0], str)
    version: str | None = tls.version()
    context: ssl.SSLContext = tls.context
    assert version in ("TLSv1.2", "TLSv1.3") and context.verify_mode is ssl.VerifyMode.CERT_REQUIRED
    assert tls.pending() == 0 and not tls.server_side and tls.server_hostname == "greenio.test"


def ended(tls: ssl.SSLSocket) -> socket.socket:
    try:
        return tls.unwrap()
    except (ssl.SSLError, OSError):  # the peer did not say goodbye
        return tls


def with_memory() -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    connection: ssl.SSLObject = context.wrap_bio(incoming, outgoing, server_hostname="greenio.test")
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError as error:
        print("memory:", error.errno == ssl.SSL_ERROR_WANT_READ, outgoing.pending > 0, ssl.HAS_SNI)


if __name__ == "__main__":
    with_plain_sockets()
    with_connect_ex()
    with_datagrams()
    with_pairs()
    with_names()
    with_tls(*sys.argv[1:])
    with_memory()
