"""Queues and results: an item that was put is got once, or still there; a result is the same for every greenlet."""

from contextlib import suppress
from itertools import count

from locks import BOUNDS, TIMES, Bounded
from parts import Part
from plan import verb
from world import PAUSES, fault, pause, seconds

from greenio import Timeout, queue, wait_any
from greenio.event import AsyncResult, Event
from greenio.queue import Channel, Empty, Full, Queue, ShutDown

QUEUES = {
    name: getattr(queue, name)
    for name in ("Channel", "JoinableQueue", "LifoQueue", "PriorityQueue", "Queue", "SimpleQueue")
}


class Line(Part):
    """A queue of any kind; each item has a number of its own."""

    weight = 5
    arguments = {"kind": tuple(QUEUES), "maxsize": (None, None, 1, 2, 5)}

    def __init__(self, kind, maxsize):
        kind = QUEUES[kind]
        self.queue = kind() if kind is Channel else kind(maxsize)
        self.next_item = count().__next__
        self.accepted = []  # put() has returned
        self.doubtful = []  # put() raised an exception that another actor threw
        self.received = []
        self.done = []
        self.stopping = False

    @verb(4, timeout=TIMES, bound=BOUNDS)
    def put(self, timeout, bound):
        item = self.next_item()
        try:
            with Bounded(bound):
                self.doubtful.append(item)
                self.queue.put(item, timeout=seconds(timeout))
                self.accepted.append(item)
                self.doubtful.remove(item)
        except (Full, ShutDown):
            self.doubtful.remove(item)

    @verb()
    def put_nowait(self):
        item = self.next_item()
        try:
            self.queue.put_nowait(item)
        except (Full, ShutDown):
            return
        self.accepted.append(item)

    @verb(4, timeout=TIMES, bound=BOUNDS, inside=PAUSES)
    def get(self, timeout, bound, inside):
        try:
            with Bounded(bound):
                self.received.append(self.queue.get(timeout=seconds(timeout)))
                self.task_done()
                pause(inside)
        except (Empty, ShutDown):
            pass

    @verb()
    def get_nowait(self):
        try:
            self.received.append(self.queue.get_nowait())
        except (Empty, ShutDown):
            return
        self.task_done()

    def task_done(self):
        if isinstance(self.queue, Queue):
            self.done.append(1)
            self.queue.task_done()

    @verb(timeout=(0, 0.001, "tick"))
    def peek(self, timeout):
        if not isinstance(self.queue, Channel):
            with suppress(Empty, ShutDown):
                self.queue.peek(timeout=seconds(timeout))

    @verb(timeout=(0, 0.001, "tick"))
    def join(self, timeout):
        if isinstance(self.queue, Queue):
            self.queue.join(seconds(timeout))

    @verb(plain=False, timeout=(0.001, "tick"))
    def choose(self, timeout):
        """Get an item by way of wait_any()."""
        try:
            source, value = wait_any(self.queue, Event(), timeout=seconds(timeout))
        except (TimeoutError, ShutDown):
            return
        self.received.append(value)
        self.task_done()

    def stop(self):
        self.stopping = True
        if isinstance(self.queue, Queue):
            self.queue.shutdown()
        # Make room for the actors in put(), and put an item for those in get(), which is counted as any other.
        self.put_nowait()
        self.get_nowait()
        if len(self.queue.queue if hasattr(self.queue, "queue") else "") == 0:
            self.put_nowait()

    def check(self):
        received, left = list(self.received), []
        while True:
            try:
                left.append(self.queue.get_nowait())
            except (Empty, ShutDown):
                break
        found = received + left
        once = set(found)
        if len(once) != len(found):
            yield "an item came twice", f"{sorted(item for item in once if found.count(item) > 1)} of {self.queue!r}"
        if lost := set(self.accepted) - once:
            yield "an item is lost", f"{sorted(lost)[:5]} of {self.queue!r}, and {len(lost)} in all"
        if strange := once - set(self.accepted) - set(self.doubtful):
            yield "an item that was never put", f"{sorted(strange)[:5]} of {self.queue!r}"
        if isinstance(self.queue, Queue) and self.queue.unfinished_tasks != len(left):
            yield "unfinished_tasks is wrong", f"{self.queue!r}: {self.queue.unfinished_tasks}, not {len(left)}"


class News(Part):
    """An event that is set and cleared."""

    weight = 2

    def __init__(self):
        self.event = Event()
        self.stopping = False

    @verb(4, timeout=TIMES, bound=BOUNDS)
    def wait(self, timeout, bound):
        with Bounded(bound):
            if not self.event.wait(seconds(timeout)) and timeout is None:
                fault("Event.wait() without a timeout returned False", repr(self.event))

    @verb(2)
    def set(self):
        self.event.set()

    @verb(2)
    def clear(self):
        if not self.stopping:
            self.event.clear()

    @verb()
    def set_and_clear(self):
        self.event.set()
        if not self.stopping:
            self.event.clear()

    @verb(plain=False)
    def link(self):
        def called(event):
            event.unlink(called)

        self.event.rawlink(called)
        pause("switch")
        self.event.unlink(called)

    @verb(plain=False, timeout=(0.001, "tick"))
    def choose(self, timeout):
        with suppress(TimeoutError):
            wait_any(self.event, Event(), timeout=seconds(timeout))

    def stop(self):
        self.stopping = True
        self.event.set()

    def check(self):
        if "waiting" in repr(self.event) and "0 waiting" not in repr(self.event):
            yield "somebody still waits for an Event", repr(self.event)


class NumberedResult(AsyncResult):
    expected = None


class Result(Part):
    """Results that are set once each, one after the other."""

    weight = 2

    def __init__(self):
        self.next_value = count().__next__
        self.results = [self.make()]

    def make(self):
        result = NumberedResult()
        result.expected = self.next_value()
        return result

    @verb(4, timeout=TIMES, bound=BOUNDS)
    def get(self, timeout, bound):
        result = self.results[-1]
        try:
            with Bounded(bound):
                value = result.get(timeout=seconds(timeout))
                if value != result.expected:
                    fault("another value of an AsyncResult", f"{value} instead of {result.expected}")
        except Timeout:
            if timeout is None:
                raise
        except ValueError:
            pass

    @verb(2, fail=(False, False, True))
    def set(self, fail):
        self.results.append(self.make())
        result = self.results.pop(0)
        if fail:
            result.set_exception(ValueError("set"))
        else:
            result.set(result.expected)

    @verb(timeout=(0, 0.001, "tick"))
    def wait(self, timeout):
        self.results[-1].wait(seconds(timeout))

    def stop(self):
        self.set(False)

    def close(self):
        self.results.clear()


KINDS = [Line, News, Result]
