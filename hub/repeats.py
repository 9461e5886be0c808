"""Repeated errors: of errors that are alike, the first is printed in full. The others are counted, and get one line.

One fault often makes many errors: if a server's database is down, each of its greenlets fails, at the same place. Two
errors are alike if they have the same type and the same traceback, and their causes have, too. Their messages may
differ.
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

#: How long errors are counted that are like one that was printed (seconds). Then their number is printed.
SECONDS = 3.0

_instances: weakref.WeakSet[Repeats] = weakref.WeakSet()


class Repeats:
    """The errors that one hub has printed lately. Its methods are for the hub's own thread. They do not switch."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._told: dict[object, _Told] = {}  # the kind of an error -> the last one that was printed in full
        _instances.add(self)

    def count_if_repeated(self, error: BaseException, stream: Stream) -> bool:
        """Count an error (an exception instance) if one like it was printed to `stream` lately.

        Returns whether it was counted (bool). If not, the caller prints it in full.
        """
        now = time.monotonic()
        kind = _kind(error)
        told = self._told.get(kind)
        if told is not None and told.stream is stream and now - told.at < SECONDS:
            told.more += 1
            if self._hub.loop.own_timer is None:
                self._schedule_check(told.at + SECONDS - now)
            return True
        self._tell_older(now - SECONDS)
        if told is not None:
            told.tell(now)  # to the other stream
        self._told[kind] = _Told(error, stream, now)
        return False

    def _tell_older(self, until):
        """Print the counts of errors that were printed at time `until` or before, and forget them."""
        now = time.monotonic()
        for kind, told in list(self._told.items()):
            if told.at <= until:
                self._told.pop(kind, None)
                told.tell(now)

    def tell_rest(self) -> None:
        """Print the counts of all errors: the hub or the program ends. For any thread."""
        told, self._told = self._told, {}
        now = time.monotonic()
        for each in told.values():
            each.tell(now)

    def forget(self) -> None:
        """In a forked child: forget the counts, which the parent prints."""
        self._told.clear()
        self._hub.loop.own_timer = None

    def _check(self):
        self._stop()
        now = time.monotonic()
        self._tell_older(now - SECONDS + 0.01)
        counting = [told.at for told in list(self._told.values()) if told.more]
        if counting:
            self._schedule_check(min(counting) + SECONDS - now)

    def _schedule_check(self, seconds):
        timer = self._hub.loop.own_timer = self._hub.loop.timer(seconds, ref=False)
        timer.start(self._check)

    def _stop(self):
        timer, self._hub.loop.own_timer = self._hub.loop.own_timer, None
        if timer is not None:
            timer.close()


class _Told:
    """An error that was printed in full, and the number of errors like it since."""

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
            pass  # the stream has no flush(), or its reader has gone since the first report


def _places(traceback):
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return places


def _kind(error):
    """The type and traceback of an error and of its causes (hashable): equal for errors that are alike."""
    kind, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        kind.append((type(error), *_places(error.__traceback__)))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return tuple(kind)


def _tell_all():
    for repeats in list(_instances):
        repeats.tell_rest()


atexit.register(_tell_all)
