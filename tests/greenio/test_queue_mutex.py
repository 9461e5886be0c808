"""A queue's mutex and conditions, which programs may use as those of the standard library's queues."""

import gc
import threading
import weakref

import pytest
from waiting import until_waiting

from greenio import joinall, sleep, spawn
from greenio.queue import Empty, Full, LifoQueue, PriorityQueue, Queue, ShutDown

ALL_KINDS = pytest.mark.parametrize("kind", [Queue, LifoQueue, PriorityQueue])


@ALL_KINDS
def test_the_mutex_keeps_other_greenlets_out(kind):
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


def test_the_condition_of_all_tasks_done_is_notified():
    made = Queue()
    made.put(1)
    with made.all_tasks_done:
        assert not made.all_tasks_done.wait(0.001) and made.unfinished_tasks == 1
    spawn(made.task_done)
    with made.all_tasks_done:
        assert made.all_tasks_done.wait_for(lambda: made.unfinished_tasks == 0, 5)


def test_a_queue_with_a_mutex_keeps_its_size():
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


def test_a_queue_with_a_mutex_can_be_shut_down():
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


def test_threads_may_use_the_mutex():
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


def test_a_queue_is_freed_while_its_mutex_is_kept():
    made = Queue()
    mutex, gone = made.mutex, weakref.ref(made)
    made.note = made.describe
    del made.note, made
    gc.collect()
    assert gone() is None
    with mutex:
        pass
