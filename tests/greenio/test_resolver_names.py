"""The resolvers that ask name servers themselves, c-ares and dnspython: tested with a name server on loopback."""

import random
import re
import signal
import socket as standard
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import pytest
from hub import LoopExit, get_hub
from name_server import DEAF, REFUSED, SERVFAIL, SILENT, TRUNCATED, NameServer
from places import SCRIPTS
from processes import in_child
from waiting import in_thread, until

from greenio import Timeout, config, joinall, sleep, spawn
from greenio import socket as cooperative
from greenio.event import Event
from greenio.resolver.ares import make_channel
from greenio.resolver.hosts import Found, Hosts, _kind, in_order
from greenio.resolver.names import merged, name_servers
from greenio.socket import getaddrinfo, gethostbyaddr, gethostbyname, gethostbyname_ex, getnameinfo, wait_read

# pycares starts a thread when its first channel is made, which stays.
make_channel().close()

INET, INET6, STREAM = standard.AF_INET, standard.AF_INET6, standard.SOCK_STREAM

ZONE = {
    "answer.test": {"A": ["192.0.2.1"]},
    "both.test": {"A": ["127.0.0.2", "127.0.0.3"], "AAAA": ["::1"]},
    "six.test": {"AAAA": ["::1"]},
    "alias.test": {"CNAME": ["middle.test"]},
    "middle.test": {"CNAME": ["both.test"]},
    "empty.test": {},
    "servfail.test": SERVFAIL,
    "refused.test": REFUSED,
    "half.test": {"A": ["192.0.2.7"], "AAAA": SERVFAIL},
    "silent.test": SILENT,
    "deaf.test": DEAF,
    "big.test": {TRUNCATED: True, "A": [f"192.0.2.{number}" for number in range(60)]},
    "xn--bcher-kva.test": {"A": ["192.0.2.5"]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["answer.test", "another.test"]},
    "2.2.0.192.in-addr.arpa": {},
    "3.2.0.192.in-addr.arpa": SERVFAIL,
    "5.2.0.192.in-addr.arpa": {"CNAME": ["5.part.test"]},
    "5.part.test": {"PTR": ["five.test"]},
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": {"PTR": ["six.test"]},
}


@contextmanager
def settings(**values):
    before = {name: getattr(config, name) for name in values}
    for name, value in values.items():
        config.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            config.set(name, value)


@contextmanager
def resolving(which, zone, **values):
    """Run a name server, and have the resolver of the current hub ask it. Yields the server."""
    hub = get_hub()
    before = hub.__dict__.get("_resolver")
    with NameServer(zone) as server:
        with settings(resolver=which, resolver_nameservers=server.address, **values):
            hub.resolver = None
            try:
                yield server
            finally:
                hub.resolver.close()
                hub.resolver = before


@pytest.fixture(params=["ares", "dnspython"])
def which(request):
    return request.param


@pytest.fixture
def server(which):
    with resolving(which, dict(ZONE)) as made:
        yield made


def error_of(function, *args):
    with pytest.raises(OSError) as caught:
        function(*args)
    return type(caught.value), caught.value.args


NONAME = standard.gaierror, (standard.EAI_NONAME, "Name or service not known")
NODATA = standard.gaierror, (standard.EAI_NODATA, "No address associated with hostname")
AGAIN = standard.gaierror, (standard.EAI_AGAIN, "Temporary failure in name resolution")


def test_addresses_of_both_families_are_found(server):
    assert getaddrinfo("both.test", 80, type=STREAM) == [
        (INET6, STREAM, 6, "", ("::1", 80, 0, 0)),
        (INET, STREAM, 6, "", ("127.0.0.2", 80)),
        (INET, STREAM, 6, "", ("127.0.0.3", 80)),
    ]
    assert getaddrinfo("answer.test", "http") == standard.getaddrinfo("192.0.2.1", "http")
    assert getaddrinfo(b"answer.test", None) == standard.getaddrinfo("192.0.2.1", None)
    assert getaddrinfo("bücher.test", 80) == standard.getaddrinfo("192.0.2.5", 80)
    assert gethostbyname("both.test") == "127.0.0.2"
    assert gethostbyname("ANSWER.test.") == "192.0.2.1"
    assert gethostbyname_ex("both.test") == ("both.test", [], ["127.0.0.2", "127.0.0.3"])


