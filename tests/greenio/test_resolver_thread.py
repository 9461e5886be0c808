"""The default resolver's threads: lookups that hang, are shared or given up, forks, and the hub's end."""

import _socket
import socket as standard
import threading
from contextlib import contextmanager

import pytest
from processes import in_child
from waiting import until

from greenio import Timeout, config, get_hub, joinall, sleep, spawn
from greenio.event import Event
from greenio.resolver import thread as module
from greenio.resolver.thread import Resolver
from greenio.socket import getaddrinfo, gethostbyaddr, gethostbyname, gethostbyname_ex, getnameinfo

FOUND = [(standard.AF_INET, standard.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]


class System:
    """In place of the system's functions. Names that begin with "hanging" are answered when `released` is set."""

    def __init__(self):
        self.released = threading.Event()
        self.asked = []

    def getaddrinfo(self, host, port, *options):
        self.asked.append(host)
        if host.startswith("hanging"):
            self.released.wait()
        if host.startswith("bad"):
            raise standard.gaierror(standard.EAI_NONAME, "Name or service not known")
        return list(FOUND)

    def __getattr__(self, name):
        return getattr(_socket, name)

    @contextmanager
    def installed(self, monkeypatch):
        monkeypatch.setattr(module, "_socket", self)
        hub = get_hub()
        before, hub.resolver = hub.__dict__.get("_resolver"), Resolver(hub)
        try:
            yield self
        finally:
            self.released.set()
            pool = hub.resolver._pool
            pool.join()
            hub.resolver.close()
            hub.resolver = before


@pytest.fixture
def system(monkeypatch):
    with System().installed(monkeypatch) as installed:
        yield installed


@pytest.fixture
def timeout():
    yield lambda seconds: config.set("resolver_timeout", seconds)
    config.resolver_timeout = None


def started(job, system, count=1):
    """Wait until so many lookups have begun in threads; return `job`."""
    until(lambda: len(system.asked) >= count)
    return job


def test_a_lookup_that_takes_too_long_is_an_error(system, timeout):
    timeout(0.02)
    with pytest.raises(standard.gaierror) as caught:
        getaddrinfo("hanging", 80)
    assert caught.value.args == (standard.EAI_AGAIN, "Temporary failure in name resolution")
    timeout(30)
    assert getaddrinfo("fine", 80) == FOUND


@pytest.mark.parametrize(
    "ask", [gethostbyname, gethostbyname_ex, gethostbyaddr, lambda name: getnameinfo((name, 1), 0)]
)
def test_every_function_has_the_time_limit(system, timeout, ask):
    hang = lambda *_: system.released.wait()  # noqa: E731
    for name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"):
        setattr(system, name, hang)
    timeout(0.01)
    with pytest.raises(standard.gaierror) as caught:
        ask("hanging")
    assert caught.value.errno == standard.EAI_AGAIN


def test_an_outer_timeout_is_raised(system, timeout):
    timeout(30)
    with pytest.raises(Timeout) as caught:
        with Timeout(0.01) as theirs:
            getaddrinfo("hanging", 80)
    assert caught.value is theirs


def test_lookups_that_hang_do_not_delay_others(system):
    hanging = [spawn(getaddrinfo, f"hanging{number}", 80) for number in range(20)]
    started(None, system, 20)
    assert getaddrinfo("fine", 80) == FOUND
    assert get_hub().threadpool.apply(lambda: 5) == 5
    system.released.set()
    assert [job.get() for job in hanging] == [FOUND] * 20


def test_waiting_for_a_thread_counts_as_looking_up(system, timeout):
    get_hub().resolver._pool.maxsize = 1
    hanging = started(spawn(getaddrinfo, "hanging", 80), system)
    timeout(0.01)
    with pytest.raises(standard.gaierror):
        getaddrinfo("fine", 80)
    timeout(None)
    waiting = spawn(getaddrinfo, "fine", 80)
    sleep(0)
    system.released.set()
    assert hanging.get() == waiting.get() == FOUND and system.asked == ["hanging", "fine"]


def test_the_same_name_is_looked_up_once(system):
    jobs = [spawn(getaddrinfo, "hanging", 80) for _ in range(20)]
    other = spawn(getaddrinfo, "hanging", "80")
    started(None, system, 2)
    jobs[0].kill()
    system.released.set()
    joinall(jobs[1:], raise_error=True)
    assert system.asked == ["hanging"] * 2 and other.get() == FOUND
    results = [job.get() for job in jobs[1:]]
    results[0].append("mine")
    assert results[1] == FOUND


def test_each_greenlet_gets_an_error_of_its_own(system):
    errors = []

    def ask():
        try:
            getaddrinfo("bad", 80)
        except standard.gaierror as error:
            errors.append(error)

    joinall([spawn(ask) for _ in range(3)])
    assert len({id(error) for error in errors}) == 3 and {error.errno for error in errors} == {standard.EAI_NONAME}
    assert system.asked == ["bad"]


def test_equal_arguments_of_other_types_are_looked_up_apart(system):
    for argument in (1.0, True, [], bytearray(b"x")):
        with pytest.raises((TypeError, standard.gaierror, AttributeError)):
            get_hub().resolver.getaddrinfo(argument, 80)
    assert system.asked == [1.0, True, [], b"x"]


def test_a_lookup_goes_on_for_others_when_its_waiter_is_killed(system):
    job = started(spawn(getaddrinfo, "hanging", 80), system)
    job.kill()
    again = spawn(getaddrinfo, "hanging", 80)
    sleep(0)
    system.released.set()
    assert again.get() == FOUND and system.asked == ["hanging"]
    sleep(0)
    assert get_hub().resolver._under_way == {}


def test_a_forked_child_looks_up_by_itself(system):
    job = started(spawn(getaddrinfo, "hanging", 80), system)

    def look_up():
        system.released = threading.Event()
        system.released.set()
        return getaddrinfo("hanging", 80) == FOUND

    assert in_child(look_up) == "True"
    system.released.set()
    assert job.get() == FOUND


def test_destroying_a_hub_ends_lookups_in_threads(monkeypatch):
    system, seen = System(), []
    monkeypatch.setattr(module, "_socket", system)

    def run():
        job = started(spawn(getaddrinfo, "hanging", 80), system)
        get_hub().destroy()
        seen.append(job.dead)
        seen.append(getaddrinfo("fine", 80))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    system.released.set()
    assert seen == [True, FOUND]


def test_closing_a_resolver_ends_lookups_in_threads(system):
    job = started(spawn(getaddrinfo, "hanging", 80), system)
    sleep(0)
    get_hub().resolver.close()
    with pytest.raises(standard.gaierror) as caught:
        job.get()
    assert caught.value.errno == standard.EAI_AGAIN


def test_a_finalizer_may_look_names_up(system):
    done = Event()

    class Finalized:
        def __del__(self):
            spawn(lambda: (getaddrinfo("fine", 80), done.set()))

    Finalized()
    assert done.wait(10)
