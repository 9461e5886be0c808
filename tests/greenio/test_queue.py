"""Queues of every kind, and Channel."""

import gc
import queue as standard
import sys
import threading
import weakref

import pytest
from hub import BlockingSwitchOutError, LoopExit
from waiting import until, until_waiting

from greenio import Timeout, get_hub, joinall, kill, sleep, spawn
from greenio.queue import (
    Channel,
    Empty,
    Full,
    JoinableQueue,
    LifoQueue,
    PriorityQueue,
    Queue,
    ShutDown,
    SimpleQueue,
)


class HookedQueue(Queue):
    """What programs make of the standard library's hooks."""

    def _init(self, maxsize):
        self.items = []

    def _put(self, item):
        self.items.append(item)

    def _get(self):
        return self.items.pop(0)

    def _peek(self):
        return self.items[0]

    def _qsize(self):
        return len(self.items)


QUEUES = [SimpleQueue, Queue, JoinableQueue, LifoQueue, PriorityQueue, HookedQueue]
WITH_TASKS = QUEUES[1:]


@pytest.fixture(params=QUEUES, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def test_items_come_out_in_the_order_of_the_kind():
    def out_of(made):
        return [made.get() for _ in range(len(made))]

    items = [3, 1, 2]
    assert out_of(Queue(items=items)) == items
    assert out_of(SimpleQueue(items=items)) == items
    assert out_of(HookedQueue(items=items)) == items
    assert out_of(LifoQueue(items=items)) == [2, 1, 3]
    assert out_of(PriorityQueue(items=items)) == [1, 2, 3]


def test_put_and_get_do_not_switch_needlessly(kind):
    made = kind(2)
    switches = get_hub().switches
    made.put(1)
    made.put_nowait(2)
    assert (made.qsize(), len(made), made.full(), made.empty(), bool(made)) == (2, 2, True, False, True)
    assert sorted([made.get(), made.get_nowait()]) == [1, 2]
    assert made.empty() and not made.full() and bool(made)
    assert get_hub().switches == switches


def test_empty_and_full(kind):
    made = kind(1)
    for args in ((False,), (True, 0.001), (True, 0)):
        with pytest.raises(Empty):
            made.get(*args)
    with pytest.raises(Empty):
        made.get_nowait()
    with pytest.raises(Empty):
        made.peek_nowait()
    made.put(1)
    for args in ((False,), (True, 0.001)):
        with pytest.raises(Full):
            made.put(2, *args)
    with pytest.raises(Full):
        made.put_nowait(2)
    assert "waiting" not in repr(made) and made.get() == 1
    assert Empty is standard.Empty and Full is standard.Full


def test_negative_timeouts_are_refused(kind):
    made = kind(1)
    with pytest.raises(ValueError, match="non-negative"):
        made.get(timeout=-1)
    made.put(1)
    with pytest.raises(ValueError, match="non-negative"):
        made.put(1, timeout=-1)


def test_getters_are_served_in_order(kind):
    made, got = kind(), []

    def getter(name):
        got.append((name, made.get()))

    jobs = [spawn(getter, name) for name in range(4)]
    sleep(0)
    assert "4 waiting to get" in repr(made)
    for item in range(4):
        made.put(item)
    joinall(jobs)
    assert got == [(n, n) for n in range(4)]


def test_putters_are_served_in_order(kind):
    made = kind(1)
    jobs = [spawn(made.put, number) for number in range(4)]
    sleep(0)
    assert "3 waiting to put" in repr(made)
    assert [made.get() for _ in range(4)] == [0, 1, 2, 3]
    joinall(jobs)


def test_an_item_is_for_the_first_getter(kind):
    """Whoever comes while the getter has not run yet finds nothing."""
    made = kind()
    job = spawn(made.get)
    sleep(0)
    made.put(1)
    with pytest.raises(Empty):
        made.get_nowait()
    assert job.get() == 1


def test_killed_getters_and_putters(kind):
    made = kind(1)
    getters = [spawn(made.get) for _ in range(3)]
    sleep(0)
    getters[0].kill()
    made.put("a")
    kill(getters[1])  # it has its item already
    made.put("b")
    assert getters[1].get() == "a" and getters[2].get() == "b"

    made.put(0)
    putters = [spawn(made.put, number) for number in (1, 2, 3)]
    sleep(0)
    putters[1].kill()
    assert [made.get() for _ in range(3)] == [0, 1, 3] and made.empty()


def test_timeout_object_in_get(kind):
    made = kind()
    with pytest.raises(Timeout):
        with Timeout(0.001):
            made.get()
    made.put(1)
    assert made.get() == 1


def test_forced_out_of_get_gives_the_item_back(kind):
    made, got = kind(), []
    victim = spawn(made.get)
    victim.reports_errors = False
    other = spawn(lambda: got.append(made.get()))
    sleep(0)

    def force():
        made.put("item")
        victim.throw(KeyError())

    get_hub().run_callback(force)
    other.join(timeout=5)
    assert got == ["item"]

    victim = spawn(made.get)
    victim.reports_errors = False
    sleep(0)
    get_hub().run_callback(force)
    victim.join()
    assert made.get_nowait() == "item"


def test_peek_leaves_the_item_there(kind):
    made = kind()
    jobs = [spawn(made.peek), spawn(made.peek, True, 5)]
    sleep(0)
    assert "2 waiting to get" in repr(made)
    made.put(4)
    assert [job.get() for job in jobs] == [4, 4] == [made.peek(), made.peek_nowait()]
    assert made.get() == 4
    with pytest.raises(Empty):
        made.peek(timeout=0.001)


def test_a_larger_maxsize_lets_waiting_putters_go_on(kind):
    assert kind().maxsize == kind(None).maxsize == kind(0).maxsize == 0 and kind(3).maxsize == 3
    assert kind(-1).maxsize == -1 and not kind(-1).full()
    assert not kind(0).full()
    made = kind(1)
    jobs = [spawn(made.put, number) for number in range(4)]
    sleep(0)
    made.maxsize = 3
    assert made.qsize() == 3 and "maxsize=3" in repr(made)
    made.maxsize = None
    joinall(jobs)
    assert made.qsize() == 4


def test_iteration_ends_at_stop_iteration(kind):
    made = kind()
    job = spawn(lambda: list(made))
    sleep(0)
    for item in (1, 2):
        made.put(item)
    sleep(0)
    made.put(StopIteration)
    assert job.get() == [1, 2]


def test_subscript_and_copy(kind):
    assert kind[int] is kind
    if kind is HookedQueue:
        return
    made = kind(5, items=[1, 2])
    twin = made.copy()
    assert type(twin) is kind and twin.maxsize == 5 and twin.get() == made.get() and len(twin) == 1


def test_the_container_can_be_replaced():
    from collections import deque

    made = Queue()
    made.put(1)
    made.queue = deque([5])
    made.put(6)
    assert list(made.queue) == [5, 6] and made.get() == 5


def test_in_a_callback(kind):
    made, seen = kind(1), []

    def callback():
        made.put(1)
        with pytest.raises(Full):
            made.put_nowait(2)
        with pytest.raises(BlockingSwitchOutError):
            made.put(2)
        seen.append(made.get())
        with pytest.raises(Empty):
            made.get_nowait()
        with pytest.raises(BlockingSwitchOutError):
            made.get()

    get_hub().run_callback(callback)
    sleep(0)
    assert seen == [1]


def test_a_get_that_nothing_can_wake_is_named_in_the_error(kind):
    made = kind()
    with pytest.raises(LoopExit, match="waits on <"):
        made.get()


def test_every_item_passes_between_threads_once(kind):
    made, results = kind(3), []

    def put(numbers):
        for number in numbers:
            made.put(number)

    def get(count):
        results.extend([made.get(timeout=10) for _ in range(count)])

    threads = [threading.Thread(target=put, args=(range(200),))]
    threads.append(threading.Thread(target=lambda: spawn(put, range(200, 400)).get()))
    threads.append(threading.Thread(target=get, args=(250,)))
    for thread in threads:
        thread.start()
    jobs = [spawn(put, range(400, 500)), spawn(get, 250)]
    joinall(jobs)
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(500)) and made.empty()