def test_a_family_that_is_asked_for_is_the_only_one(server):
    assert getaddrinfo("both.test", 80, INET6, STREAM) == [(INET6, STREAM, 6, "", ("::1", 80, 0, 0))]
    assert getaddrinfo("six.test", 80, type=STREAM) == [(INET6, STREAM, 6, "", ("::1", 80, 0, 0))]
    assert error_of(getaddrinfo, "answer.test", 80, INET6) == NODATA
    mapped = [(INET6, STREAM, 6, "", ("::ffff:192.0.2.1", 80, 0, 0))]
    assert getaddrinfo("answer.test", 80, INET6, STREAM, 0, standard.AI_V4MAPPED) == mapped
    both = getaddrinfo("both.test", 80, INET6, STREAM, 0, standard.AI_V4MAPPED | standard.AI_ALL)
    assert sorted(found[4][0] for found in both) == ["::1", "::ffff:127.0.0.2", "::ffff:127.0.0.3"]
    assert len(getaddrinfo("both.test", 80, INET6, STREAM, 0, standard.AI_V4MAPPED)) == 1


def test_one_family_that_fails_does_not_hide_the_other(server):
    assert getaddrinfo("half.test", 80, type=STREAM) == [(INET, STREAM, 6, "", ("192.0.2.7", 80))]
    assert error_of(getaddrinfo, "half.test", 80, INET6) == AGAIN


def test_hosts_of_several_search_domains_are_not_mixed():
    four, six = Found("host.one.test", [], ["127.0.0.1"]), Found("Host.one.test", [], ["::1"])
    other = Found("other.test", ["host.two.test"], ["::1"])
    assert merged([(four, None), (six, None)]) == (Found("host.one.test", [], ["::1", "127.0.0.1"]), None)
    assert merged([(four, None), (other, None)]) == (four, None)
    assert merged([(None, standard.EAI_NONAME), (other, None)]) == (other, None)
    assert merged([(None, standard.EAI_NODATA), (None, standard.EAI_AGAIN)]) == (None, standard.EAI_AGAIN)


def test_aliases_lead_to_the_canonical_name(server):
    found = getaddrinfo("alias.test", 80, 0, STREAM, 0, standard.AI_CANONNAME)
    assert [each[3] for each in found] == ["both.test", "", ""]
    assert gethostbyname_ex("alias.test") == ("both.test", ["alias.test", "middle.test"], ["127.0.0.2", "127.0.0.3"])
    assert getaddrinfo("answer.test", 80, 0, STREAM, 0, standard.AI_CANONNAME)[0][3] == "answer.test"


def test_names_that_do_not_exist_raise_the_standard_errors(server):
    assert error_of(getaddrinfo, "nothing.test", 80) == NONAME
    assert error_of(gethostbyname, "nothing.test") == NONAME
    assert error_of(gethostbyname_ex, "nothing.test") == NONAME
    assert error_of(gethostbyaddr, "nothing.test") == NONAME
    assert error_of(gethostbyname, b"no..name") == NONAME
    assert error_of(gethostbyname, b"x" * 70) == NONAME
    assert error_of(getaddrinfo, "empty.test", 80) == NODATA
    assert error_of(gethostbyname, "six.test") == NODATA
    for name in ("servfail.test", "refused.test"):
        assert error_of(getaddrinfo, name, 80) == AGAIN


def test_names_of_addresses_are_found(server):
    assert gethostbyaddr("192.0.2.1") == ("answer.test", [], ["192.0.2.1"])
    assert gethostbyaddr("answer.test") == ("answer.test", [], ["192.0.2.1"])
    assert gethostbyaddr("192.0.2.5") == ("five.test", [], ["192.0.2.5"])
    assert gethostbyaddr("2001:db8::1") == ("six.test", [], ["2001:db8::1"])
    assert error_of(gethostbyaddr, "192.0.2.2") == (standard.herror, (4, "No address associated with name"))
    assert error_of(gethostbyaddr, "192.0.2.3") == (standard.herror, (2, "Host name lookup failure"))
    assert error_of(gethostbyaddr, "192.0.2.4") == (standard.herror, (1, "Unknown host"))
    assert cooperative.getfqdn("answer.test") == "answer.test"


