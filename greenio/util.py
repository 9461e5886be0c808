"""All threads and greenlets as text; and sections of code that must, or must not, switch.

Nothing in this module switches, except functions that wrap_errors() calls.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
import traceback

import greenlet
from hub.arguments import seconds_of
from hub.current import get_hub
from hub.generic import E, Generic, T
from hub.hub import Hub
from hub.report import safely
from hub.threads import existing_hubs

from greenio.greenlet import Greenlet
from greenio.local import all_local_dicts_for_greenlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any

    from _typeshed import SupportsWrite
    from greenlet import greenlet as _greenlet
    from typing_extensions import Self

__all__ = ["GreenletTree", "assert_switches", "format_run_info", "no_switch", "print_run_info", "wrap_errors"]

_HEADING = "*" * 80


class wrap_errors(Generic[E, T]):
    """``wrap_errors(errors, func)``: a function that calls `func`, and returns its exceptions instead of raising them.

    `errors`: the class of these exceptions, or a tuple of classes; others are raised. Switches if `func` does.
    """

    def __init__(self, errors: type[E] | tuple[type[E], ...], func: Callable[..., T]) -> None:
        self._errors = errors
        self._func = func

    def __call__(self, *args: Any, **kwargs: Any) -> T | E:
        try:
            return self._func(*args, **kwargs)
        except self._errors as error:
            return error

    def __str__(self) -> str:
        return str(self._func)

    def __repr__(self) -> str:
        return repr(self._func)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._func, name)


# --- what runs --------------------------------------------------------------------------------------------------


def format_run_info(
    thread_stacks: bool = True,
    greenlet_stacks: bool = True,
    limit: int | None = None,
    current_thread_ident: int | None = None,
) -> list[str]:
    """All threads and all greenlets, with their stacks, as text (list of str). Greenlets are shown as trees.

    The current greenlet is "Running"; the others are "Suspended", and those that wait say on what.

    `thread_stacks`, `greenlet_stacks`: whether to show the stacks (bool). `limit`: how many frames of each (int; None
    for all). `current_thread_ident`: the thread that is marked as the current one (int).
    """
    lines = [_HEADING, "* Threads", _HEADING]
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    current = threading.get_ident() if current_thread_ident is None else current_thread_ident
    for ident, frame in sys._current_frames().items():
        mark = " (CURRENT)" if ident == current else ""
        lines.append(f"Thread {ident:#x} ({names.get(ident)}){mark}")
        lines += _stack(frame, limit) if thread_stacks else ["\t...stack elided..."]
    lines += [_HEADING, "* Greenlets", _HEADING]
    details = {"running_stacks": greenlet_stacks, "running_stack_limit": limit}
    for tree in GreenletTree.forest():
        lines.append("---- Thread boundary")
        lines += tree.format_lines(details)
    return lines


def print_run_info(
    thread_stacks: bool = True,
    greenlet_stacks: bool = True,
    limit: int | None = None,
    file: SupportsWrite[str] | None = None,
) -> None:
    """Print what format_run_info() returns to `file`, by default to standard error. Blocks as that file does."""
    print("\n".join(format_run_info(thread_stacks, greenlet_stacks, limit)), file=file or sys.stderr)


def _stack(frame, limit):
    return "".join(traceback.format_stack(frame, limit)).splitlines()


class GreenletTree:
    """A greenlet, the greenlets that it has spawned, and so on. A root is a greenlet that no living one has spawned.

    `greenlet`: the greenlet at this place. `child_trees`: the trees of those that it has spawned (list of
    GreenletTree). `root`: whether it is a root (bool).
    """

    #: The details that format() shows by default.
    DEFAULT_DETAILS: dict[str, Any] = {
        "running_stacks": True,
        "running_stack_limit": None,
        "spawning_stacks": True,
        "locals": True,
    }

    def __init__(self, greenlet: _greenlet) -> None:
        self.greenlet = greenlet
        self.child_trees: list[GreenletTree] = []
        self.root = True

    def add_child(self, tree: GreenletTree) -> None:
        """Make another tree a branch of this one."""
        self.child_trees.append(tree)
        tree.root = False

    @property
    def is_current_tree(self) -> bool:
        """Whether the current greenlet is part of it (bool)."""
        current = greenlet.getcurrent()
        return self.greenlet is current or any(tree.is_current_tree for tree in self.child_trees)

    @classmethod
    def forest(cls) -> list[Self]:
        """The trees of all greenlets of all threads (list of GreenletTree). Slow: it looks at every Python object."""
        trees = {}
        for each in gc.get_objects():
            # Not isinstance(): it would make lazy objects, such as Django's, load what they stand for.
            if issubclass(type(each), greenlet.greenlet):
                trees[each] = cls(each)
        for each in list(trees):
            main = _main_of(each)
            if main is not None and main not in trees:
                trees[main] = cls(main)
        for each, tree in trees.items():
            spawner = getattr(each, "spawning_greenlet", None)
            spawner = spawner() if callable(spawner) else None
            if spawner is None and not _is_main(each):
                spawner = _main_of(each)
            if spawner is not None and spawner is not each and spawner in trees:
                trees[spawner].add_child(tree)
        return [tree for tree in trees.values() if tree.root]

    @classmethod
    def current_tree(cls) -> Self:
        """The tree of the current greenlet (a GreenletTree)."""
        return next(tree for tree in cls.forest() if tree.is_current_tree)

    def format(self, details: bool | Mapping[str, Any] = True) -> str:
        """The tree as text (str). `details`: whether to show any (bool), or which (a dict as DEFAULT_DETAILS)."""
        return "\n".join(self.format_lines(details))

    def __str__(self) -> str:
        return self.format(False)

    def format_lines(self, details: bool | Mapping[str, Any] = True) -> list[str]:
        """The lines of format() (list of str)."""
        if not details:
            shown = {}
        else:
            shown = dict(self.DEFAULT_DETAILS)
            if details is not True:
                shown.update(details)
            shown["waits"] = _waits()
        return list(self._lines(shown, "", ""))

    def _lines(self, details, first, rest):
        yield first + self._title()
        inside = rest + (" |   " if self.child_trees else "     ")
        parent = getattr(self.greenlet, "parent", None)
        yield f"{inside}Parent: {safely(repr, parent)}"
        if details.get("running_stacks") and not self.greenlet.dead:
            runs = self.greenlet is greenlet.getcurrent()
            frame = sys._getframe() if runs else self.greenlet.gr_frame
            if not runs and self.greenlet in details["waits"]:
                yield f"{inside}Waits on: {details['waits'][self.greenlet]}"
            if frame is not None:
                yield f"{inside}{'Running' if runs else 'Suspended at'}:"
                for line in _stack(frame, details.get("running_stack_limit")):
                    yield f"{inside}  {line}"
        if details.get("spawning_stacks"):
            frame = getattr(self.greenlet, "spawning_stack", None)
            if frame is not None:
                yield f"{inside}Spawned at:"
            while frame is not None:
                code = frame.f_code
                yield f'{inside}    File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}'
                frame = frame.f_back
        if details.get("locals"):
            for (kind, ident), values in all_local_dicts_for_greenlet(self.greenlet):
                yield f"{inside}Greenlet-local of {kind.__name__} at {ident:#x}: {safely(repr, values)}"
        for number, tree in enumerate(self.child_trees):
            last = number == len(self.child_trees) - 1
            yield from tree._lines(details, f"{rest} +--- ", rest + ("      " if last else " |    "))

    def _title(self):
        title = safely(repr, self.greenlet)
        if isinstance(self.greenlet, Greenlet) and self.greenlet.ready():
            title += f"; finished with {'value' if self.greenlet.successful() else 'exception'} "
            title += safely(repr, self.greenlet.value if self.greenlet.successful() else self.greenlet.exception)
        elif self.greenlet.dead:
            title += "; finished"
        return title


def _waits():
    """The things on which greenlets wait, in all threads: a dict of greenlet to str."""
    return {
        wait.greenlet: wait.what if isinstance(wait.what, str) else safely(repr, wait.what)
        for hub in existing_hubs()
        for wait in hub.parked_waits()
        if wait.greenlet is not None
    }


def _main_of(each):
    while each is not None and each.parent is not None:
        each = each.parent
    return each


def _is_main(each):
    return each.parent is None and not isinstance(each, Hub)


# --- sections that must, or must not, switch --------------------------------------------------------------------


class no_switch:
    """``with no_switch(): ...``: an attempt to wait inside raises BlockingSwitchOutError.

    For code that other greenlets must not interrupt, as its data is not consistent for a moment. Calls that need not
    wait work: an acquire() of a free lock, a put() into a queue with room. Switches without the hub, by
    ``greenlet.switch()``, are not noticed.
    """

    def __init__(self) -> None:
        self._hubs: list[Hub] = []  # one for each block that it is used for

    def __enter__(self) -> Self:
        hub = get_hub()
        hub.forbid_switching(1)
        self._hubs.append(hub)
        return self

    def __exit__(self, *exc_info: type[BaseException] | BaseException | TracebackType | None) -> None:
        if not self._hubs:
            raise RuntimeError("no_switch() is left without having been entered")
        self._hubs.pop().forbid_switching(-1)


class assert_switches:
    """``with assert_switches(): ...`` raises AssertionError if the block does not let other greenlets run.

    `max_blocking_time` (seconds, float): raise if the block ever runs for longer than that before it lets others run.
    None: raise only if it never lets others run. `hub_only` is accepted for compatibility: greenlets switch to each
    other directly here. The time in which the block waits does not count. An exception of the block is raised as it is.
    """

    def __init__(self, max_blocking_time: float | None = None, hub_only: bool = False) -> None:
        if max_blocking_time is not None:
            seconds_of(max_blocking_time)  # which raises if it is no number
        self.max_blocking_time = max_blocking_time
        self.hub_only = hub_only
        self._hub: Hub | None = None
        self._longest = 0.0
        self._gave_way = False

    def __enter__(self) -> Self:
        self._owner = greenlet.getcurrent()
        self._since = time.perf_counter()
        self._hub = get_hub()
        self._hub.observe(self._observe)
        return self

    def _observe(self, returned):
        if greenlet.getcurrent() is self._owner:
            now = time.perf_counter()
            if returned:
                self._since = now
            else:
                self._gave_way = True
                self._longest = max(self._longest, now - self._since)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._hub is None:
            raise RuntimeError("assert_switches() is left without having been entered")
        hub, self._hub = self._hub, None
        hub.stop_observing(self._observe)
        if kind is not None:
            return
        self._longest = max(self._longest, time.perf_counter() - self._since)
        if self.max_blocking_time is None:
            if not self._gave_way:
                raise AssertionError(f"{self._owner!r} did not let other greenlets run")
        elif self._longest > self.max_blocking_time:
            raise AssertionError(
                f"{self._owner!r} ran for {self._longest:.3f} seconds at a stretch, "
                f"more than the {self.max_blocking_time} that are allowed"
            )