# --- tasks and shutdown -----------------------------------------------------------------------------------------


@pytest.fixture(params=WITH_TASKS, ids=lambda kind: kind.__name__)
def with_tasks(request):
    return request.param


def test_task_done_and_join(with_tasks):
    made = with_tasks()
    assert made.join() is True
    made.put(1)
    made.put(2)
    assert made.unfinished_tasks == 2 and "tasks=2" in repr(made)
    assert made.join(timeout=0.001) is False
    job = spawn(made.join)
    sleep(0)
    assert "1 waiting to join" in repr(made)
    for _ in range(2):
        made.get()
        assert not job.ready()
        made.task_done()
    assert job.get() is True
    with pytest.raises(ValueError, match="too many"):
        made.task_done()


def test_tasks_of_direct_hand_overs(with_tasks):
    made = with_tasks(1)
    getter = spawn(made.get)
    sleep(0)
    made.put(1)
    assert made.unfinished_tasks == 1 and getter.get() == 1
    made.put(2)
    putter = spawn(made.put, 3)
    sleep(0)
    assert made.unfinished_tasks == 2
    made.get()
    assert made.unfinished_tasks == 3
    putter.get()
    assert with_tasks(items=[1, 2]).unfinished_tasks == 2
    assert with_tasks(items=[1, 2], unfinished_tasks=5).unfinished_tasks == 5