def test_getnameinfo_finds_names_and_services(server):
    assert getnameinfo(("192.0.2.1", 80), 0) == ("answer.test", "http")
    assert getnameinfo(("2001:db8::1", 80, 0, 0), standard.NI_NUMERICSERV) == ("six.test", "80")
    assert getnameinfo(("192.0.2.4", 80), 0) == ("192.0.2.4", "http")
    assert error_of(getnameinfo, ("192.0.2.4", 80), standard.NI_NAMEREQD) == NONAME
    assert error_of(getnameinfo, ("192.0.2.3", 80), 0) == AGAIN
    server.asked.clear()
    assert getnameinfo(("192.0.2.1", 80), standard.NI_NUMERICHOST) == ("192.0.2.1", "http")
    for address, flags in [((), 0), ("x", 0), (("192.0.2.1",), 0), (("192.0.2.1", 80), None), (("name.test", 80), 0)]:
        results = []
        for function in (getnameinfo, standard.getnameinfo):
            with pytest.raises((TypeError, OSError)) as caught:
                function(address, flags)
            results.append((caught.type, caught.value.args))
        assert results[0] == results[1]
    assert server.asked == []


def test_bad_arguments_are_refused_without_a_question(server):
    for arguments in [
        (5, 80), (None, None), ("both.test", 1.5), ("both.test", "nonsense"), ("both.test", 80, 999), ("nul\0byte", 80),
        ("both.test", 80, 0, 99), ("both.test", 80, 0, 0, 99), ("both.test", 80, 0, 0, 0, 1 << 20), ("", 80),
        ("both.test", 80, 0, 0, 0, 1.5), ("both.test", 80, 0, 0, 0, standard.AI_NUMERICHOST), ("x" * 70 + ".test", 80),
        ("both.test", 2**70), ("both.test",),
    ]:  # fmt: skip
        results = []
        for function in (getaddrinfo, standard.getaddrinfo):
            with pytest.raises((TypeError, ValueError, OSError, OverflowError)) as caught:
                function(*arguments)
            results.append((caught.type, None if len(arguments) == 1 else caught.value.args))
        assert results[0] == results[1], arguments
    assert server.asked == []


def test_a_truncated_answer_is_asked_for_again_over_tcp(server):
    assert len(gethostbyname_ex("big.test")[2]) == 60
    assert [how for *_, how in server.asked] == ["udp", "tcp"]


def test_a_question_that_was_lost_is_asked_again(which):
    with resolving(which, ZONE, resolver_timeout=2) as server:
        assert gethostbyname("deaf.test") == "192.0.2.1"
        # On a busy machine, an answer may come so late that the question is asked again.
        assert set(server.asked) == {("deaf.test", "A", "udp")} and len(server.asked) >= 2


def test_an_answer_that_does_not_come_in_time_is_an_error(which):
    with resolving(which, ZONE, resolver_timeout=0.05):
        for ask in (gethostbyname, gethostbyname_ex, gethostbyaddr, lambda name: getaddrinfo(name, 80)):
            assert error_of(ask, "silent.test") == AGAIN
        assert get_hub().loop.statistics()["handles"] == 0

        def answer():
            with suppress(standard.gaierror):  # on a busy machine, the answer may come too late
                return gethostbyname("answer.test")

        assert until(answer) == "192.0.2.1"


def test_a_slow_answer_does_not_delay_other_lookups(server):
    server.zone["slow.test"] = event = Event()
    slow = spawn(gethostbyname, "slow.test")
    while not server.asked:
        sleep(0)
    jobs = [spawn(gethostbyname, name) for name in ("answer.test", "both.test", "big.test") * 20]
    assert {job.get() for job in jobs} == {"192.0.2.1", "127.0.0.2", "192.0.2.0"}
    assert not slow.ready()
    event.set()
    assert slow.get() == "192.0.2.1"


def test_the_same_name_is_asked_for_once(server):
    server.zone["slow.test"] = event = Event()
    jobs = [spawn(gethostbyname, "slow.test") for _ in range(20)]
    while not server.asked:
        sleep(0)
    jobs[0].kill()
    event.set()
    joinall(jobs[1:], raise_error=True)
    assert server.asked == [("slow.test", "A", "udp")]


def test_killed_lookups_leave_nothing(server):
    jobs = [
        spawn(gethostbyname, "silent.test"),
        spawn(getaddrinfo, "silent.test", 80),
        spawn(getnameinfo, ("::2", 1), 0),
    ]
    while len(server.asked) < 3:
        sleep(0)
    for job in jobs:
        job.kill()
    sleep(0)
    assert get_hub().loop.statistics()["handles"] == 0 and get_hub().resolver._under_way == {}
    assert gethostbyname("answer.test") == "192.0.2.1"


def test_a_lookup_that_was_given_up_leaves_nothing_after_the_next(server):
    server.zone["slow.test"] = event = Event()
    given_up, waiting = spawn(gethostbyname, "silent.test"), spawn(gethostbyname, "slow.test")
    while len(server.asked) < 2:
        sleep(0)
    given_up.kill()
    event.set()
    assert waiting.get() == "192.0.2.1"
    sleep(0)
    assert get_hub().loop.statistics()["handles"] == 0 and get_hub().resolver._under_way == {}


