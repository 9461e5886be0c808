"""The same misuse of the standard library's sockets and of ours: the same exception, error number and text."""

import array
import copy
import io
import os
import pickle
import re
import socket as standard
import sys
import tempfile
import warnings

import pytest

from greenio import socket as cooperative


class Sockets:
    """Sockets of one kind or the other, made when they are asked for."""

    def __init__(self, module):
        self.module = module
        self.made = []

    def keep(self, sock):
        self.made.append(sock)
        return sock

    @property
    def file(self):
        return self.keep(open(__file__, "rb"))

    @property
    def connected(self):
        ours, theirs = self.module.socketpair()
        self.keep(theirs)
        return self.keep(ours)

    @property
    def empty(self):
        return self.keep(tempfile.TemporaryFile())

    @property
    def closed(self):
        sock = self.module.socket()
        sock.close()
        return sock

    @property
    def detached(self):
        sock = self.module.socket()
        os.close(sock.detach())
        return sock

    @property
    def tcp(self):
        return self.keep(self.module.socket())

    @property
    def udp(self):
        return self.keep(self.module.socket(type=standard.SOCK_DGRAM))

    @property
    def unix(self):
        return self.keep(self.module.socket(standard.AF_UNIX))

    @property
    def without_waiting(self):
        sock = self.connected
        sock.setblocking(False)
        return sock

    @property
    def impatient(self):
        sock = self.connected
        sock.settimeout(0.001)
        return sock

    @property
    def shut(self):
        sock = self.connected
        sock.shutdown(standard.SHUT_RDWR)
        return sock

    @property
    def refusing(self):
        """The address of a port that nobody listens at."""
        with self.module.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            return unused.getsockname()


class Odd:
    """Neither a number nor a buffer nor a file."""

    def __repr__(self):
        return "<odd>"

    def fileno(self):
        raise RuntimeError("no descriptor")


def full(sock):
    """A socket that cannot send any more."""
    sock.setblocking(False)
    try:
        while True:
            sock.send(b"x" * 65536)
    except BlockingIOError:
        return sock


def with_timeout(sock, timeout):
    sock.settimeout(timeout)
    return sock


def used_in_with(sock):
    with sock:
        pass
    with sock:
        return sock.fileno()


def everything_of(sock):
    return (sock.gettimeout(), sock.getblocking(), sock.type, sock.family, sock.proto, sock.fileno() >= 0)


TIMEOUTS = [
    None, 0, 0.0, -0.0, 1, 0.5, True, 1e-9, 1e-12, -1, -1e-9, -1e-12, float("nan"), float("inf"), float("-inf"),
    1e9, 1e12, 1e300, 10**6, 10**12, 10**30, "1", b"1", (), 1j, Odd(),
]  # fmt: skip

