"""Every call that waits, interrupted by kill() and by a Timeout. Its object can be used again, or is closed where the
documentation says so, and nothing is left: no watch, no registration, no reference.

Each case is a generator. It yields the call that will wait, and goes on after the call was interrupted.
"""

import gc
import os
import select as standard_select
import socket as standard
import tempfile
import weakref

import pytest
from places import CERTIFICATE, KEY
from waiting import until_waiting

from greenio import Timeout, get_hub, select, selectors, sleep, socket, spawn, ssl
from greenio.event import Event
from greenio.socket import create_connection, create_server, socketpair, wait_read, wait_readwrite, wait_write

BIG = b"0123456789abcdef" * (1 << 19)  # 8 MiB: more than all buffers hold


class Peers:
    """Two connected sockets, and other objects of a case. All are closed at its end."""

    def __init__(self):
        self.made = []
        self.ours, self.theirs = map(self.keep, socketpair())

    def keep(self, made):
        self.made.append(made)
        return made

    def fill(self):
        """Send by our socket until it is not writable any more."""
        try:
            while True:
                self.ours.send(b"x" * 65536, standard.MSG_DONTWAIT)
        except BlockingIOError:
            return self.ours

    def drain(self):
        """Receive all data that were sent; return them (bytes)."""
        chunks = []
        while standard_select.select([self.theirs], [], [], 0)[0] and (data := self.theirs.recv(1 << 20)):
            chunks.append(data)
        return b"".join(chunks)

    def full_listener(self, family=standard.AF_INET, address=("127.0.0.1", 0)):
        """Return a listener whose queue is full, so that connecting to it waits."""
        listener = self.keep(socket.socket(family))
        listener.bind(address)
        listener.listen(0)
        while True:
            sock = self.keep(standard.socket(family))
            sock.settimeout(0.02)
            try:
                sock.connect(listener.getsockname())
            except (TimeoutError, BlockingIOError):
                return listener

    def tls(self):
        """Return the two sockets as a client and a server of TLS."""
        serving = spawn(server_context().wrap_socket, self.theirs, server_side=True)
        client = client_context().wrap_socket(self.ours, server_hostname="localhost")
        return self.keep(client), self.keep(serving.get())

    def check_receiving(self):
        """Check that our socket receives."""
        self.theirs.send(b"x")
        assert self.ours.recv(10) == b"x"

    def close(self):
        for each in self.made:
            each.close()


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


def client_context():
    return ssl.create_default_context(cafile=CERTIFICATE)


# --- sockets ----------------------------------------------------------------------------------------------------


def receiving(call):
    def case(peers):
        yield lambda: call(peers.ours)
        peers.check_receiving()

    return case


def sending(call):
    def case(peers):
        peers.fill()
        yield lambda: call(peers.ours)
        received = peers.drain()
        assert set(received) <= set(b"xy")
        peers.ours.sendall(b"z")
        assert peers.theirs.recv(10) == b"z"
        peers.check_receiving()

    return case


def sendall_in_part(peers):
    yield lambda: peers.ours.sendall(BIG)
    received = peers.drain()
    assert received and BIG.startswith(received)
    peers.ours.sendall(b"end")
    assert peers.theirs.recv(10) == b"end"


