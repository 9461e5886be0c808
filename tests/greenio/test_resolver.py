"""Looking names up: results, orders and errors are those of the standard library, and other greenlets go on."""

import itertools
import socket as standard
import subprocess
import sys
import threading

import pytest
from waiting import until_others_ran

from greenio import Timeout, config, get_hub, kill, sleep, spawn
from greenio import socket as cooperative
from greenio.resolver.ares import make_channel
from greenio.server import StreamServer
from greenio.socket import create_server, getaddrinfo, socket

# pycares starts a thread when its first channel is made, which stays.
make_channel().close()


@pytest.fixture(params=["thread", "ares", "dnspython"])
def which(request):
    """Every resolver in turn. The name server that they ask does not answer."""
    hub = get_hub()
    with standard.socket(type=standard.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        config.resolver = request.param
        config.resolver_nameservers = f"127.0.0.1:{silent.getsockname()[1]}"
        hub.resolver = None
        yield request.param
        hub.resolver.close()
        hub.resolver = None
    config.resolver, config.resolver_nameservers = "thread", None


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error), error.args


def names_of_this_host():
    with open("/etc/hosts") as hosts:
        lines = [line.partition("#")[0].split() for line in hosts]
    return sorted({name for line in lines for name in line})[:8]


# Names and addresses for which no name server is asked.
LOCAL = [
    *names_of_this_host(), "localhost", "LOCALHOST", b"localhost", bytearray(b"localhost"), "127.0.0.1", "127.1",
    "", "x" * 70 + ".invalid", "nul\0byte", 5, None,
]  # fmt: skip
HOSTS = [*LOCAL, "0x7f.1", "2130706433", "::1", "::", "::ffff:1.2.3.4", "fe80::1%lo", "1.2.3.4"]
PORTS = [0, 80, "80", "http", b"http", None, "nonsense", -1, 70000, 2**70, 1.5]


@pytest.mark.parametrize("host", HOSTS, ids=repr)
def test_getaddrinfo_answers_as_the_standard_librarys(which, host):
    for port in PORTS:
        assert outcome(getaddrinfo, host, port) == outcome(standard.getaddrinfo, host, port), (host, port)


OPTIONS = list(
    itertools.product(
        [standard.AF_UNSPEC, standard.AF_INET, standard.AF_INET6, 999],
        [0, standard.SOCK_STREAM, standard.SOCK_DGRAM],
        [0, standard.IPPROTO_UDP],
        [0, standard.AI_PASSIVE, standard.AI_CANONNAME, standard.AI_NUMERICHOST, standard.AI_NUMERICSERV],
    )
)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", None], ids=repr)
def test_getaddrinfo_heeds_all_its_options(which, host):
    for options in OPTIONS:
        if host == "localhost" and options[0] == standard.AF_INET6:
            continue  # asks a name server if /etc/hosts has no such address
        args = (host, 80, *options)
        assert outcome(getaddrinfo, *args) == outcome(standard.getaddrinfo, *args), args
    found = getaddrinfo("localhost", 80, type=standard.SOCK_STREAM)[0]
    assert isinstance(found[0], standard.AddressFamily) and isinstance(found[1], standard.SocketKind)


@pytest.mark.parametrize("name", ["gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getfqdn"])
@pytest.mark.parametrize("host", LOCAL, ids=repr)
def test_gethostby_functions_answer_as_the_standard_librarys(which, name, host):
    assert outcome(getattr(cooperative, name), host) == outcome(getattr(standard, name), host)


@pytest.mark.parametrize("address", [
    ("127.0.0.1", 80), ("127.0.0.1", 65535), ("localhost", 80),
    ("127.0.0.1",), (), "127.0.0.1", ("127.0.0.1", "80"), ("127.0.0.1", -1),
], ids=repr)  # fmt: skip
def test_getnameinfo_answers_as_the_standard_librarys(which, address):
    for flags in (0, standard.NI_NUMERICHOST, standard.NI_NUMERICSERV, 3, standard.NI_NAMEREQD, standard.NI_DGRAM):
        assert outcome(cooperative.getnameinfo, address, flags) == outcome(standard.getnameinfo, address, flags)


def test_numeric_addresses_are_converted_without_switching(which, monkeypatch):
    hub = get_hub()
    monkeypatch.setattr(hub.resolver, "_look_up", None)
    switches = hub.switches
    for host in ("127.0.0.1", "::1", "0x7f.1", "fe80::1%lo", b"127.0.0.1", None):
        assert getaddrinfo(host, "80") == standard.getaddrinfo(host, "80")
    for host in ("127.1", b"127.0.0.1", bytearray(b"127.0.0.1")):
        assert cooperative.gethostbyname(host) == "127.0.0.1"
        assert cooperative.gethostbyname_ex(host) == standard.gethostbyname_ex(host)
    numbers = standard.NI_NUMERICHOST | standard.NI_NUMERICSERV
    assert cooperative.getnameinfo(("127.0.0.1", 80), numbers) == ("127.0.0.1", "80")
    assert hub.switches == switches


