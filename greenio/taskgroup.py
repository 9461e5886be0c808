"""TaskGroup: greenlets that do not outlive the block that started them, and whose errors are not lost.

After the task groups of trio (https://trio.readthedocs.io/en/stable/reference-core.html#tasks-let-you-do-multiple-things-at-once)
and asyncio (https://docs.python.org/3/library/asyncio-task.html#task-groups).
"""

from __future__ import annotations

import sys

from greenlet import GreenletExit, getcurrent, greenlet
from hub.current import get_hub
from hub.errors import BlockingSwitchOutError, HubDestroyed, InvalidSwitchError
from hub.scheduler import sleep

from greenio._tasks.link_list import DirectCall
from greenio.greenlet import Greenlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Any, Literal

    from typing_extensions import Self

__all__ = ["BaseExceptionGroup", "ExceptionGroup", "TaskGroup"]

if sys.version_info >= (3, 11):
    from builtins import BaseExceptionGroup, ExceptionGroup
else:

    class BaseExceptionGroup(BaseException):
        """Several exceptions, raised together, as from CPython 3.11 on: `message` (str), `exceptions` (tuple)."""

        def __init__(self, message: str, exceptions: Sequence[BaseException]) -> None:
            super().__init__(message, exceptions)
            self.message = message
            self.exceptions = tuple(exceptions)

        def __str__(self) -> str:
            return f"{self.message} ({len(self.exceptions)} sub-exceptions)"

    class ExceptionGroup(BaseExceptionGroup, Exception):
        """As BaseExceptionGroup, of ordinary exceptions."""


class _Interrupt(GreenletExit):
    """Thrown into the block of a task group when a child has failed."""


class TaskGroup:
    """A group of greenlets, its children, that have all ended when its block ends.

        with TaskGroup() as group:
            group.spawn(function, ...)

    Leaving the block waits for all children, and so it switches. When a child fails, the others are killed and the
    block is interrupted. The errors come out of the ``with`` statement in an ExceptionGroup. An ordinary error in the
    block kills the children, and comes out in that group too. Any other exception in the block (GreenletExit, Timeout,
    KeyboardInterrupt) kills the children, and comes out as it is. A child that ends with GreenletExit has not failed.

    `greenlet_class`: the class that spawn() makes. The group takes new children while the block or a child runs.
    """

    def __init__(self, greenlet_class: type[Greenlet] = Greenlet) -> None:
        self.greenlet_class = greenlet_class
        self._children: set[Greenlet] = set()
        self._errors: list[BaseException] = []
        self._parent: greenlet | None = None  # while there is a block
        self._interrupt: BaseException | None = None
        self._state = "new"
        self._on_end = DirectCall(self._child_ended)

    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Greenlet:
        """Run ``function(*args, **kwargs)`` in a child of the group. Returns the child, a greenlet. Does not switch.

        Raises RuntimeError before the block has begun, after it has ended, and when a child or the block has failed.
        """
        if self._state not in ("open", "joining"):
            reasons = {"new": "its block has not begun", "over": "its block has ended"}
            reason = reasons.get(self._state, "a child, or the block, has failed")
            raise RuntimeError(f"{self!r}: nothing can be spawned into it, as {reason}")
        child = self.greenlet_class(function, *args, **kwargs)
        self._children.add(child)
        child.reports_errors = False  # the group raises them
        child.rawlink(self._on_end)
        child.start()
        return child

    def cancel(self) -> None:
        """Kill the children that were spawned so far. The block goes on. Does not switch."""
        for child in list(self._children):
            child.kill(block=False)

    def __enter__(self) -> Self:
        if self._state != "new":
            raise RuntimeError(f"{self!r} was used already; make a new one for each block")
        self._parent = getcurrent()
        self._hub = get_hub()
        self._state = "open"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        if getcurrent() in self._children:
            raise RuntimeError(f"{self!r}: a child of it would wait for itself")
        interrupted = error is not None and error is self._interrupt
        if error is not None:
            self._abort()
        elif self._state == "open":
            self._state = "joining"
        passing = self._join(None if interrupted else error)
        self._state = "over"
        if self._interrupt is not None and self._parent is not None:
            self._hub.take_back(self._parent, self._interrupt)  # if it was not raised yet, it never is
        self._parent = None
        if passing is not None and not isinstance(passing, Exception):
            # It comes out as it is. The errors of the children are reported, so that they are not lost.
            for each in self._errors:
                self._hub.report(self, each)
            if passing is error:
                return False
            raise passing
        if passing is not None:
            self._errors.insert(0, passing)
        if self._errors:
            errors, self._errors = self._errors, []
            group: Any = ExceptionGroup if all(isinstance(each, Exception) for each in errors) else BaseExceptionGroup
            try:
                raise group("errors in a TaskGroup", errors) from None
            finally:
                del errors, passing, error
        return interrupted  # type: ignore[return-value]  # never: a child has failed then

    def _join(self, passing):
        """Wait for all children, even if exceptions are thrown in meanwhile.

        `passing`: the exception with which the block ended, or None. Returns it or, if it is None, the first exception
        that was thrown in.
        """
        while self._children:
            try:
                # A list: signal handlers and finalizers, which may wait, run between any two steps.
                for child in list(self._children):
                    child.join()
                    if child in self._children:
                        sleep(0)  # it is in _child_ended(), and a finalizer waits in the middle of that
            except (BlockingSwitchOutError, HubDestroyed, InvalidSwitchError):
                self._abort()
                raise  # waiting is not possible here
            except BaseException as thrown:
                if thrown is not self._interrupt and passing is None:
                    passing = thrown
                self._abort()
        return passing

    def _abort(self):
        if self._state != "aborting":
            self._state = "aborting"
            self.cancel()

    def _child_ended(self, child):
        """Note the end of a child, in that child. It stays a child until this returns: other greenlets may run here."""
        try:
            if child.successful():
                return
            self._errors.append(child.exception)
            was_open = self._state == "open"
            self._abort()
            if was_open and self._parent is not None:
                self._interrupt = _Interrupt("a child of the task group has failed")
                self._hub.throw_soon(self._parent, self._interrupt)
        finally:
            self._children.discard(child)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x} {self._state}, {len(self._children)} children>"
