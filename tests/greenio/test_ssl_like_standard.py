"""Operations on our TLS sockets have the results and errors of those of the standard library. The peer is a thread."""

import io
import re
import socket as standard_socket
import ssl as standard
import threading

import pytest
from places import CERTIFICATE, KEY

from greenio import socket, ssl


def server_context():
    context = standard.SSLContext(standard.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    context.set_alpn_protocols(["h2"])
    return context


def client_context():
    context = standard.create_default_context(cafile=CERTIFICATE)
    context.set_alpn_protocols(["h2"])
    return context


# --- behaviours of the peer after the handshake ---


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)


def stay(sock):
    """Read nothing, and stay until the client's end is closed."""
    standard_socket.socket.recv(sock, 1, standard_socket.MSG_PEEK)
    GONE.wait(20)


def end(sock):
    sock.unwrap()


def vanish(sock):
    """Close the connection without ending TLS."""


def speak(sock):
    sock.sendall(b"line one\nline two\n")
    sock.unwrap()


GONE = threading.Event()


class Peer:
    """The peer of one connection: a thread with the standard library's sockets."""

    def __init__(self, behaviour):
        self.listener = standard_socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.behaviour = behaviour
        self.thread = threading.Thread(target=self.run)

    def run(self):
        plain, _ = self.listener.accept()
        try:
            with server_context().wrap_socket(plain, server_side=True) as sock:
                self.behaviour(sock)
        except OSError:
            pass  # an error that the client caused

    def __enter__(self):
        GONE.clear()
        self.thread.start()
        return self

    def __exit__(self, *exc_info):
        GONE.set()
        # Connects, in case that no client did.
        standard_socket.create_connection(self.address).close()
        self.thread.join()
        self.listener.close()


def facts(sock):
    return (
        sock.version(), sock.cipher(), sock.compression(), sock.selected_alpn_protocol(), sock.selected_npn_protocol(),
        sock.pending(), sock.session_reused, sock.server_side, sock.server_hostname, sock.getpeercert()["subject"],
        len(sock.getpeercert(True)) > 100, sock.get_channel_binding() is None, sock.gettimeout(), sock.type,
        bool(sock.shared_ciphers()), type(sock.session).__name__, sock.context is not None,
    )  # fmt: skip


def echoed(sock, *messages):
    received = b""
    for message in messages:
        sock.sendall(message)
        while len(received) < sum(map(len, messages[: messages.index(message) + 1])):
            received += sock.recv(100)
    return received


def read_into(sock):
    sock.sendall(b"hello")
    buffer = bytearray(8)
    return sock.recv_into(buffer, 3), sock.read(1, memoryview(buffer)[5:]), sock.pending(), buffer


def lines(sock):
    with sock.makefile("rb") as file:
        return file.readlines()


def send_certificate(sock):
    with open(CERTIFICATE, "rb") as file:
        return sock.sendfile(file, 10, 1000), file.tell()


def in_turn(*calls):
    def run(sock):
        for call in calls[:-1]:
            call(sock)
        return calls[-1](sock)

    return run


def close(sock):
    sock.close()


def unwrap(sock):
    return sock.unwrap() is sock


def shut_down(sock):
    sock.shutdown(standard_socket.SHUT_RDWR)


def set_short_timeout(sock):
    sock.settimeout(0.005)


def set_non_blocking(sock):
    sock.setblocking(False)


def write_until_it_fails(sock):
    while True:
        sock.send(b"x" * 16384)


def report_ragged_eofs(sock):
    sock.suppress_ragged_eofs = False