def sendfile(peers):
    file = peers.keep(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115  (closed with the peers)
    file.write(BIG)
    yield lambda: peers.ours.sendfile(file)
    sent = file.tell()
    assert 0 < sent < len(BIG)
    assert peers.drain() == BIG[:sent]
    peers.check_receiving()


def accept(peers):
    listener = peers.keep(create_server(("127.0.0.1", 0)))
    yield listener.accept
    client = peers.keep(create_connection(listener.getsockname()))
    peers.keep(listener.accept()[0]).send(b"x")
    assert client.recv(1) == b"x"


def connect(peers):
    listener = peers.full_listener()
    sock = peers.keep(socket.socket())
    yield lambda: sock.connect(listener.getsockname())
    sock.settimeout(0.001)
    with pytest.raises(TimeoutError):
        sock.connect(listener.getsockname())  # the first connect() is still under way


def connect_ex(peers):
    listener = peers.full_listener()
    sock = peers.keep(socket.socket())
    yield lambda: sock.connect_ex(listener.getsockname())
    sock.settimeout(0)
    assert sock.connect_ex(listener.getsockname()) != 0


def connect_unix(peers):
    listener = peers.full_listener(standard.AF_UNIX, "")
    sock = peers.keep(socket.socket(standard.AF_UNIX))
    yield lambda: sock.connect(listener.getsockname())
    connecting = spawn(sock.connect, listener.getsockname())
    accepted = [peers.keep(listener.accept()[0]) for _ in range(2)]
    connecting.get(timeout=5)
    sock.send(b"x")
    assert accepted


def one_connection(peers):
    listener = peers.full_listener()
    yield lambda: create_connection(listener.getsockname())


def create_connection_side_by_side(peers):
    listener = peers.full_listener()
    peers.resolve(lambda *args: [(standard.AF_INET, standard.SOCK_STREAM, 6, "", listener.getsockname())] * 3)
    yield lambda: create_connection(("name.invalid", 80), happy_eyeballs_delay=0.0001)


def a_lookup(call):
    def case(peers):
        never = Event()
        peers.resolve(lambda *args: never.wait())
        yield lambda: call(peers)
        never.set()

    return case


def makefile_read(peers):
    file = peers.keep(peers.ours.makefile("rb"))
    peers.theirs.send(b"half a ")
    yield file.readline
    peers.theirs.send(b"line\n")
    assert file.readline() in (b"half a line\n", b"line\n")  # the buffer may keep or lose the first half


def makefile_write(peers):
    file = peers.ours.makefile("wb", buffering=0)
    peers.keep(file)
    peers.fill()
    yield lambda: file.write(b"y" * 65536)
    peers.drain()
    file.write(b"z")
    assert peers.theirs.recv(10) == b"z"


# --- descriptors ------------------------------------------------------------------------------------------------


def waiting(call, full=False):
    def case(peers):
        if full:
            peers.fill()
        yield lambda: call(peers.ours)
        peers.drain()
        peers.check_receiving()
        wait_write(peers.ours, 5)

    return case


def with_select(sock):
    return select.select([sock], [], [sock])


def with_poll(peers):
    poll = select.poll()
    poll.register(peers.ours, select.POLLIN)
    yield poll.poll
    peers.theirs.send(b"x")
    assert poll.poll(5000) == [(peers.ours.fileno(), select.POLLIN)]


def with_epoll(peers):
    epoll = peers.keep(select.epoll())
    epoll.register(peers.ours, select.EPOLLIN)
    yield epoll.poll
    peers.theirs.send(b"x")
    assert epoll.poll(5) == [(peers.ours.fileno(), select.EPOLLIN)]


def with_selector(kind):
    def case(peers):
        selector = peers.keep(kind())
        selector.register(peers.ours, selectors.EVENT_READ, "data")
        yield selector.select
        peers.theirs.send(b"x")
        assert [key.data for key, _ in selector.select(5)] == ["data"]
        selector.unregister(peers.ours)

    return case


# --- TLS --------------------------------------------------------------------------------------------------------


def handshake(server_side):
    def case(peers):
        context, options = (server_context(), {"server_side": True}) if server_side else (
            client_context(), {"server_hostname": "localhost"},
        )  # fmt: skip
        number = peers.ours.fileno()
        yield lambda: context.wrap_socket(peers.ours, **options)
        assert_closed(number)

    return case


def handshake_later(peers):
    client = client_context().wrap_socket(peers.ours, server_hostname="localhost", do_handshake_on_connect=False)
    peers.keep(client)
    yield client.do_handshake
    assert client.fileno() == -1


def tls_accept(peers):
    plain = create_server(("127.0.0.1", 0))
    listener = peers.keep(server_context().wrap_socket(plain, server_side=True))
    silent = peers.keep(create_connection(listener.getsockname()))
    yield listener.accept
    if wait_read(silent, 5) is None:
        assert silent.recv(1) == b""  # this connection's handshake was under way
    client = peers.keep(create_connection(listener.getsockname()))
    serving = spawn(listener.accept)
    with client_context().wrap_socket(client, server_hostname="localhost") as wrapped:
        server, _ = serving.get(timeout=5)
        with server:
            server.send(b"x")
            assert wrapped.recv(1) == b"x"


def tls_connect(peers):
    listener = peers.full_listener()
    client = peers.keep(client_context().wrap_socket(socket.socket(), server_hostname="localhost"))
    yield lambda: client.connect(listener.getsockname())
    client.settimeout(0.001)
    with pytest.raises(TimeoutError):
        client.connect(listener.getsockname())


def tls_receiving(call):
    def case(peers):
        client, server = peers.tls()
        yield lambda: call(client)
        server.send(b"x")
        assert client.recv(1) == b"x"
        client.send(b"y")
        assert server.recv(1) == b"y"

    return case


def tls_sending(peers):
    client, server = peers.tls()
    yield lambda: client.sendall(BIG)

    # Later data are not mixed up with the record that was half sent.
    def receive():
        received = bytearray()
        while not received.endswith(b"end"):
            received += server.recv(1 << 20)
        return bytes(received)

    receiving = spawn(receive)
    client.sendall(b"the ")
    client.sendall(b"end")
    received = receiving.get(timeout=10)
    assert received.endswith(b"the end")
    assert BIG.startswith(received.removesuffix(b"the end"))
    server.send(b"x")
    assert client.recv(1) == b"x"


def tls_unwrap(peers):
    client, server = peers.tls()
    yield client.unwrap
    ending = spawn(server.unwrap)
    client.unwrap().send(b"plain")
    assert ending.get(timeout=5).recv(10) == b"plain"


CASES = {
    "recv": receiving(lambda sock: sock.recv(1)),
    "recv much": receiving(lambda sock: sock.recv(1 << 20)),
    "recv_into": receiving(lambda sock: sock.recv_into(bytearray(1))),
    "recvfrom": receiving(lambda sock: sock.recvfrom(1)),
    "recvfrom_into": receiving(lambda sock: sock.recvfrom_into(bytearray(1))),
    "recvmsg": receiving(lambda sock: sock.recvmsg(1)),
    "recvmsg_into": receiving(lambda sock: sock.recvmsg_into([bytearray(1)])),
    "recv with a timeout": receiving(lambda sock: (sock.settimeout(60), sock.recv(1))),
    "recv_fds": receiving(lambda sock: socket.recv_fds(sock, 1, 1)),
    "send": sending(lambda sock: sock.send(b"y")),
    "sendall": sending(lambda sock: sock.sendall(b"y" * 65536)),
    "sendall in part": sendall_in_part,
    "sendmsg": sending(lambda sock: sock.sendmsg([b"y"])),
    "sendfile": sendfile,
    "accept": accept,
    "connect": connect,
    "connect_ex": connect_ex,
    "connect to a Unix socket": connect_unix,
    "create_connection": one_connection,
    "create_connection side by side": create_connection_side_by_side,
    "create_connection in the lookup": a_lookup(lambda peers: create_connection(("name.invalid", 80))),
    "getaddrinfo": a_lookup(lambda peers: socket.getaddrinfo("name.invalid", 80)),
    "connect in the lookup": a_lookup(lambda peers: peers.keep(socket.socket()).connect(("name.invalid", 80))),
    "makefile read": makefile_read,
    "makefile write": makefile_write,
    "wait_read": waiting(wait_read),
    "wait_write": waiting(wait_write, full=True),
    "wait_readwrite": waiting(wait_readwrite, full=True),
    "select": waiting(with_select),
    "poll": with_poll,
    "epoll": with_epoll,
    "SelectSelector": with_selector(selectors.SelectSelector),
    "PollSelector": with_selector(selectors.PollSelector),
    "EpollSelector": with_selector(selectors.EpollSelector),
    "TLS handshake of a client": handshake(False),
    "TLS handshake of a server": handshake(True),
    "TLS handshake later": handshake_later,
    "TLS accept": tls_accept,
    "TLS connect": tls_connect,
    "TLS read": tls_receiving(lambda sock: sock.read(1)),
    "TLS recv": tls_receiving(lambda sock: sock.recv(1)),
    "TLS recv_into": tls_receiving(lambda sock: sock.recv_into(bytearray(1))),
    "TLS makefile": tls_receiving(lambda sock: sock.makefile("rb", buffering=0).read(1)),
    "TLS sendall": tls_sending,
    "TLS unwrap": tls_unwrap,
}


def assert_closed(number):
    with pytest.raises(OSError):
        os.fstat(number)


@pytest.fixture
def peers():
    hub = get_hub()
    resolver = hub.__dict__.get("_resolver")
    made = Peers()

    class Resolver:
        def __init__(self, getaddrinfo):
            self.getaddrinfo = getaddrinfo

        def close(self):
            pass

    def resolve(getaddrinfo):
        hub.resolver = Resolver(getaddrinfo)

    made.resolve = resolve
    yield made
    hub.resolver = resolver
    made.close()


@pytest.mark.parametrize("how", ["kill", "timeout", "twice"])
@pytest.mark.parametrize("name", CASES)
def test_an_interrupted_call_leaves_nothing_behind(name, how, peers):
    counts = get_hub().statistics()
    case = CASES[name](peers)
    call = next(case)
    if how == "timeout":
        with pytest.raises(Timeout) as caught, Timeout(0.005):
            call()
        del caught
    else:
        greenlet = spawn(call)
        until_waiting(greenlet)
        if how == "twice":
            greenlet.kill(block=False)
        greenlet.kill(timeout=10)
        assert greenlet.dead and not greenlet.exception
        reference = weakref.ref(greenlet)
        del greenlet
        sleep(0)
        gc.collect()
        assert reference() is None
    with Timeout(10, AssertionError("the object cannot be used any more")):
        next(case, None)
    peers.close()
    sleep(0)
    after = get_hub().statistics()
    for count in ("parked", "references", "watches_registered", "handles"):
        assert after[count] == counts[count], f"{count}: {after[count]}, before {counts[count]}"
