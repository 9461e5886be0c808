"""Queues of every kind."""

import queue as standard
import threading

import pytest
from hooked_queue import HookedQueue
from hub import BlockingSwitchOutError, LoopExit

from greenio import Timeout, get_hub, joinall, kill, sleep, spawn
from greenio.queue import Empty, Full, JoinableQueue, LifoQueue, PriorityQueue, Queue, ShutDown, SimpleQueue

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


def test_gets_of_an_empty_and_puts_into_a_full_queue_fail(kind):
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


def test_an_item_belongs_to_the_first_getter(kind):
    """Other calls find nothing, though the getter has not run yet."""
    made = kind()
    job = spawn(made.get)
    sleep(0)
    made.put(1)
    with pytest.raises(Empty):
        made.get_nowait()
    assert job.get() == 1


def test_killed_getters_and_putters_lose_no_item(kind):
    made = kind(1)
    getters = [spawn(made.get) for _ in range(3)]
    sleep(0)
    getters[0].kill()
    made.put("a")
    kill(getters[1])  # too late: it has its item already
    made.put("b")
    assert getters[1].get() == "a" and getters[2].get() == "b"

    made.put(0)
    putters = [spawn(made.put, number) for number in (1, 2, 3)]
    sleep(0)
    putters[1].kill()
    assert [made.get() for _ in range(3)] == [0, 1, 3] and made.empty()


def test_a_timeout_ends_a_get(kind):
    made = kind()
    with pytest.raises(Timeout):
        with Timeout(0.001):
            made.get()
    made.put(1)
    assert made.get() == 1


def test_a_getter_that_greenlet_throws_into_gives_its_item_back(kind):
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


def test_queues_can_be_subscripted_and_copied(kind):
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


def test_calls_in_a_callback_work_unless_they_wait(kind):
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


def test_items_that_are_handed_over_count_as_tasks(with_tasks):
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


def test_a_negative_timeout_is_refused_where_there_is_room():
    with pytest.raises(ValueError, match="non-negative"):
        Queue(1).put(1, timeout=-1)
    Queue().put(1, timeout=-1)  # as in the standard library