# --- choosing a resolver ------------------------------------------------------------------------------------------


class Reversing:
    """A program's own resolver."""

    def __init__(self, hub):
        self.hub = hub

    def gethostbyname(self, name):
        return name[::-1]


@pytest.fixture
def chosen():
    def choose(value):
        config.resolver = value
        get_hub().resolver = None
        return get_hub().resolver

    yield choose
    config.resolver = "thread"
    get_hub().resolver = None


@pytest.mark.parametrize("name", ["thread", "ares", "dnspython"])
def test_a_resolver_is_chosen_by_its_name(chosen, name):
    assert type(chosen(name)).__module__ == f"greenio.resolver.{name}"


def test_a_resolver_is_chosen_by_its_class_or_path(chosen):
    assert isinstance(chosen(Reversing), Reversing) and get_hub().resolver.hub is get_hub()
    assert cooperative.gethostbyname("name") == "eman"
    assert type(chosen("greenio.resolver.dnspython.Resolver")).__module__ == "greenio.resolver.dnspython"
    with pytest.raises(ImportError, match="has no 'Nothing'"):
        chosen("greenio.resolver.thread.Nothing")
    with pytest.raises(ImportError, match="nowhere"):
        chosen("nowhere.Resolver")
    for value in ("c-ares", 5, ".", ""):
        with pytest.raises(ValueError, match="expected thread, ares, dnspython"):
            chosen(value)


def test_a_resolver_may_be_assigned(chosen):
    chosen("thread")
    get_hub().resolver = Reversing(None)
    assert cooperative.gethostbyname("ab") == "ba"


def test_modules_for_names_are_imported_when_they_are_needed():
    code = (
        "import sys, greenio.socket\n"
        "wanted = {'concurrent', 'greenio.threadpool', 'pycares', 'dns'}\n"
        "print(sorted(name for name in sys.modules if name in wanted or name.startswith('greenio.resolver')))\n"
        "greenio.socket.getaddrinfo('127.0.0.1', 80)\n"
        "print('pycares' in sys.modules, 'dns' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd="/"
    )
    assert result.stdout == "['greenio.resolver', 'greenio.resolver.numeric']\nFalse False\n"


# --- other greenlets run meanwhile --------------------------------------------------------------------------------


class SlowResolver:
    """Answers in a thread, as the default resolver, but only after other greenlets have run for a while."""

    def __init__(self, hub, ticks):
        self.hub = hub
        self.ticks = ticks

    def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        assert self.hub.threadpool.apply(until_others_ran, (self.ticks,))
        return standard.getaddrinfo("127.0.0.1", port, family, type, proto, flags)

    def close(self):
        pass


@pytest.fixture
def slow(threadpool, ticks):
    hub = get_hub()
    hub.resolver = SlowResolver(hub, ticks)
    yield
    hub.threadpool.join()
    hub.resolver = None


def test_greenlets_run_while_a_name_is_looked_up(slow):
    assert getaddrinfo("anything", 80, type=standard.SOCK_STREAM)[0][4] == ("127.0.0.1", 80)


def test_greenlets_run_while_a_listener_looks_up_its_name(slow):
    with create_server(("anything", 0)) as listener:
        assert isinstance(listener, socket) and listener.getsockname()[0] == "127.0.0.1"
    with StreamServer("anything:0", print) as server:
        assert server.server_host == "127.0.0.1"


def test_a_lookup_can_be_killed_and_times_out(slow):
    job = spawn(getaddrinfo, "anything", 80)
    sleep(0)
    kill(job)
    with pytest.raises(Timeout):
        with Timeout(0.001):
            getaddrinfo("anything", 80)
    assert job.dead


def test_sockets_look_names_up_cooperatively(slow):
    with create_server(("127.0.0.1", 0)) as server, socket() as client, socket(type=standard.SOCK_DGRAM) as udp:
        client.connect(("some.host", server.getsockname()[1]))
        udp.bind(("127.0.0.1", 0))
        udp.sendto(b"x", ("some.host", udp.getsockname()[1]))
        assert udp.recv(1) == b"x"


def test_names_are_looked_up_in_other_threads():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(getaddrinfo("localhost", 80)))
    thread.start()
    thread.join()
    assert seen == [standard.getaddrinfo("localhost", 80)]


def test_connect_raises_the_standard_librarys_errors_of_names():
    for address in [("x" * 70 + ".invalid", 80), ("127.0.0.1",), ("127.0.0.1", "80"), ("\0", 80), 5, ("::1", 80)]:
        with socket() as ours, standard.socket() as plain:
            assert outcome(ours.connect, address)[0] == outcome(plain.connect, address)[0], address
