"""What the pytest plugin does when tests ask for it: limits, and a look at what each test leaves behind.

Hooks of pytest see every kind of test, be it a function, a method of a unittest.TestCase or a plugin's coroutine.

A phase that is too long is ended from within: the wrappers of its hook stand as close around it as they can, so that
pytest's own code around them is not interrupted. The look at what is left is the last that happens to a test.

What does not belong here: options and fixtures, which are there wherever greenio is installed: see `pytest_greenio`.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager

import pytest
from hub.arguments import seconds_of

from greenio._testing.leftovers import Look, check_kinds, leftovers, remember_starts
from greenio._testing.limits import TimeLimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    Wrapper = Generator[None, Any, Any]

__all__ = ["Leftovers", "Limits", "start"]


def start(config: pytest.Config, timeout: Any, leaks: bool) -> None:
    """Limit tests to `timeout` seconds (float or str; None: only where marked), and look after them if `leaks`."""
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
        # pytest's own option takes the one timer that faulthandler has.
        self._guard = not float(config.getini("faulthandler_timeout") or 0)
        self._error = os.dup(2)  # pytest does not capture what goes there
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
        """Somebody looks at the test: that may take any time."""
        if self._limit is not None:
            self._limit.cancel()


def _without_pytest(stacks):
    """The stacks without the frames of pytest itself."""
    kept: list[str] = []
    indent = None  # of a frame that is left out, whose source line is to follow
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
    """Whether a debugger is at work that pytest does not know of."""
    trace = sys.gettrace()
    return trace is not None and any(name in repr(trace) for name in ("pydevd", "bdb", "debugpy"))


class Leftovers:
    """The hooks that look at what a test leaves behind."""

    def __init__(self) -> None:
        remember_starts(True)
        self._before: Look | None = None  # what there was before the test that runs
        self._failed = False

    def pytest_unconfigure(self) -> None:
        """The tests are over."""
        remember_starts(False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Wrapper:
        """See what there is before the test."""
        self._failed = False
        self._before = Look()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Wrapper:
        """What is made for several tests is not one test's to end."""
        if fixturedef.scope == "function" or self._before is None:
            return (yield)
        before = Look()
        try:
            return (yield)
        finally:
            self._before.add_since(before)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Wrapper:
        """Note whether the test fails."""
        report = yield
        self._failed = self._failed or report.failed
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Wrapper:
        """See what there is after the test and its teardown."""
        result = yield
        before, self._before = self._before, None
        kinds = check_kinds(())
        for marker in item.iter_markers("greenio_leaves"):
            kinds -= check_kinds(marker.args)
        text = leftovers(before, kinds) if before is not None and kinds else ""
        if text and self._failed:
            # It may not have come to its end: what it left is news, but no fault of its own.
            item.add_report_section("teardown", "left behind", text)
        elif text:
            # pytest's summary has the first line.
            headings = [line.partition(":")[0].partition(",")[0] for line in text.splitlines() if line[:1] != " "]
            pytest.fail(f"left behind: {', '.join(headings)}\n{text}", pytrace=False)
        return result