CASES = {
    "facts": (echo, facts),
    "echo": (echo, lambda s: echoed(s, b"a", b"bc")),
    "read": (echo, lambda s: (s.write(b"abc"), s.read(2), s.pending(), s.read())),
    "read into": (echo, read_into),
    "send nothing": (echo, lambda s: (s.send(b""), s.write(b""), s.sendall(b""))),
    "send any buffer": (echo, lambda s: (s.send(memoryview(b"abc")[1:]), s.recv(10))),
    "send much": (echo, lambda s: s.write(bytearray(100_000))),
    "recv nothing": (echo, lambda s: s.recv(0)),
    "recv negative": (echo, lambda s: s.recv(-1)),
    "read negative": (echo, lambda s: s.read(-1)),
    "recv text": (echo, lambda s: s.recv("x")),
    "recv flags": (echo, lambda s: s.recv(1, standard_socket.MSG_PEEK)),
    "recv_into flags": (echo, lambda s: s.recv_into(bytearray(1), 1, standard_socket.MSG_PEEK)),
    "recv_into constant": (echo, lambda s: s.recv_into(b"x")),
    "send flags": (echo, lambda s: s.send(b"x", 1)),
    "sendall flags": (echo, lambda s: s.sendall(b"x", 1)),
    "send text": (echo, lambda s: s.send("x")),
    "sendall text": (echo, lambda s: s.sendall("x")),
    "write text": (echo, lambda s: s.write("x")),
    "sendto": (echo, lambda s: s.sendto(b"x", ("127.0.0.1", 9))),
    "recvfrom": (echo, lambda s: s.recvfrom(1)),
    "recvfrom_into": (echo, lambda s: s.recvfrom_into(bytearray(1))),
    "sendmsg": (echo, lambda s: s.sendmsg([b"x"])),
    "recvmsg": (echo, lambda s: s.recvmsg(1)),
    "recvmsg_into": (echo, lambda s: s.recvmsg_into([bytearray(1)])),
    "dup": (echo, lambda s: s.dup()),
    "channel binding": (echo, lambda s: s.get_channel_binding("nonsense")),
    "sendfile of bytes": (echo, lambda s: (s.sendfile(io.BytesIO(b"abc")), s.recv(10))),
    "sendfile": (echo, send_certificate),
    "makefile": (speak, lines),
    "handshake again": (echo, lambda s: s.do_handshake()),
    "connect again": (echo, lambda s: s.connect(("127.0.0.1", 9))),
    "connect_ex again": (echo, lambda s: s.connect_ex(("127.0.0.1", 9))),
    "accept": (echo, lambda s: s.accept()),
    "listen": (echo, lambda s: s.listen()),
    "post-handshake authentication of a client": (echo, lambda s: s.verify_client_post_handshake()),
    "session": (echo, lambda s: setattr(s, "session", "x")),
    "session after the handshake": (echo, lambda s: setattr(s, "session", s.session)),
    "context": (echo, lambda s: setattr(s, "context", "x")),
    "unwrap": (end, unwrap),
    "unwrap twice": (end, in_turn(unwrap, unwrap)),
    "read after unwrap": (end, in_turn(unwrap, lambda s: s.read(1))),
    "write after unwrap": (end, in_turn(unwrap, lambda s: s.write(b"x"))),
    "version after unwrap": (end, in_turn(unwrap, lambda s: (s.version(), s.cipher(), s.pending(), s.session))),
    "peer certificate after unwrap": (end, in_turn(unwrap, lambda s: s.getpeercert())),
    "recv after the end": (end, lambda s: (s.recv(1), s.recv(1), s.read(1))),
    "recv after a ragged end": (vanish, lambda s: (s.recv(1), s.recv(1))),
    "recv_into after a ragged end": (vanish, lambda s: s.recv_into(bytearray(1))),
    "a ragged end not suppressed": (vanish, in_turn(report_ragged_eofs, lambda s: s.recv(1))),
    "unwrap when the peer has gone": (vanish, lambda s: (s.recv(1), s.unwrap())),
    "read after close": (echo, in_turn(close, lambda s: s.read(1))),
    "recv after close": (echo, in_turn(close, lambda s: s.recv(1))),
    "write after close": (echo, in_turn(close, lambda s: s.write(b"x"))),
    "send after close": (echo, in_turn(close, lambda s: s.send(b"x"))),
    "unwrap after close": (echo, in_turn(close, lambda s: s.unwrap())),
    "handshake after close": (echo, in_turn(close, lambda s: s.do_handshake())),
    "certificate after close": (echo, in_turn(close, lambda s: s.getpeercert())),
    "fileno after close": (echo, in_turn(close, lambda s: s.fileno())),
    "close twice": (echo, in_turn(close, close)),
    "read after shutdown": (echo, in_turn(shut_down, lambda s: s.read(1))),
    "write after shutdown": (echo, in_turn(shut_down, lambda s: s.write(b"x"))),
    "recv timeout": (stay, in_turn(set_short_timeout, lambda s: s.recv(1))),
    "read timeout": (stay, in_turn(set_short_timeout, lambda s: s.read(1))),
    "recv_into timeout": (stay, in_turn(set_short_timeout, lambda s: s.recv_into(bytearray(1)))),
    "send timeout": (stay, in_turn(set_short_timeout, write_until_it_fails)),
    "sendall timeout": (stay, in_turn(set_short_timeout, lambda s: s.sendall(bytes(1 << 25)))),
    "unwrap timeout": (stay, in_turn(set_short_timeout, lambda s: s.unwrap())),
    "recv without waiting": (stay, in_turn(set_non_blocking, lambda s: s.recv(1))),
    "recv_into without waiting": (stay, in_turn(set_non_blocking, lambda s: s.recv_into(bytearray(1)))),
    "send without waiting": (stay, in_turn(set_non_blocking, write_until_it_fails)),
    "unwrap without waiting": (stay, in_turn(set_non_blocking, lambda s: s.unwrap())),
    "pickle": (echo, lambda s: s.__getstate__()),
}