CASES = {
    # --- arguments of receiving and sending ---
    "recv negative": lambda s: s.connected.recv(-1),
    "recv text": lambda s: s.connected.recv("1"),
    "recv float": lambda s: s.connected.recv(1.0),
    "recv huge": lambda s: s.connected.recv(1 << 70),
    "recv flags text": lambda s: s.connected.recv(1, "1"),
    "recv flags huge": lambda s: s.connected.recv(1, 1 << 40),
    "recv nothing": lambda s: s.connected.recv(0),
    "recv nothing of a closed one": lambda s: s.closed.recv(0),
    "recv nothing without waiting": lambda s: s.without_waiting.recv(0),
    "recv oob": lambda s: s.connected.recv(1, standard.MSG_OOB),
    "recv error queue": lambda s: s.connected.recv(1, standard.MSG_ERRQUEUE | standard.MSG_DONTWAIT),
    "recv_into constant": lambda s: s.connected.recv_into(b"x"),
    "recv_into text": lambda s: s.connected.recv_into("x"),
    "recv_into negative": lambda s: s.connected.recv_into(bytearray(1), -1),
    "recv_into too much": lambda s: s.connected.recv_into(bytearray(1), 2),
    "recv_into nothing": lambda s: s.connected.recv_into(bytearray(0)),
    "recvfrom negative": lambda s: s.connected.recvfrom(-1),
    "recvfrom text": lambda s: s.connected.recvfrom("x"),
    "recvfrom none": lambda s: s.connected.recvfrom(),
    "recvfrom_into too much": lambda s: s.connected.recvfrom_into(bytearray(1), 2),
    "recvfrom_into negative": lambda s: s.connected.recvfrom_into(bytearray(1), -1),
    "recvfrom_into by keywords": lambda s: s.connected.recvfrom_into(buffer=bytearray(1), flags=standard.MSG_DONTWAIT),
    "recvfrom_into unknown keyword": lambda s: s.connected.recvfrom_into(bytearray(1), size=1),
    "recvfrom_into none": lambda s: s.connected.recvfrom_into(),
    "recvmsg negative": lambda s: s.connected.recvmsg(-1),
    "recvmsg negative ancillary": lambda s: s.connected.recvmsg(1, -1),
    "recvmsg none": lambda s: s.connected.recvmsg(),
    "recvmsg_into number": lambda s: s.connected.recvmsg_into(1),
    "recvmsg_into constant": lambda s: s.connected.recvmsg_into([b"x"]),
    "send text": lambda s: s.connected.send("x"),
    "send number": lambda s: s.connected.send(1),
    "send flags": lambda s: s.connected.send(b"", "x"),
    "send strided": lambda s: s.connected.send(memoryview(b"abcdef")[::2]),
    "sendall text": lambda s: s.connected.sendall("x"),
    "sendall None": lambda s: s.connected.sendall(None),
    "sendall strided": lambda s: s.connected.sendall(memoryview(b"abcdef")[::2]),
    "sendall array": lambda s: s.connected.sendall(array.array("i", [1, 2])),
    "sendto text": lambda s: s.udp.sendto("x", ("127.0.0.1", 9)),
    "sendto none": lambda s: s.udp.sendto(b"x"),
    "sendto nothing at all": lambda s: s.udp.sendto(),
    "sendto four": lambda s: s.udp.sendto(b"x", 0, ("127.0.0.1", 9), 1),
    "sendto flags": lambda s: s.udp.sendto(b"x", "x", ("127.0.0.1", 9)),
    "sendto address": lambda s: s.udp.sendto(b"x", "127.0.0.1"),
    "sendto port": lambda s: s.udp.sendto(b"x", ("127.0.0.1", "9")),
    "sendto port too high": lambda s: s.udp.sendto(b"x", ("127.0.0.1", 65536)),
    "sendto port negative": lambda s: s.udp.sendto(b"x", ("127.0.0.1", -1)),
    "sendto too long": lambda s: s.udp.sendto(b"x" * 100_000, ("127.0.0.1", 9)),
    "sendmsg number": lambda s: s.connected.sendmsg(1),
    "sendmsg text": lambda s: s.connected.sendmsg(["x"]),
    "sendmsg none": lambda s: s.connected.sendmsg(),
    "sendmsg ancillary": lambda s: s.connected.sendmsg([b"x"], [1]),
    "sendmsg ancillary number": lambda s: s.connected.sendmsg([b"x"], 1),
    "sendmsg address": lambda s: s.udp.sendmsg([b"x"], [], 0, "x"),
    "sendmsg of an iterator": lambda s: s.connected.sendmsg(iter([b"x", b"y"])),
    "sendfile text": lambda s: s.connected.sendfile(io.StringIO("x")),
    "sendfile text mode": lambda s: s.connected.sendfile(s.keep(io.TextIOWrapper(s.file))),
    "sendfile number": lambda s: s.connected.sendfile(1),
    "sendfile count": lambda s: s.connected.sendfile(io.BytesIO(b"x"), 0, -1),
    "sendfile count zero": lambda s: s.connected.sendfile(io.BytesIO(b"x"), 0, 0),
    "sendfile count text": lambda s: s.connected.sendfile(io.BytesIO(b"x"), 0, "x"),
    "sendfile empty": lambda s: s.connected.sendfile(s.empty),
    "sendfile datagram": lambda s: s.udp.sendfile(io.BytesIO(b"x")),
    "sendfile without waiting": lambda s: s.without_waiting.sendfile(s.file),
    "sendfile of bytes without waiting": lambda s: s.without_waiting.sendfile(io.BytesIO(b"x")),
    "sendfile unconnected": lambda s: s.tcp.sendfile(s.file),
    # --- states ---
    "recv closed": lambda s: s.closed.recv(1),
    "recv_into closed": lambda s: s.closed.recv_into(bytearray(1)),
    "recvfrom closed": lambda s: s.closed.recvfrom(1),
    "recvmsg closed": lambda s: s.closed.recvmsg(1),
    "send closed": lambda s: s.closed.send(b"x"),
    "sendall closed": lambda s: s.closed.sendall(b"x"),
    "sendall nothing closed": lambda s: s.closed.sendall(b""),
    "sendto closed": lambda s: s.closed.sendto(b"x", ("127.0.0.1", 9)),
    "sendmsg closed": lambda s: s.closed.sendmsg([b"x"]),
    "accept closed": lambda s: s.closed.accept(),
    "connect closed": lambda s: s.closed.connect(("127.0.0.1", 9)),
    "connect_ex closed": lambda s: s.closed.connect_ex(("127.0.0.1", 9)),
    "bind closed": lambda s: s.closed.bind(("127.0.0.1", 0)),
    "listen closed": lambda s: s.closed.listen(),
    "shutdown closed": lambda s: s.closed.shutdown(standard.SHUT_RD),
    "getsockname closed": lambda s: s.closed.getsockname(),
    "getpeername closed": lambda s: s.closed.getpeername(),
    "setsockopt closed": lambda s: s.closed.setsockopt(standard.SOL_SOCKET, standard.SO_KEEPALIVE, 1),
    "settimeout closed": lambda s: s.closed.settimeout(1),
    "settimeout None closed": lambda s: s.closed.settimeout(None),
    "settimeout zero closed": lambda s: s.closed.settimeout(0),
    "setblocking closed": lambda s: s.closed.setblocking(True),
    "gettimeout closed": lambda s: s.closed.gettimeout(),
    "getblocking closed": lambda s: s.closed.getblocking(),
    "fileno closed": lambda s: s.closed.fileno(),
    "close closed": lambda s: s.closed.close(),
    "detach closed": lambda s: s.closed.detach(),
    "dup closed": lambda s: s.closed.dup(),
    "makefile closed": lambda s: s.closed.makefile("rb").close(),
    "get_inheritable closed": lambda s: s.closed.get_inheritable(),
    "recv detached": lambda s: s.detached.recv(1),
    "fileno detached": lambda s: s.detached.fileno(),
    "close detached": lambda s: s.detached.close(),
    "recv unconnected": lambda s: s.tcp.recv(1),
    "send unconnected": lambda s: s.tcp.send(b"x"),
    "sendmsg unconnected": lambda s: s.tcp.sendmsg([b"x"]),
    "accept not listening": lambda s: s.tcp.accept(),
    "accept of a datagram socket": lambda s: s.udp.accept(),
    "getpeername unconnected": lambda s: s.tcp.getpeername(),
    "shutdown unconnected": lambda s: s.tcp.shutdown(standard.SHUT_RDWR),
    "shutdown how": lambda s: s.connected.shutdown(7),
    "send after shutdown": lambda s: s.shut.send(b"x"),
    "sendall after shutdown": lambda s: s.shut.sendall(b"x"),
    "recv after shutdown": lambda s: s.shut.recv(1),
    "recv without waiting": lambda s: s.without_waiting.recv(1),
    "recv_into without waiting": lambda s: s.without_waiting.recv_into(bytearray(1)),
    "recvfrom without waiting": lambda s: s.without_waiting.recvfrom(1),
    "recvmsg without waiting": lambda s: s.without_waiting.recvmsg(1),
    "send without waiting": lambda s: full(s.connected).send(b"x"),
    "sendall without waiting": lambda s: full(s.connected).sendall(b"x"),
    "sendmsg without waiting": lambda s: full(s.connected).sendmsg([b"x"]),
    "recv timeout": lambda s: s.impatient.recv(1),
    "recv_into timeout": lambda s: s.impatient.recv_into(bytearray(1)),
    "recvfrom timeout": lambda s: s.impatient.recvfrom(1),
    "recvmsg timeout": lambda s: s.impatient.recvmsg(1),
    "send timeout": lambda s: with_timeout(full(s.connected), 0.001).send(b"x"),
    "sendall timeout": lambda s: with_timeout(full(s.connected), 0.001).sendall(b"x"),
    "sendmsg timeout": lambda s: with_timeout(full(s.connected), 0.001).sendmsg([b"x"]),
    "sendfile timeout": lambda s: with_timeout(full(s.connected), 0.001).sendfile(s.file),
    # --- connecting ---
    "connect None": lambda s: s.tcp.connect(None),
    "connect text": lambda s: s.tcp.connect("127.0.0.1:80"),
    "connect list": lambda s: s.tcp.connect(["127.0.0.1", 80]),
    "connect short": lambda s: s.tcp.connect(("127.0.0.1",)),
    "connect long": lambda s: s.tcp.connect(("127.0.0.1", 1, 2, 3, 4)),
    "connect port text": lambda s: s.tcp.connect(("127.0.0.1", "80")),
    "connect port too high": lambda s: s.tcp.connect(("127.0.0.1", 70000)),
    "connect port negative": lambda s: s.tcp.connect(("127.0.0.1", -1)),
    "connect host number": lambda s: s.tcp.connect((1, 80)),
    "connect host with a null": lambda s: s.tcp.connect(("a\0b", 80)),
    "connect host not a name": lambda s: s.tcp.connect(("a" * 300, 80)),
    "connect host empty label": lambda s: s.tcp.connect(("a..b", 80)),
    "connect refused": lambda s: s.tcp.connect(s.refusing),
    "connect_ex refused": lambda s: s.tcp.connect_ex(s.refusing),
    "connect_ex None": lambda s: s.tcp.connect_ex(None),
    "connect twice": lambda s: s.connected.connect("x"),
    "connect unix missing": lambda s: s.unix.connect("/nonexistent/socket"),
    "connect unix None": lambda s: s.unix.connect(None),
    "connect unix too long": lambda s: s.unix.connect("x" * 200),
    "connect_ex unix missing": lambda s: s.unix.connect_ex("/nonexistent/socket"),
    "connect datagram refused": lambda s: s.udp.connect(("127.0.0.1", 9)),
    "create_connection refused": lambda s: s.module.create_connection(s.refusing),
    "create_connection text": lambda s: s.module.create_connection("127.0.0.1"),
    "create_connection port": lambda s: s.module.create_connection(("127.0.0.1", 70000)),
    "create_connection source": lambda s: s.module.create_connection(s.refusing, source_address="x"),
    "create_connection timeout": lambda s: s.module.create_connection(s.refusing, timeout=-1),
    "create_connection timeout text": lambda s: s.module.create_connection(s.refusing, timeout="1"),
    "create_server address": lambda s: s.module.create_server("x"),
    "create_server in use": lambda s: s.module.create_server(
        s.keep(s.module.create_server(("127.0.0.1", 0))).getsockname()
    ),
    "create_server family": lambda s: s.module.create_server(("127.0.0.1", 0), family=standard.AF_UNIX),
    "create_server dual stack": lambda s: s.module.create_server(("127.0.0.1", 0), dualstack_ipv6=True),
    "bind None": lambda s: s.tcp.bind(None),
    "bind port": lambda s: s.tcp.bind(("127.0.0.1", 70000)),
    "bind unix missing": lambda s: s.unix.bind("/nonexistent/socket"),
    "listen text": lambda s: s.tcp.listen("x"),
    # --- making, copying ---
    "family": lambda s: s.module.socket(9999),
    "type": lambda s: s.module.socket(standard.AF_INET, 9999),
    "protocol": lambda s: s.module.socket(standard.AF_INET, standard.SOCK_STREAM, 9999),
    "family text": lambda s: s.module.socket("x"),
    "fileno negative": lambda s: s.module.socket(fileno=-1),
    "fileno closed file": lambda s: s.module.socket(fileno=987654),
    "fileno text": lambda s: s.module.socket(fileno="x"),
    "fileno float": lambda s: s.module.socket(fileno=1.5),
    "fromfd negative": lambda s: s.module.fromfd(-1, standard.AF_INET, standard.SOCK_STREAM),
    "socketpair family": lambda s: s.module.socketpair(standard.AF_INET),
    "socketpair family text": lambda s: s.module.socketpair("x"),
    "pickle": lambda s: pickle.dumps(s.tcp),
    "copy": lambda s: copy.copy(s.tcp),
    "deepcopy": lambda s: copy.deepcopy(s.tcp),
    "key of a dict": lambda s: len({s.tcp: 1}),
    "with": lambda s: used_in_with(s.tcp),
    "makefile mode": lambda s: s.connected.makefile("x"),
    "makefile buffering": lambda s: s.connected.makefile("r", buffering=0),
    "makefile of an impatient one": lambda s: s.keep(s.impatient.makefile("rb")).read(1),
    "makefile without waiting": lambda s: s.keep(s.without_waiting.makefile("rb")).read(1),
    "makefile written": lambda s: s.keep(s.connected.makefile("rb")).write(b"x"),
    "send_fds": lambda s: s.module.send_fds(s.connected, [b"x"], ["x"]),
    "new attribute": lambda s: setattr(s.tcp, "proto", 1),
    "timeout attribute": lambda s: s.impatient.timeout,
    "getsockopt size": lambda s: s.tcp.getsockopt(standard.SOL_SOCKET, standard.SO_KEEPALIVE, -1),
    "setsockopt": lambda s: s.tcp.setsockopt(standard.SOL_SOCKET, standard.SO_KEEPALIVE, "x"),
    "ioctl": lambda s: s.tcp.ioctl,
    "wait for shares": lambda s: s.tcp.share,
    **{f"settimeout {t!r}"[:60]: lambda s, t=t: everything_of(with_timeout(s.connected, t)) for t in TIMEOUTS},
    **{
        f"setblocking {f!r}": lambda s, f=f: (lambda sock: (sock.setblocking(f), everything_of(sock)))(s.impatient)
        for f in [True, False, 1, 0, None, "x", ""]
    },
    **{
        f"given type {kind:#x}": lambda s, kind=kind: everything_of(s.keep(s.module.socket(type=kind)))
        for kind in [
            standard.SOCK_STREAM | standard.SOCK_NONBLOCK,
            standard.SOCK_DGRAM | standard.SOCK_CLOEXEC,
            standard.SOCK_DGRAM | standard.SOCK_NONBLOCK | standard.SOCK_CLOEXEC,
        ]
    },
}


