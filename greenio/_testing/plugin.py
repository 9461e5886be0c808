"""The hooks of the pytest plugin: time limits for tests, and a check that each test leaves nothing behind.

Hooks see every kind of test: functions, methods of a unittest.TestCase, coroutines of other plugins.

The wrappers that limit a phase are the innermost ones, so that the limit interrupts the test, and not pytest's code
around it. The check for leftovers is the outermost one, so that it comes after everything else.

What does not belong here: options and fixtures, which exist wherever greenio is installed: see `pytest_greenio`.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager

import pytest
from hub.arguments import seconds_of

from greenio._testing.leftovers import Snapshot, check_kinds, leftovers, remember_starts
from greenio._testing.limits import TimeLimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    Wrapper = Generator[None, Any, Any]

__all__ = ["Leftovers", "Limits", "start"]


def start(config: pytest.Config, timeout: Any, leaks: bool) -> None:
    """Register the hooks. Called if an option asks for them.

    `timeout`: the limit for each phase of a test in seconds (float or str); None: only for marked tests. `leaks`:
    whether to check for leftovers.
    """
    config.pluginmanager.register(Limits(config, _limit(timeout, "greenio_timeout")), "greenio-limits")
    if leaks:
        config.pluginmanager.register(Leftovers(), "greenio-leftovers")


def _limit(value, where):
    try:
        seconds = seconds_of(float(value or 0))
    except (TypeError, ValueError):
        raise pytest.UsageError(f"{where} is a number of seconds, not {value!r}") from None
    return seconds if seconds > 0 else None


class Limits:
    """The hooks that limit the phases of tests."""

    def __init__(self, config: pytest.Config, seconds: float | None) -> None:
        self._seconds = seconds
        self._debugging = bool(config.getoption("usepdb", False) or config.getoption("trace", False))
        # faulthandler has only one timer, which pytest's own option takes.
        self._guard = not float(config.getini("faulthandler_timeout") or 0)
        self._error = os.dup(2)  # pytest does not capture this descriptor
        self._limit: TimeLimit | None = None
        config.add_cleanup(self._close)

    def _close(self):
        os.close(self._error)

    def _seconds_of(self, item):
        marker = item.get_closest_marker("greenio_timeout")
        if marker is None:
            return self._seconds
        if len(marker.args) != 1 or marker.kwargs:
            raise pytest.UsageError(f"{item.nodeid}: greenio_timeout takes a number of seconds, and nothing else")
        return _limit(marker.args[0], f"{item.nodeid}: greenio_timeout")

    @contextmanager
    def _limited(self, item, phase):
        __tracebackhide__ = True
        seconds = self._seconds_of(item)
        if seconds is None or self._debugging or _is_traced():
            yield
            return
        limit = TimeLimit(
            seconds,
            f"{phase} of {item.nodeid}",
            error=self._error,
            on_expired=lambda stacks: item.add_report_section(phase, "greenlets and threads", _without_pytest(stacks)),
            guard=self._guard,
        )
        try:
            with limit:
                self._limit = limit
                yield
        finally:
            self._limit = None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Wrapper:
        """Limit the phase."""
        __tracebackhide__ = True
        with self._limited(item, "setup"):
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Wrapper:
        """Limit the phase."""
        __tracebackhide__ = True
        with self._limited(item, "call"):
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Wrapper:
        """Limit the phase."""
        __tracebackhide__ = True
        with self._limited(item, "teardown"):
            return (yield)

    def pytest_enter_pdb(self) -> None:
        """Remove the limit while a person debugs the test."""
        if self._limit is not None:
            self._limit.cancel()


def _without_pytest(stacks):
    """Return the stacks without the frames of pytest itself."""
    kept: list[str] = []
    indent = None  # the indent of a frame that was left out, whose source line follows
    for line in stacks.splitlines():
        place = line.find('File "')
        if place >= 0:
            indent = place if _PYTESTS.search(line) else None
        elif indent is not None and line[:indent].strip(" |") == "" and line[indent : indent + 2] == "  ":
            continue
        else:
            indent = None
        if indent is None:
            kept.append(line)
    return "\n".join(kept)


_PYTESTS = re.compile(r'File "(?:[^"]*/(?:_pytest|pytest|pluggy)/[^"]*|<frozen runpy>)"')


def _is_traced():
    """Whether a debugger that pytest does not know of traces the test."""
    trace = sys.gettrace()
    return trace is not None and any(name in repr(trace) for name in ("pydevd", "bdb", "debugpy"))


class Leftovers:
    """The hooks that check what a test leaves behind."""

    def __init__(self) -> None:
        remember_starts(True)
        self._before: Snapshot | None = None  # taken before the test that runs
        self._failed = False

    def pytest_unconfigure(self) -> None:
        """Stop noting where threads are started."""
        remember_starts(False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Wrapper:
        """Take a snapshot before the test."""
        self._failed = False
        self._before = Snapshot()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Wrapper:
        """Add things that a fixture makes for several tests to the snapshot: no single test has to end them."""
        if fixturedef.scope == "function" or self._before is None:
            return (yield)
        before = Snapshot()
        try:
            return (yield)
        finally:
            self._before.add_since(before)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Wrapper:
        """Note whether the test has failed."""
        report = yield
        self._failed = self._failed or report.failed
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Wrapper:
        """Compare with the snapshot after the test and its teardown."""
        result = yield
        before, self._before = self._before, None
        kinds = check_kinds(())
        for marker in item.iter_markers("greenio_leaves"):
            kinds -= check_kinds(marker.args)
        text = leftovers(before, kinds) if before is not None and kinds else ""
        if text and self._failed:
            # A test that has failed may not have reached its cleanup. So its leftovers are shown, and are no failure.
            item.add_report_section("teardown", "left behind", text)
        elif text:
            # pytest's summary has the first line.
            headings = [line.partition(":")[0].partition(",")[0] for line in text.splitlines() if line[:1] != " "]
            pytest.fail(f"left behind: {', '.join(headings)}\n{text}", pytrace=False)
        return result
