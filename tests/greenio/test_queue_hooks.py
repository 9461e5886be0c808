"""Queues with hooks of a program's own, which fail, block, compare, or put in the middle of another put."""

import gc
import sys
import threading

import pytest
from hooked_queue import HookedQueue
from hub import BlockingSwitchOutError
from waiting import until

from greenio import Timeout, joinall, sleep, spawn
from greenio.queue import Empty, PriorityQueue, Queue, ShutDown


def test_a_priority_queue_keeps_items_that_cannot_be_compared():
    made = PriorityQueue(1)
    made.put(1)
    putter = spawn(made.put, 2)
    sleep(0)
    assert made.get() == 1
    putter.get()
    made.maxsize = None
    with pytest.raises(TypeError):
        made.put("text")
    assert made.get() in (2, "text")


def test_a_putter_that_waited_gets_the_error_of_its_put():
    class Picky(HookedQueue):
        def _put(self, item):
            if item == "bad":
                raise ValueError(item)
            super()._put(item)

    made = Picky(1)
    made.put(1)
    bad, good = spawn(made.put, "bad"), spawn(made.put, 2)
    bad.reports_errors = False
    sleep(0)
    assert made.get() == 1 and made.get() == 2
    good.get()
    with pytest.raises(ValueError, match="bad"):
        bad.get()
    with pytest.raises(ValueError, match="bad"):
        made.put("bad")
    assert made.empty()


class Failing(HookedQueue):
    """Raises `error` in the hook of that name, once or `always`."""

    hook = ""
    error = None
    always = False

    def fail(self, hook):
        if hook == self.hook and self.error is not None:
            error = self.error
            if not self.always:
                self.error = None
            raise error

    def _put(self, item):
        self.fail("_put")
        super()._put(item)

    def _get(self):
        self.fail("_get")
        return super()._get()

    def _qsize(self):
        self.fail("_qsize")
        return super()._qsize()


def failing_job(*args):
    job = spawn(*args)
    job.reports_errors = False
    sleep(0)
    return job


@pytest.mark.parametrize("with_mutex", [False, True])
@pytest.mark.parametrize("hook", ["_get", "_qsize"])
def test_a_getter_that_waited_gets_the_error_of_its_get(hook, with_mutex):
    made = Failing()
    if with_mutex:
        assert made.mutex
    getters = [failing_job(made.get) for _ in range(2)]
    made.hook, made.error = hook, ValueError("hook")
    made.put("item")
    with pytest.raises(ValueError, match="hook"):
        getters[0].get(timeout=5)
    assert getters[1].get(timeout=5) == "item"
    getter = failing_job(made.get)
    made.error, made.always = ValueError("hook"), True
    made.put("kept")
    with pytest.raises(ValueError, match="hook"):
        getter.get(timeout=5)
    made.error = None
    assert made.get_nowait() == "kept"


def test_a_putter_that_waits_for_room_gets_the_error_of_the_size():
    class Counting(HookedQueue):
        calls = 100

        def _qsize(self):
            self.calls += 1
            if self.calls == 2:  # the first call is for get()
                raise ValueError("size")
            return super()._qsize()

    made = Counting(1)
    made.put(1)
    putters = [failing_job(made.put, number) for number in (2, 3)]
    made.calls = 0
    assert made.get() == 1
    with pytest.raises(ValueError, match="size"):
        putters[0].get(timeout=5)
    putters[1].get(timeout=5)
    assert made.get() == 3


def test_a_peek_that_waited_gets_the_error_of_the_hook():
    made = Failing()
    peeker = failing_job(made.peek)
    made.hook, made.error, made.always = "_qsize", ValueError("size"), True
    made.put("item")
    with pytest.raises(ValueError, match="size"):
        peeker.get(timeout=5)
    made.error = None
    assert made.get() == "item"


def test_a_getter_in_another_thread_gets_the_error_of_its_get():
    made = Failing()
    errors = []

    def get():
        try:
            made.get()
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=get)
    thread.start()
    until(lambda: "1 waiting to get" in repr(made))
    made.hook, made.error = "_get", ValueError("hook")
    made.put("item")
    thread.join()
    assert len(errors) == 1 and made.get_nowait() == "item"