# Calls whose exceptions agree only in their type: the text depends on CPython's function that converts the argument.
TYPE_ONLY = {"recv flags text", "recv flags huge", "send flags"}


def outcome(case, module):
    """What a call did: returned a value, or raised an exception of a type, with an error number and a text."""
    sockets = Sockets(module)
    try:
        result = case(sockets)
        if isinstance(result, standard.socket):
            result.close()
            result = "a socket"
        return result
    except Exception as error:
        text = str(error).replace("greenio.socket.", "socket.")
        text = re.sub(r"\('127.0.0.1', \d+\)", "an address", text)
        return type(error), getattr(error, "errno", None), text
    finally:
        for sock in sockets.made:
            sock.close()


@pytest.mark.parametrize("name", CASES)
def test_as_the_standard_library(name, threadpool):
    with warnings.catch_warnings():
        # After an error that is no OSError the standard library leaves a socket to the collector; so does ours where it
        # is the standard library's code.
        warnings.simplefilter("ignore", ResourceWarning)
        expected = outcome(CASES[name], standard)
        if name.startswith("create_server"):
            assert outcome(CASES[name], cooperative) == expected
            return
    found = outcome(CASES[name], cooperative)
    if name in TYPE_ONLY:
        found, expected = found[0], expected[0]
    assert found == expected


def test_the_signatures_take_what_the_standard_ones_take():
    """Each method and function of the module takes the arguments by the same names."""
    import inspect

    for theirs, ours in ((standard, cooperative), (standard.socket, cooperative.socket)):
        for name in dir(theirs):
            ours_is, theirs_is = getattr(ours, name, None), getattr(theirs, name)
            if name.startswith("_") or ours_is is theirs_is or not inspect.isfunction(theirs_is):
                continue
            expected = inspect.signature(theirs_is).parameters
            assert list(inspect.signature(ours_is).parameters)[: len(expected)] == list(expected), name
    assert sys.modules["socket"] is standard


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_socket_that_is_connected_connects_once(timeout):
    """Also to the system: what a second connect() returns tells whether the first was one that did not wait."""
    results = []
    with standard.create_server(("127.0.0.1", 0)) as first, standard.create_server(("127.0.0.1", 0)) as second:
        for module in (standard, cooperative):
            with module.socket() as sock:
                sock.settimeout(timeout)
                sock.connect(first.getsockname())
                addresses = (first.getsockname(), second.getsockname())
                results.append([*map(sock.connect_ex, addresses), sock.getpeername() == first.getsockname()])
    assert results[0] == results[1]