def test_a_queue_that_is_shut_down_gives_what_it_has_and_takes_nothing(with_tasks):
    made = with_tasks(2)
    made.put(1)
    made.shutdown()
    assert made.is_shutdown and "shut down" in repr(made)
    with pytest.raises(ShutDown):
        made.put(2)
    assert made.get() == 1
    for method in (made.get, made.get_nowait, made.peek):
        with pytest.raises(ShutDown):
            method()
    assert list(made) == []


def raises_shutdown(function, *args):
    with pytest.raises(ShutDown):
        function(*args)
    return True


def test_shutdown_wakes_all(with_tasks):
    empty, full = with_tasks(), with_tasks(1, items=[0])
    jobs = [spawn(raises_shutdown, empty.get), spawn(raises_shutdown, empty.peek), spawn(raises_shutdown, full.put, 1)]
    joining = spawn(full.join)
    sleep(0)
    empty.shutdown()
    full.shutdown(immediate=True)
    assert all(job.get() for job in jobs) and joining.get() is True
    assert full.empty() and full.unfinished_tasks == 0
    raises_shutdown(full.get)


# --- hooks ------------------------------------------------------------------------------------------------------


def test_priority_with_items_that_cannot_be_compared():
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


def test_the_error_of_a_putter_that_waited_is_his_own():
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
    """Raises `error`, once or `always`, in the hook of that name."""

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
def test_the_error_of_a_getter_that_waited_is_his_own(hook, with_mutex):
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


def test_the_error_of_a_putter_who_waits_for_room_is_his_own():
    class Counting(HookedQueue):
        calls = 100

        def _qsize(self):
            self.calls += 1
            if self.calls == 2:  # the first is that of get()
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


def test_the_error_of_who_peeks_is_his_own():
    made = Failing()
    peeker = failing_job(made.peek)
    made.hook, made.error, made.always = "_qsize", ValueError("size"), True
    made.put("item")
    with pytest.raises(ValueError, match="size"):
        peeker.get(timeout=5)
    made.error = None
    assert made.get() == "item"


def test_an_error_in_a_hand_over_between_threads():
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


def test_what_is_no_error_is_raised_in_who_runs_as_well():
    made = Failing()
    getter = failing_job(made.get)
    made.hook, made.error = "_get", Timeout(None)
    with pytest.raises(Timeout):
        made.put("item")
    with pytest.raises(Timeout):
        getter.get(timeout=5)
    assert made.get_nowait() == "item"


def test_a_comparison_that_fails_in_a_hand_over():
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
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: told.append((type(args.exc_value), args.err_msg)))
    made = Failing()
    getter = failing_job(made.get)
    made.hook, made.error = "_get", ValueError("hook")
    thread = threading.Thread(target=made.put, args=("item",))
    thread.start()
    thread.join()  # he is to be woken, but the loop has not run
    getter.kill()
    assert told == [(ValueError, "Exception ignored in get(), for one who was ended meanwhile, of")]
    assert made.get() == "item"


def test_a_queue_whose_hooks_fail_is_shut_down():
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


def test_put_in_the_middle_of_a_comparison():
    """A finalizer, or a comparison, puts into the very queue that is being changed."""
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


def test_a_hook_that_blocks_does_not_let_others_in():
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


def test_finalizers_that_put():
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


# --- Channel ----------------------------------------------------------------------------------------------------