def test_many_random_lookups_leave_nothing(which):
    """Lookups of all kinds leave nothing behind, though many are killed or time out at random."""
    chance = random.Random(7)
    asks = [gethostbyname, gethostbyname_ex, lambda name: getaddrinfo(name, 80), lambda _: gethostbyaddr("192.0.2.1")]

    def ask(name, how, seconds):
        try:
            with Timeout(seconds, False):
                how(name)
        except OSError as error:
            return type(error)

    with resolving(which, ZONE, resolver_timeout=0.2) as server:
        jobs = []
        for _ in range(400):
            seconds = chance.choice([None, chance.random() / 100])
            jobs.append(spawn(ask, chance.choice([*ZONE, "nothing.test"]), chance.choice(asks), seconds))
            if chance.random() < 0.3:
                sleep(0)
            if chance.random() < 0.2:
                chance.choice(jobs).kill(block=chance.random() < 0.5)
        joinall(jobs)
        assert {type(job.exception) for job in jobs} == {type(None)} and server.asked
        hub = get_hub()
        until(lambda: hub.loop.statistics()["handles"] == 0)
        assert hub.resolver._under_way == {}


def test_closing_a_resolver_ends_its_lookups(server):
    job = spawn(gethostbyname, "silent.test")
    while not server.asked:
        sleep(0)
    get_hub().resolver.close()
    assert error_of(job.get) == AGAIN
    assert gethostbyname("answer.test") == "192.0.2.1"  # a closed resolver can be used again


def test_a_forked_child_asks_by_itself(server, which):
    server.zone["slow.test"] = event = Event()
    job = spawn(gethostbyname, "slow.test")
    while not server.asked:
        sleep(0)

    def ask():
        with NameServer({"slow.test": {"A": ["192.0.2.99"]}}) as own:
            config.resolver_nameservers = own.address
            return gethostbyname("slow.test")

    assert in_child(ask) == "'192.0.2.99'"
    event.set()
    assert job.get() == "192.0.2.1"


def test_names_are_asked_for_in_other_threads(which):
    def look_up():
        with resolving(which, ZONE):
            return gethostbyname("answer.test")

    assert in_thread(look_up) == "192.0.2.1"


def test_destroying_a_hub_ends_its_lookups(which):
    silent = standard.socket(type=standard.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))

    def look_up_and_destroy():
        job = spawn(gethostbyname, "silent.test")
        wait_read(silent.fileno())
        get_hub().destroy()
        return job.dead, silent.recv(512) != b""

    with silent, settings(resolver=which, resolver_nameservers=f"127.0.0.1:{silent.getsockname()[1]}"):
        assert in_thread(look_up_and_destroy) == (True, True)


def test_an_idle_resolver_does_not_hide_a_loop_exit(server):
    gethostbyname("answer.test")
    server.__exit__()
    with pytest.raises(LoopExit):
        Event().wait()


def test_no_thread_of_pycares_takes_signals():
    threads = [thread.native_id for thread in threading.enumerate() if "shutdown_loop" in thread.name]
    assert threads
    for thread in threads:
        with open(f"/proc/self/task/{thread}/status") as status:
            blocked = next(int(line.split()[1], 16) for line in status if line.startswith("SigBlk"))
        assert blocked & 1 << signal.SIGTERM - 1


