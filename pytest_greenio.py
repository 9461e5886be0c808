"""The pytest plugin of greenio: docs/testing.md says what it is for.

pytest loads this module wherever greenio is installed. So it does nothing, and imports nothing of greenio, unless the
tests ask for it by an option, a marker or a fixture. It stands outside of the package `greenio` for that reason.

What does not belong here: the hooks themselves. See `greenio._testing.plugin`.
"""

import pytest

LEAVES = "greenio_leaves(*kinds): the test may leave things of these kinds behind; of any kind, if none is named"
TIMEOUT = "greenio_timeout(seconds): the limit of this test's phases; None or 0 for no limit"
STARTED = pytest.StashKey[bool]()


def pytest_addoption(parser):
    group = parser.getgroup("greenio")
    group.addoption(
        "--greenio-timeout",
        metavar="SECONDS",
        help="how long each phase of a test (setup, call, teardown) may take before it fails and shows all stacks",
    )
    group.addoption(
        "--greenio-leaks",
        action="store_true",
        default=None,
        help="fail tests that leave greenlets, timeouts, handles, threads or descriptors behind",
    )
    group.addoption(
        "--no-greenio-leaks", action="store_false", dest="greenio_leaks", help="do not check for things left behind"
    )
    parser.addini("greenio_timeout", "as --greenio-timeout")
    parser.addini("greenio_leaks", "as --greenio-leaks (a bool)", type="bool", default=False)


def pytest_configure(config):
    config.addinivalue_line("markers", LEAVES)
    config.addinivalue_line("markers", TIMEOUT)
    timeout, leaks = config.getoption("greenio_timeout"), config.getoption("greenio_leaks")
    timeout = config.getini("greenio_timeout") if timeout is None else timeout
    leaks = config.getini("greenio_leaks") if leaks is None else leaks
    config.stash[STARTED] = False
    if timeout or leaks:
        start(config, timeout, leaks)


def pytest_collection_modifyitems(config, items):
    if not config.stash[STARTED] and any(item.get_closest_marker("greenio_timeout") for item in items):
        start(config, None, False)


def start(config, timeout, leaks):
    """Register the hooks that limit tests and check for things left behind."""
    from greenio._testing import plugin

    config.stash[STARTED] = True
    plugin.start(config, timeout, leaks)


@pytest.fixture
def greenio_clock():
    """A greenio.testing.MockClock that is active during the test: time jumps when every greenlet waits."""
    from greenio.testing import MockClock

    with MockClock() as clock:
        yield clock