def test_a_timeout_in_a_hook_is_raised_in_both_greenlets():
    made = Failing()
    getter = failing_job(made.get)
    made.hook, made.error = "_get", Timeout(None)
    with pytest.raises(Timeout):
        made.put("item")
    with pytest.raises(Timeout):
        getter.get(timeout=5)
    assert made.get_nowait() == "item"


def test_a_comparison_that_fails_loses_no_item():
    class Item:
        fails = False

        def __lt__(self, other):
            if Item.fails:
                raise ValueError("no comparison")
            return id(self) < id(other)

    made = PriorityQueue()
    items = [Item() for _ in range(5)]
    for item in items:
        made.put(item)
    Item.fails = True
    with pytest.raises(ValueError):
        made.get()
    with pytest.raises(ValueError):
        made.get_nowait()
    assert made.qsize() == 5
    Item.fails = False
    assert {made.get() for _ in items} == set(items)


def test_the_error_of_a_getter_that_is_killed_is_reported(monkeypatch):
    reported = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: reported.append((type(args.exc_value), args.err_msg)))
    made = Failing()
    getter = failing_job(made.get)
    made.hook, made.error = "_get", ValueError("hook")
    thread = threading.Thread(target=made.put, args=("item",))
    thread.start()
    thread.join()  # the getter is about to be woken, but the loop has not run
    getter.kill()
    assert reported == [(ValueError, "Exception ignored in get(), whose greenlet was ended meanwhile, of")]
    assert made.get() == "item"


def test_shutdown_wakes_all_though_hooks_fail():
    made = Failing()
    waiting = [failing_job(made.get), failing_job(made.peek)]
    made.hook, made.error, made.always = "_qsize", ValueError("size"), True
    made.shutdown()
    for job in waiting:
        with pytest.raises(ValueError, match="size"):
            job.get(timeout=5)
    made.error = None
    with pytest.raises(ShutDown):
        made.get()
    made = Failing(1)
    made.put("item")
    putter = failing_job(made.put, "more")
    made.hook, made.error = "_get", ValueError("hook")
    with pytest.raises(ValueError, match="hook"):
        made.shutdown(immediate=True)
    with pytest.raises(ShutDown):
        putter.get(timeout=5)


def test_a_put_in_the_middle_of_a_comparison_is_made_afterwards():
    """A finalizer, or a comparison, puts into the same queue while it is being changed."""
    made = PriorityQueue()

    class Item:
        def __init__(self, number):
            self.number = number

        def __lt__(self, other):
            if self.number == 1 and other.number == 2 and not made.left:
                made.left.append(1)
                made.put(Item(3))
                with pytest.raises(Empty):
                    made.get_nowait()
                with pytest.raises(BlockingSwitchOutError, match="in the middle of another"):
                    made.get()
            return self.number < other.number

    class Marked(PriorityQueue):
        left = None

    made = Marked()
    made.left = []
    made.put(Item(2))
    made.put(Item(1))
    assert made.left == [1]
    assert [made.get().number for _ in range(3)] == [1, 2, 3]


def test_a_hook_that_waits_keeps_others_out():
    class Slow(HookedQueue):
        inside = 0

        def _put(self, item):
            assert not self.inside
            self.inside = 1
            sleep(0.001)
            self.inside = 0
            super()._put(item)

    made = Slow()
    getter = spawn(lambda: [made.get() for _ in range(6)])
    joinall([spawn(made.put, number) for number in range(6)], raise_error=True)
    assert sorted(getter.get()) == list(range(6)) and made.empty()


def test_items_of_finalizers_are_all_put():
    made = Queue()

    class Puts:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            made.put("final")

    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(200):
            Puts()
            made.put(number)
            made.get()
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert made.qsize() == 200


def test_an_item_of_a_finalizer_that_cannot_be_put_is_reported(capfd, monkeypatch):
    """No call can raise the error, so Python's own hook prints it."""
    monkeypatch.setattr("sys.unraisablehook", sys.__unraisablehook__)

    class Picky(Queue):
        def _put(self, item):
            if item == "outer":
                self.put("inner")  # as a finalizer may do in the middle of this put
            if item == "inner":
                raise ValueError("not this one")
            super()._put(item)

    made = Picky()
    made.put("outer")
    assert made.get() == "outer" and made.empty()
    printed = capfd.readouterr().err
    assert "Exception ignored of an item that was put into" in printed and "ValueError: not this one" in printed