def test_channel_hands_over():
    channel, log = Channel(), []

    def put():
        for item in (1, 2, StopIteration):
            channel.put(item)
            log.append(("put", item))

    job = spawn(put)
    sleep(0)
    assert log == [] and channel.balance == 1 and "1 waiting to put" in repr(channel)
    assert list(channel) == [1, 2]
    job.get()
    assert channel.balance == 0 and channel.empty() and channel.full() and channel.qsize() == 0 == len(log) - 3


def test_channel_without_waiting():
    channel = Channel()
    with pytest.raises(Full):
        channel.put_nowait(1)
    with pytest.raises(Empty):
        channel.get_nowait()
    with pytest.raises(Full):
        channel.put(1, timeout=0.001)
    with pytest.raises(Empty):
        channel.get(timeout=0.001)
    job = spawn(channel.get)
    sleep(0)
    assert channel.balance == -1
    channel.put_nowait(5)
    assert job.get() == 5
    job = spawn(channel.put, 6)
    sleep(0)
    assert channel.get_nowait() == 6
    job.get()
    with pytest.raises(ValueError):
        Channel(2)
    assert channel.maxsize == 1 and Channel[int] is Channel


def test_channel_kill_and_force():
    channel = Channel()
    jobs = [spawn(channel.put, number) for number in range(3)]
    sleep(0)
    jobs[0].kill()
    assert channel.get() == 1 and channel.get() == 2
    victim = spawn(channel.get)
    victim.reports_errors = False
    sleep(0)

    def force():
        channel.put("item")
        victim.throw(KeyError())

    get_hub().run_callback(force)
    victim.join()
    assert channel.get() == "item"


def test_channel_between_threads():
    channel = Channel()
    thread = threading.Thread(target=lambda: [channel.put(number) for number in range(100)])
    thread.start()
    assert [channel.get() for _ in range(100)] == list(range(100))
    thread.join()


# --- what the standard library's queues let programs use ----------------------------------------------------------


ALL_KINDS = pytest.mark.parametrize("kind", [Queue, LifoQueue, PriorityQueue])


@ALL_KINDS
def test_the_mutex_holds_others_off(kind):
    made, did = kind(3, [1]), []

    def use(name, *arguments):
        did.append((name, getattr(made, name)(*arguments)))

    uses = [("put", 2), ("get",), ("qsize",), ("empty",), ("full",), ("task_done",), ("put_nowait", 3), ("get_nowait",)]
    with made.mutex:
        jobs = [spawn(use, *each) for each in uses]
        until_waiting(*jobs)
        assert did == [] and len(made.queue) == 1
    joinall(jobs)
    assert [name for name, _ in did] == [name for name, *_ in uses] and made.unfinished_tasks == 2
    assert made.qsize() == 1 and not made.mutex.locked()


@ALL_KINDS
def test_programs_empty_a_queue_with_its_mutex(kind):
    made = kind(2, [1, 2])
    putter, joiner = spawn(made.put, 3), spawn(made.join)
    sleep(0)
    with made.mutex:
        made.queue.clear()
        made.unfinished_tasks = 0
        made.all_tasks_done.notify_all()
        made.not_full.notify_all()
    assert joiner.get() and putter.get() is None and made.get() == 3 and made.unfinished_tasks == 1


@ALL_KINDS
def test_programs_put_and_get_with_its_mutex(kind):
    made = kind()
    before, picky = spawn(made.get), []

    def wait_for_two():
        with made.not_empty:
            while made._qsize() < 2:
                made.not_empty.wait()
            picky.append([made._get(), made._get()])
            made.not_full.notify()

    sleep(0)
    job = spawn(wait_for_two)
    sleep(0)
    after = spawn(made.get)
    sleep(0)
    with made.mutex:
        made._put(1)
        made._put(2)
        made.not_empty.notify()
    joinall([before, after], timeout=1)
    assert sorted([before.get(False), after.get(False)]) == [1, 2]
    made.put(3)
    made.put(4)
    job.get()
    assert sorted(picky[0]) == [3, 4] and made.empty()


def test_joining_with_a_timeout_by_the_condition():
    made = Queue()
    made.put(1)
    with made.all_tasks_done:
        assert not made.all_tasks_done.wait(0.001) and made.unfinished_tasks == 1
    spawn(made.task_done)
    with made.all_tasks_done:
        assert made.all_tasks_done.wait_for(lambda: made.unfinished_tasks == 0, 5)


