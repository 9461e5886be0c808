"""Standard streams for one greenlet: its prints go there, while all other greenlets keep the program's streams.

Theory
    `sys.stdin`, `sys.stdout` and `sys.stderr` are replaced by objects that ask which greenlet uses them. So is
    `sys.displayhook`, which prints the values of lines that are typed. When the last greenlet with streams of its own
    has ended, the original objects come back. Greenlets that such a greenlet starts have the program's streams.

What does not belong here: prompts (greenio.backdoor).
"""

from __future__ import annotations

import io
import sys

from greenlet import getcurrent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TextIO

    from typing_extensions import Self

__all__ = ["OwnStreams"]

_NAMES = ("stdin", "stdout", "stderr")
# Greenlet -> its streams.
_own: dict[Any, OwnStreams] = {}


class OwnStreams:
    """In a ``with`` statement, the current greenlet has these in place of the process's standard streams.

    `input`, `output`: text files; errors go to the output too. `display`: the function that is called with the value
    of each line that is typed.
    """

    def __init__(self, input: TextIO, output: TextIO, display: Callable[[object], object]) -> None:
        self.stdin = input
        self.stdout = self.stderr = output
        self.display = display

    def __enter__(self) -> Self:
        _own[getcurrent()] = self
        self.install()
        return self

    def install(self) -> None:
        """Put them into `sys`, again if the program has put others there meanwhile. Does not switch."""
        for name in _NAMES:
            stream = getattr(sys, name, None)  # a line that was typed may have deleted it
            if not isinstance(stream, _Stream):
                setattr(sys, name, _Stream(name, stream))
        display = getattr(sys, "displayhook", sys.__displayhook__)
        if not isinstance(display, _Display):
            sys.displayhook = _Display(display)

    def __exit__(self, *exc_info: type[BaseException] | BaseException | TracebackType | None) -> None:
        del _own[getcurrent()]
        if _own:
            return
        # A stream that the program has put into `sys` meanwhile stays there.
        for name in _NAMES:
            stream = getattr(sys, name, None)
            if isinstance(stream, _Stream):
                setattr(sys, name, stream._original)
        display = getattr(sys, "displayhook", None)
        if isinstance(display, _Display):
            sys.displayhook = display._original


def _own_streams():
    try:
        return _own.get(getcurrent())
    except RuntimeError:  # the interpreter ends, and flushes its streams
        return None


class _Stream:
    """A standard stream: the current greenlet's own if it has one, the process's otherwise."""

    def __init__(self, name, original):
        self._name = name
        self._original = original

    def _current(self):
        own = _own_streams()
        if own is not None:
            return getattr(own, self._name)
        # A process without a terminal may have None, to which print() writes nothing.
        return self._original if self._original is not None else io.StringIO()

    def __getattr__(self, name):
        return getattr(self._current(), name)

    def __iter__(self):
        return iter(self._current())

    def __next__(self):
        return next(self._current())

    def __enter__(self):
        return self._current().__enter__()

    def __exit__(self, *exc_info):
        return self._current().__exit__(*exc_info)

    def __repr__(self):
        return f"<sys.{self._name}, for each greenlet its own: {self._current()!r}>"


class _Display:
    """`sys.displayhook`: the current greenlet's own if it has one, the process's otherwise."""

    def __init__(self, original):
        self._original = original

    def __call__(self, value):
        own = _own_streams()
        (self._original if own is None else own.display)(value)