def test_a_name_server_that_refuses_is_an_error(which):
    with standard.socket(type=standard.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with resolving(which, ZONE, resolver_timeout=0.5):
        config.resolver_nameservers = [f"127.0.0.1:{port}"]
        get_hub().resolver = None
        assert error_of(gethostbyname, "answer.test") == AGAIN


# --- /etc/hosts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def hosts(server, tmp_path):
    path = tmp_path / "hosts"
    path.write_text(
        "# comment\n127.0.0.1 localhost\n::1 localhost loopback6\n\n10.1.1.1 Two alias1 # comment\n"
        "10.1.1.2\ttwo\talias2\nnonsense two\n10.1.1.3 alias1 two\nfe80::1%lo scoped\n192.0.2.200\n"
    )
    get_hub().resolver.hosts = Hosts(path)
    return path


def test_the_hosts_file_comes_first(server, hosts):
    assert gethostbyname("TWO") == "10.1.1.1"
    assert gethostbyname_ex("two") == (
        "Two", ["alias1", "alias2", "two", "two", "alias1"], ["10.1.1.1", "10.1.1.2", "10.1.1.3"],
    )  # fmt: skip
    assert gethostbyaddr("alias2") == ("two", ["alias2"], ["10.1.1.2"])
    assert getnameinfo(("10.1.1.2", 80), 0) == ("two", "http")
    assert getaddrinfo("localhost", 80, type=STREAM) == [
        (INET6, STREAM, 6, "", ("::1", 80, 0, 0)), (INET, STREAM, 6, "", ("127.0.0.1", 80)),
    ]  # fmt: skip
    assert gethostbyname("loopback6") == "127.0.0.1"
    assert getaddrinfo("two", 80, 0, STREAM, 0, standard.AI_CANONNAME)[0][3] == "Two"
    assert server.asked == []
    assert error_of(gethostbyname, "scoped") == NONAME and server.asked


def test_the_hosts_file_is_read_again_when_it_changes(hosts):
    assert gethostbyname("two") == "10.1.1.1"
    hosts.write_text("10.9.9.9 two and more\n")
    assert gethostbyname("two") == "10.9.9.9"
    hosts.unlink()
    assert error_of(gethostbyname, "two") == NONAME


def test_addresses_without_a_route_come_last():
    assert in_order(["127.0.0.1", "::1"]) == ["::1", "127.0.0.1"]
    assert in_order(["fe80::1", "127.0.0.1"]) == ["127.0.0.1", "fe80::1"]  # the first names no link
    assert in_order(["192.0.2.1"]) == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("192.0.2.1", "IPv4"), ("::1", "loopback"), ("::", "IPv6"), ("2001:db8::1", "IPv6"), ("2001::1", "Teredo"),
        ("2001:0:1::1", "Teredo"), ("2002:c000:201::", "6to4"), ("fd00::2", "unique local"), ("fc::1", "IPv6"),
        ("fec0::1", "site local"), ("fe80::1", "IPv6"),
    ],
)  # fmt: skip
def test_kinds_of_addresses_are_those_of_rfc_6724(address, kind):
    assert _kind(address) == kind


def test_everything_is_found_as_the_system_finds_it():
    script = SCRIPTS / "names_as_the_system_finds_them.py"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs `unshare --mount`, which this user may not call")
    result = subprocess.run(
        ["unshare", "--mount", sys.executable, script], capture_output=True, text=True, timeout=100, check=False
    )
    assert re.fullmatch(r"\d{3} calls\n", result.stdout) and not result.stderr, result.stdout + result.stderr


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), ("", None), ("192.0.2.1", [("192.0.2.1", None)]),
        ("192.0.2.1:53,::1", [("192.0.2.1", 53), ("::1", None)]),
        (["[2001:db8::1]:5353", "[::1]"], [("2001:db8::1", 5353), ("::1", None)]),
    ],
)  # fmt: skip
def test_name_servers_are_read_from_the_setting(value, expected):
    with settings(resolver_nameservers=value):
        assert name_servers() == expected


@pytest.mark.parametrize("value", ["name.test", "192.0.2.1:x", "[::1", "1.2.3"])
def test_what_is_no_address_of_a_name_server_is_refused(value, which):
    with settings(resolver=which, resolver_nameservers=value):
        get_hub().resolver = None
        with pytest.raises(ValueError, match="resolver_nameservers: .* is not the address of a name server"):
            gethostbyname("answer.test")
    get_hub().resolver = None


@pytest.mark.parametrize(("package", "which"), [("pycares", "ares"), ("dns", "dnspython")])
def test_a_missing_package_is_named(monkeypatch, package, which):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"greenio.resolver.{which}", raising=False)
    with settings(resolver=which):
        get_hub().resolver = None
        with pytest.raises(ImportError, match=rf"pip install 'greenio\[{which}\]'"):
            getaddrinfo("localhost", 80)
    get_hub().resolver = None


def test_a_lookup_fails_when_the_greenlet_that_asks_is_killed():
    with resolving("dnspython", ZONE) as server:
        job = spawn(gethostbyname, "silent.test")
        while not server.asked:
            sleep(0)
        (asking,) = get_hub().resolver._greenlets.values()
        asking.kill()
        assert error_of(job.get) == AGAIN


def test_nothing_is_replaced_in_dnspython():
    import dns.query

    with resolving("dnspython", ZONE):
        gethostbyname("answer.test")
    assert dns.query.socket_factory is dns.query.default_socket_factory
    assert dns.query.selectors.__name__ == "selectors"