def test_a_full_queue_with_a_mutex():
    made = Queue(1)
    assert made.not_full.notify is not None and made.full() is False
    made.put(1)
    with pytest.raises(Full):
        made.put(2, timeout=0.001)
    with pytest.raises(Full):
        made.put_nowait(2)
    putters = [spawn(made.put, number) for number in (2, 3)]
    sleep(0)
    made.maxsize = 2
    sleep(0)
    assert [each.ready() for each in putters] == [True, False]
    assert [made.get() for _ in range(3)] == [1, 2, 3]
    with pytest.raises(Empty):
        made.get(timeout=0.001)
    with pytest.raises(Empty):
        made.get_nowait()


def test_a_taker_that_is_killed_leaves_the_item_where_it_was():
    made = Queue()
    getter = spawn(made.get)
    sleep(0)
    with made.mutex:
        made._put(1)
        made._put(2)
        getter.kill(block=False)
    joinall([getter])
    assert [made.get(), made.get()] == [1, 2]


def test_the_end_of_a_queue_with_a_mutex():
    made = Queue(1)
    with made.mutex:
        getter, asked = spawn(made.get), spawn(made.shutdown)
        sleep(0)
    asked.get()
    with pytest.raises(ShutDown):
        getter.get()
    with pytest.raises(ShutDown):
        made.put(1)
    full = Queue(1, [1])
    assert full.mutex.locked() is False
    putter, joiner = spawn(full.put, 2), spawn(full.join)
    sleep(0)
    full.shutdown(immediate=True)
    with pytest.raises(ShutDown):
        putter.get()
    assert joiner.get() and full.empty()


def test_a_subclass_uses_the_mutex_in_its_methods():
    class Unique(Queue):
        def _init(self, maxsize):
            self.queue, self.seen = [], set()

        def _put(self, item):
            assert self.mutex.locked()
            if item not in self.seen:
                self.seen.add(item)
                self.queue.append(item)

        def _get(self):
            return self.queue.pop(0)

    made = Unique()
    getter = spawn(made.get)
    sleep(0)
    for item in (1, 1, 2):
        made.put(item)
    assert getter.get() == 1 and made.get() == 2 and made.empty() and not made.mutex.locked()


def test_a_subclass_asks_for_its_mutex_when_a_getter_is_served():
    class Asking(Queue):
        def _get(self):
            assert self.mutex.locked()
            return super()._get()

    made = Asking()
    getter = spawn(made.get)
    sleep(0)
    made.put(1)
    assert getter.get() == 1 and not made.mutex.locked()
    made.put_nowait(2)
    assert made.get_nowait() == 2


def test_the_mutex_between_threads():
    made, got = Queue(2), []

    def produce():
        for number in range(300):
            made.put(number)

    def tidy():
        for _ in range(300):
            with made.mutex:
                made.queue.append(made.queue.popleft()) if made.queue else None

    def consume():
        for _ in range(300):
            got.append(made.get())

    threads = [threading.Thread(target=each) for each in (produce, produce, tidy, tidy, consume, consume)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(got) == sorted([*range(300)] * 2) and made.empty()


def test_a_queue_and_its_mutex_go_together():
    made = Queue()
    mutex, gone = made.mutex, weakref.ref(made)
    made.note = made.describe
    del made.note, made
    gc.collect()
    assert gone() is None
    with mutex:
        pass


def test_a_negative_timeout_is_refused_where_there_is_room():
    with pytest.raises(ValueError, match="non-negative"):
        Queue(1).put(1, timeout=-1)
    Queue().put(1, timeout=-1)  # as in the standard library


def test_an_item_of_a_finalizer_that_cannot_be_put_is_told(capfd, monkeypatch):
    """Where nobody can be told by an exception; Python's own hook prints it."""
    monkeypatch.setattr("sys.unraisablehook", sys.__unraisablehook__)

    class Picky(Queue):
        def _put(self, item):
            if item == "outer":
                self.put("inner")  # as a finalizer would, in the middle of this put
            if item == "inner":
                raise ValueError("not this one")
            super()._put(item)

    made = Picky()
    made.put("outer")
    assert made.get() == "outer" and made.empty()
    told = capfd.readouterr().err
    assert "Exception ignored of an item that was put into" in told and "ValueError: not this one" in told
