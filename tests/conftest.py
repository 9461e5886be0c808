"""Fixtures that several files use, and options of the long-running tests.

After each test, greenio's own plugin checks that nothing is left behind (docs/testing.md).
"""

# ruff: noqa: E402  (take_compiled_packages() chooses the greenio that is tested, before anything imports it)

import io
import os
import signal
import sys

import pytest
from places import CERTIFICATE, KEY, SCRIPTS, take_compiled_packages

take_compiled_packages()

pytest_plugins = ["pytest_greenio"]  # a part of the greenio that was chosen

from hub import get_hub, get_hub_if_exists
from hub.current import count_idle_thread
from processes import run_python
from waiting import until

# A shell that starts pytest in the background has SIGINT ignored. Scripts under test would inherit that, and ignore the
# Ctrl-C that a test sends them. They do not inherit a handler.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# With `-n`, pytest-xdist has a thread in each process, which receives the next test to run. That thread wakes no
# greenlet, so it must not count where a test expects LoopExit. It must not take signals either: it blocks those that
# were blocked when it began.
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
def long_switch_interval():
    """Keep calls that need not wait from switching, which they do when others have not run for the switch interval.

    On a busy machine they would switch at random. So a greenlet of the main thread that was spawned before a sleep(0)
    is in its first wait after it. Tests of the interval set it (`set_switch_interval`); scripts have the usual one.
    """
    hub = get_hub()
    hub.setswitchinterval(1000)
    yield
    hub.setswitchinterval(sys.getswitchinterval())


@pytest.fixture(autouse=True)
def exception_stream_is_restored():
    """The plugin checks for everything else that a test may leave behind."""
    yield
    hub = get_hub_if_exists()
    assert hub is None or "_exception_stream" not in vars(hub), f"reports still go to {hub.exception_stream}"


@pytest.fixture
def run_script():
    """A function that runs a file of tests/scripts in a fresh process, and returns its output.

    Fails unless the script exits with `status`, within `timeout` seconds, and unless `stderr` (a string) is in its
    standard error. If `stderr` is None, standard error must be empty.
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
    """The reports of errors that nobody caught: a stream of text."""
    hub = get_hub()
    hub.exception_stream = io.StringIO()
    yield hub.exception_stream
    hub._repeats.tell_rest()
    del hub._exception_stream


@pytest.fixture
def quiet():
    """Errors that nobody caught are not reported."""
    hub = get_hub()
    hub.exception_stream = None
    yield
    del hub._exception_stream


@pytest.fixture
def set_switch_interval():
    """The hub's setswitchinterval(). After the test, the interval is the usual one."""
    return get_hub().setswitchinterval


@pytest.fixture
def ticks():
    """A list that grows while other greenlets can run."""
    from greenio import sleep, spawn

    counted = []
    ticking = spawn(lambda: [(counted.append(1), sleep(0.001)) for _ in range(100_000)])
    yield counted
    ticking.kill()


@pytest.fixture
def until_ticks(ticks, tmp_path):
    """A command for a shell that ends when greenlets of this process have run. A call that finds its end has waited."""
    from greenio import spawn

    path = tmp_path / "others-ran"
    touching = spawn(lambda: (until(lambda: len(ticks) >= 3), path.touch()))
    yield f"while ! [ -e {path} ]; do sleep 0.01; done"
    touching.kill()


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
    """A context of greenio.ssl for clients, which trusts the certificate of the tests."""
    from greenio import ssl

    return ssl.create_default_context(cafile=CERTIFICATE)
