"""Reports of errors that are alike: the first is told in full, the others are counted and told in one line.

A fault seldom comes alone: where a server's database is gone, each of its greenlets fails, at the same place. Two
errors are alike if they are of one type and were raised at one place, called from the same places, and so are their
causes. What they say may differ.
"""

from __future__ import annotations

import atexit
import time
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hub.protocols import Stream


__all__ = ["SECONDS", "Repeats"]

#: How long errors are counted that are like one that was told, before that is told.
SECONDS = 3.0

_all: weakref.WeakSet[Repeats] = weakref.WeakSet()


class Repeats:
    """What one hub has reported lately. Its methods are for the hub's own thread; they do not switch."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._told: dict[object, _Told] = {}  # the kind of an error -> the last one that was told in full
        _all.add(self)

    def counted(self, error: BaseException, stream: Stream) -> bool:
        """Whether an error (an exception instance) is like one that `stream` was told lately, and is counted only."""
        now = time.monotonic()
        kind = _kind(error)
        told = self._told.get(kind)
        if told is not None and told.stream is stream and now - told.at < SECONDS:
            told.more += 1
            if self._hub.loop.own_timer is None:
                self._look_in(told.at + SECONDS - now)
            return True
        self._tell_those(now - SECONDS)
        if told is not None:
            told.tell(now)  # to the other stream
        self._told[kind] = _Told(error, stream, now)
        return False

    def _tell_those(self, until):
        """Tell how many errors were like those that were told until a time, and count anew."""
        now = time.monotonic()
        for kind, told in list(self._told.items()):
            if told.at <= until:
                self._told.pop(kind, None)
                told.tell(now)

    def tell_rest(self) -> None:
        """At the end: tell what was counted. From any thread."""
        told, self._told = self._told, {}
        now = time.monotonic()
        for each in told.values():
            each.tell(now)

    def forget(self) -> None:
        """In a forked child: what was counted is the parent's to tell."""
        self._told.clear()
        self._hub.loop.own_timer = None

    def _look(self):
        self._stop()
        now = time.monotonic()
        self._tell_those(now - SECONDS + 0.01)
        counting = [told.at for told in list(self._told.values()) if told.more]
        if counting:
            self._look_in(min(counting) + SECONDS - now)

    def _look_in(self, seconds):
        timer = self._hub.loop.own_timer = self._hub.loop.timer(seconds, ref=False)
        timer.start(self._look)

    def _stop(self):
        timer, self._hub.loop.own_timer = self._hub.loop.own_timer, None
        if timer is not None:
            timer.close()


class _Told:
    """An error that was told in full, and how many like it have come since."""

    __slots__ = ("at", "more", "stream", "what")

    def __init__(self, error, stream, now):
        self.at = now
        self.more = 0
        self.stream = stream
        places = _places(error.__traceback__)
        self.what = type(error).__name__ + (" at {}:{} in {}".format(*places[-1]) if places else "")

    def tell(self, now):
        more, self.more = self.more, 0
        if not more:
            return
        seconds = f"{max(now - self.at, 0.1):.1f}".removesuffix(".0")
        try:
            self.stream.write(f"… and {more} more like it in {seconds} s: {self.what}\n\n")
            self.stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # it cannot be flushed; or its reader has gone since the first report


def _places(traceback):
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return places


def _kind(error):
    """What errors that are alike have in common (hashable)."""
    kind, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        kind.append((type(error), *_places(error.__traceback__)))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return tuple(kind)


def _tell_all():
    for repeats in list(_all):
        repeats.tell_rest()


atexit.register(_tell_all)
