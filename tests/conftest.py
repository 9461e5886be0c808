"""What several tests use, and the flags of the long-running ones. greenio's plugin looks at what they leave behind."""

# ruff: noqa: E402  (it says first which greenio is tested)

import io
import os
import signal
import sys

import pytest
from places import CERTIFICATE, KEY, SCRIPTS, take_compiled_packages

take_compiled_packages()

pytest_plugins = ["pytest_greenio"]  # loaded after that: without any greenio there is none

from hub import get_hub, get_hub_if_exists
from hub.current import count_idle_thread
from processes import run_python
from waiting import until

# A shell starts what it runs in the background with SIGINT ignored, and processes that are started from there inherit
# it: a script under test would be deaf to the Ctrl-C it is sent. A handler is not inherited.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# With `-n`, each process has a thread of pytest-xdist's, which hears of the next test to run. It wakes no greenlet:
# where nothing else could, the test is to be told so. Nor does it take signals: it blocks those that were blocked when
# it began.
SIGNALS = {signal.SIGUSR1, signal.SIGUSR2}
if "PYTEST_XDIST_WORKER" in os.environ:
    count_idle_thread(1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def pytest_configure(config):
    if config.getoption("numprocesses", None):
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # before those processes are started


def pytest_addoption(parser):
    parser.addoption("--races", type=int, default=1_000_000, help="how many random races test_races.py runs")
    parser.addoption("--races-seed", type=int, default=None, help="the seed of test_races.py (default: a fixed one)")


@pytest.fixture(autouse=True)
def calls_give_way_only_where_a_test_says_so():
    """Whether a call lets others run before it looks is up to how long they could not: on a busy machine, to chance.

    A greenlet of the main thread that was spawned before a sleep(0) is therefore in its first wait after it. What
    the interval is for has tests that set it (`set_switch_interval`), and is as it is in every script.
    """
    hub = get_hub()
    hub.setswitchinterval(1000)
    yield
    hub.setswitchinterval(sys.getswitchinterval())


@pytest.fixture(autouse=True)
def errors_go_where_they_went():
    """The plugin looks for everything else that a test may leave behind."""
    yield
    hub = get_hub_if_exists()
    assert hub is None or "_exception_stream" not in vars(hub), f"errors still go to {hub.exception_stream}"


@pytest.fixture
def run_script():
    """Run a file of tests/scripts in a fresh process; return what it printed.

    Fails unless it exits with `status`, within `timeout` seconds, and unless `stderr` (a string) is in its
    standard error, which must be empty when `stderr` is None.
    """

    def run(name, *args, status=0, stderr=None, timeout=60, env=None):
        return run_python([SCRIPTS / name, *args], SCRIPTS, status, stderr, timeout, env)

    return run


@pytest.fixture
def pair():
    """Two connected cooperative sockets."""
    from greenio.socket import socketpair

    first, second = socketpair()
    yield first, second
    first.close()
    second.close()


@pytest.fixture
def tcp():
    """Two connected cooperative TCP sockets, the client's first."""
    from greenio import spawn
    from greenio.socket import create_connection, create_server

    with create_server(("127.0.0.1", 0)) as listener:
        accepting = spawn(listener.accept)
        client = create_connection(listener.getsockname())
        server, _ = accepting.get()
    yield client, server
    client.close()
    server.close()


@pytest.fixture
def pipe():
    """The two ends of a pipe, as descriptors."""
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


@pytest.fixture
def errors():
    """What is told of errors that nobody caught: a stream."""
    hub = get_hub()
    hub.exception_stream = io.StringIO()
    yield hub.exception_stream
    hub._repeats.tell_rest()
    del hub._exception_stream


@pytest.fixture
def quiet():
    """Errors that nobody caught are not told: the test looks at them, or they are not what it is about."""
    hub = get_hub()
    hub.exception_stream = None
    yield
    del hub._exception_stream


@pytest.fixture
def set_switch_interval():
    """setswitchinterval() of the hub, for the time of the test."""
    return get_hub().setswitchinterval


@pytest.fixture
def ticks():
    """A list that grows while other greenlets may run."""
    from greenio import sleep, spawn

    counted = []
    ticking = spawn(lambda: [(counted.append(1), sleep(0.001)) for _ in range(100_000)])
    yield counted
    ticking.kill()


@pytest.fixture
def until_ticks(ticks, tmp_path):
    """Text for a shell, which ends when others have been running here: nobody finds it ended without having waited."""
    from greenio import spawn

    path = tmp_path / "others-ran"
    telling = spawn(lambda: (until(lambda: len(ticks) >= 3), path.touch()))
    yield f"while ! [ -e {path} ]; do sleep 0.01; done"
    telling.kill()


@pytest.fixture
def threadpool():
    """A thread pool for the hub, whose threads end with the test."""
    from greenio.threadpool import ThreadPool

    hub = get_hub_if_exists()
    before, hub.threadpool = hub.__dict__.get("_threadpool"), ThreadPool(10)
    yield hub.threadpool
    hub.threadpool.kill()
    until(lambda: not hub.threadpool._threads)
    hub.threadpool = before


@pytest.fixture
def server_context():
    """A context of greenio.ssl for servers, with the certificate of the tests."""
    from greenio import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


@pytest.fixture
def client_context():
    """A context of greenio.ssl for clients, which trusts that certificate."""
    from greenio import ssl

    return ssl.create_default_context(cafile=CERTIFICATE)