def comparable(function):
    try:
        result = function()
        return "a socket" if isinstance(result, standard_socket.socket) else result
    except Exception as error:
        text = str(error).replace("greenio.socket.", "socket.").replace("greenio.ssl.", "ssl.")
        text = re.sub(r"\(_ssl.c:\d+\)|^_ssl.c:\d+: ", "", text)
        text = re.sub(r"fd=\d+|\('127.0.0.1', \d+\)", "?", text)
        return type(error), getattr(error, "errno", None), text


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:unclosed file", "ignore:ssl NPN:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*selected_npn_protocol.*:DeprecationWarning")
def test_an_operation_has_the_standard_outcome(name):
    behaviour, operation = CASES[name]
    outcomes = []
    for module, kind in ((standard_socket, standard.SSLSocket), (socket, ssl.SSLSocket)):
        with Peer(behaviour) as other:
            plain = module.create_connection(other.address)
            with client_context().wrap_socket(plain, server_hostname="localhost") as sock:
                assert type(sock) is kind
                outcomes.append(comparable(lambda sock=sock: operation(sock)))
    assert outcomes[1] == outcomes[0]


WRAPPING = {
    "no name": lambda m, c: c.wrap_socket(m.socket()),
    "a name for a server": lambda m, c: c.wrap_socket(m.socket(), server_side=True, server_hostname="x"),
    "an empty name": lambda m, c: c.wrap_socket(m.socket(), server_hostname=""),
    "a name with a dot in front": lambda m, c: c.wrap_socket(m.socket(), server_hostname=".x"),
    "a datagram socket": lambda m, c: c.wrap_socket(m.socket(type=m.SOCK_DGRAM), server_hostname="x"),
    "a closed socket": lambda m, c: c.wrap_socket(closed(m), server_hostname="x"),
    "no socket": lambda m, c: c.wrap_socket("x", server_hostname="x"),
    "a session": lambda m, c: c.wrap_socket(m.socket(), server_hostname="x", session="x"),
    "a server's session": lambda m, c: c.wrap_socket(m.socket(), server_side=True, session="x"),
    "connected, without waiting": lambda m, c: c.wrap_socket(connected(m, 0), server_hostname="x"),
    "a peer that is silent": lambda m, c: c.wrap_socket(connected(m, 0.005), server_hostname="x"),
    "a peer that has gone": lambda m, c: c.wrap_socket(connected(m, None, gone=True), server_hostname="x"),
    "not connected": lambda m, c: keep(c.wrap_socket(m.socket(), server_hostname="x")).do_handshake(),
    "recv not connected": lambda m, c: keep(c.wrap_socket(m.socket(), server_hostname="x")).recv(1),
    "read not connected": lambda m, c: keep(c.wrap_socket(m.socket(), server_hostname="x")).read(1),
    "version not connected": lambda m, c: keep(c.wrap_socket(m.socket(), server_hostname="x")).version(),
    "connect refused": lambda m, c: keep(c.wrap_socket(m.socket(), server_hostname="x")).connect(refusing(m)),
    "connect_ex refused": lambda m, c: keep(c.wrap_socket(m.socket(), server_hostname="x")).connect_ex(refusing(m)),
    "a server connects": lambda m, c: keep(
        server_context().wrap_socket(m.socket(), server_side=True)
    ).connect(("127.0.0.1", 9)),
    "later": lambda m, c: handshake_later(m, c),
}  # fmt: skip

KEPT = []


def keep(sock):
    KEPT.append(sock)
    return sock


def closed(module):
    sock = module.socket()
    sock.close()
    return sock


def refusing(module):
    with module.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()


def connected(module, timeout, gone=False):
    first, second = map(keep, module.socketpair())
    first.settimeout(timeout)
    if gone:
        second.close()
    return first


def handshake_later(module, context):
    sock = keep(context.wrap_socket(connected(module, 0), server_hostname="x", do_handshake_on_connect=False))
    return comparable(sock.do_handshake), comparable(lambda: sock.do_handshake(block=False)), sock.gettimeout()


@pytest.mark.parametrize("name", WRAPPING)
@pytest.mark.filterwarnings("ignore:unclosed")
def test_wrapping_has_the_standard_outcome(name):
    outcomes = []
    for module in (standard_socket, socket):
        outcomes.append(comparable(lambda module=module: keep(WRAPPING[name](module, client_context()))))
        while KEPT:
            sock = KEPT.pop()
            if isinstance(sock, standard_socket.socket):
                sock.close()
    assert outcomes[1] == outcomes[0]
