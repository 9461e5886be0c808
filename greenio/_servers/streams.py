"""The standard streams of a greenlet: what it prints goes to its own, while that of all others goes where it did.

Theory
    `sys.stdout` and its like are replaced by objects that ask which greenlet uses them, and so is `sys.displayhook`,
    which prints the values of lines that are typed. When the last greenlet with streams of its own has ended, what
    was there before comes back. Greenlets that such a greenlet starts have the program's streams.

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

    `input`, `output`: text files; the output is that of errors as well. `display`: what is called with the value of
    a line that is typed.
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
        """See to it that they are used, after the program may have put others into `sys`. Does not switch."""
        for name in _NAMES:
            stream = getattr(sys, name, None)  # a line may have deleted it
            if not isinstance(stream, _Stream):
                setattr(sys, name, _Stream(name, stream))
        display = getattr(sys, "displayhook", sys.__displayhook__)
        if not isinstance(display, _Display):
            sys.displayhook = _Display(display)

    def __exit__(self, *exc_info: type[BaseException] | BaseException | TracebackType | None) -> None:
        del _own[getcurrent()]
        if _own:
            return
        # Where the program has put something else there meanwhile, that stays.
        for name in _NAMES:
            stream = getattr(sys, name, None)
            if isinstance(stream, _Stream):
                setattr(sys, name, stream._original)
        display = getattr(sys, "displayhook", None)
        if isinstance(display, _Display):
            sys.displayhook = display._original


def _own_now():
    try:
        return _own.get(getcurrent())
    except RuntimeError:  # the interpreter ends, and flushes its streams
        return None


class _Stream:
    """A standard stream that is each greenlet's own, or the process's."""

    def __init__(self, name, original):
        self._name = name
        self._original = original

    def _now(self):
        own = _own_now()
        if own is not None:
            return getattr(own, self._name)
        # A process without a terminal may have None, to which print() writes nothing.
        return self._original if self._original is not None else io.StringIO()

    def __getattr__(self, name):
        return getattr(self._now(), name)

    def __iter__(self):
        return iter(self._now())

    def __next__(self):
        return next(self._now())

    def __enter__(self):
        return self._now().__enter__()

    def __exit__(self, *exc_info):
        return self._now().__exit__(*exc_info)

    def __repr__(self):
        return f"<sys.{self._name}, for each greenlet its own: {self._now()!r}>"


class _Display:
    """`sys.displayhook` that is each greenlet's own, or the process's."""

    def __init__(self, original):
        self._original = original

    def __call__(self, value):
        own = _own_now()
        (self._original if own is None else own.display)(value)
