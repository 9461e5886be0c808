"""Four threads with 200 greenlets each on one object, with kills and timeouts: counted exactly, and done in time.

Every actor has a random generator of its own, made from one seed; what the threads do to each other differs from run
to run. At the end nothing that was released, put or set may be lost, and nothing may have come twice.
"""

import gc
import random
import threading
import time

import pytest
from hub import BlockingSwitchOutError

from greenio import GreenletExit, Timeout, get_hub, joinall, sleep, spawn
from greenio.event import AsyncResult, Event
from greenio.lock import Lock, RLock, Semaphore
from greenio.queue import Channel, Empty, LifoQueue, PriorityQueue, Queue, SimpleQueue

THREADS = 4
GREENLETS = 200
ROUNDS = 10
DEADLINE = 60


class Actors:
    """Runs `act(random)` in all the greenlets of all the threads, and kills some of those now and then."""

    def __init__(self, act, plain=None):
        self.act = act
        self.plain = plain
        self.failures = []
        self.running = THREADS

    def run(self):
        threads = [threading.Thread(target=self.thread, args=(number,)) for number in range(THREADS)]
        if self.plain is not None:
            threads += [threading.Thread(target=self.guarded, args=(self.plain, 100 + n)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        stuck = [thread for thread in threads if thread.is_alive()]
        assert not stuck, f"{len(stuck)} threads are stuck"
        assert not self.failures, self.failures[:3]

    def thread(self, number):
        numbers = random.Random(number)
        get_hub().exception_stream = None
        actors = [spawn(self.guarded, self.act, number * 1000 + n) for n in range(GREENLETS)]
        killer = spawn(self.kill, actors, numbers)
        joinall(actors, timeout=DEADLINE)
        killer.kill()
        if not all(actor.ready() for actor in actors):
            self.failures.append(get_hub().format_waits())
            for actor in actors:
                actor.kill(block=False)
            sleep(0)

    def guarded(self, act, seed):
        try:
            act(random.Random(seed))
        except GreenletExit:
            pass
        except BaseException as error:
            self.failures.append(repr(error))

    def kill(self, actors, numbers):
        while True:
            sleep(0.001)
            numbers.choice(actors).kill(block=False)


def pause(numbers):
    if numbers.random() < 0.7:
        sleep(0 if numbers.random() < 0.8 else 0.0005)


@pytest.mark.parametrize("make", [Lock, RLock, lambda: Semaphore(1), lambda: Semaphore(3)], ids=["L", "R", "S1", "S3"])
def test_locks_never_let_too_many_in(make):
    lock = make()
    limit = 3 if lock.__class__ is Semaphore and lock.counter == 3 else 1
    inside, most = [], []

    def act(numbers):
        for _ in range(ROUNDS):
            timeout = numbers.choice([None, None, 0.001, 0.01])
            if not lock.acquire(timeout=timeout):
                continue
            try:
                inside.append(1)
                most.append(len(inside))
                pause(numbers)
            finally:
                inside.pop()
                lock.release()

    def plain(numbers):
        for _ in range(ROUNDS * 20):
            if lock.acquire(
                timeout=numbers.choice([-1, 0.001]) if limit == 1 and type(lock) is not Semaphore else None
            ):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                lock.release()

    Actors(act, plain).run()
    assert max(most) <= limit and not inside
    for _ in range(limit):
        assert lock.acquire(False)
    if type(lock) is not RLock:
        assert not lock.acquire(False), "it was released once too often"
    assert "0 waiting" in repr(lock)


@pytest.mark.parametrize("make", [
    Queue, SimpleQueue, LifoQueue, PriorityQueue, lambda: Queue(1), lambda: PriorityQueue(2), Channel,
], ids=["Queue", "SimpleQueue", "LifoQueue", "PriorityQueue", "Queue1", "PriorityQueue2", "Channel"])  # fmt: skip
def test_queues_lose_and_double_no_item(make):
    queue = make()
    accepted, received = [], []
    next_item = iter(range(10**9)).__next__

    def act(numbers):
        for _ in range(ROUNDS):
            if numbers.random() < 0.5:
                item = next_item()
                try:
                    queue.put(item, timeout=numbers.choice([0.001, 0.01]))
                except Exception:
                    continue
                accepted.append(item)
            else:
                try:
                    received.append(queue.get(timeout=numbers.choice([0.001, 0.01])))
                except Empty:
                    continue
            pause(numbers)

    Actors(act, act).run()
    while True:
        try:
            received.append(queue.get_nowait())
        except Empty:
            break
    assert len(received) == len(set(received)), "an item came twice"
    assert sorted(received) == sorted(accepted)
    assert len(received) > ROUNDS * GREENLETS // 10
    assert "waiting" not in repr(queue) or "0 waiting to get, 0 waiting to put" in repr(queue)


def test_an_event_leaves_no_waiter_behind():
    event, waits = Event(), []

    def act(numbers):
        for _ in range(ROUNDS):
            choice = numbers.random()
            if choice < 0.2:
                event.set()
            elif choice < 0.4:
                event.clear()
            else:
                waits.append(event.wait(timeout=0.005))
            pause(numbers)

    Actors(act, act).run()
    assert event.linkcount() == 0 and True in waits


def test_all_getters_of_a_result_get_the_same():
    """Each result is set once, by anybody, and got by many: all get the same."""
    results = [AsyncResult() for _ in range(200)]
    setters = [threading.Lock() for _ in results]
    got = [set() for _ in results]

    def act(numbers):
        for _ in range(ROUNDS):
            index = numbers.randrange(len(results))
            if numbers.random() < 0.3 and setters[index].acquire(blocking=False):
                results[index].set(numbers.random())
            else:
                try:
                    got[index].add(results[index].get(timeout=0.005))
                except Timeout:
                    pause(numbers)

    Actors(act, act).run()
    assert all(len(values) <= 1 for values in got)
    assert all(result.linkcount() == 0 for result in results) and sum(map(len, got)) > 20
    for result, values in zip(results, got, strict=True):
        assert not values or values == {result.get_nowait()}


def test_one_async_result():
    """Many greenlets wait for one result: all get it that are not killed and do not time out, and none is left."""
    result, got = AsyncResult(), []

    def act(numbers):
        for _ in range(ROUNDS):
            try:
                got.append(result.get(timeout=numbers.choice([0.001, 0.01, 5])))
            except Timeout:
                pause(numbers)

    def set_it(numbers):
        while not result.ready() and result.linkcount() < GREENLETS:
            time.sleep(0.001)
        result.set("value")

    Actors(act, set_it).run()
    assert set(got) == {"value"} and len(got) > GREENLETS and result.linkcount() == 0


def test_no_thread_starves():
    """Threads that hand a lock on to each other all get on, a plain one too."""
    lock, turns, stop = Lock(), dict.fromkeys("abcd", 0), threading.Event()

    def work(name):
        while not stop.is_set():
            with lock:
                turns[name] += 1
                if turns[name] >= 100 and min(turns.values()) >= 100:
                    stop.set()
            if name != "d":
                sleep(0)

    threads = [threading.Thread(target=lambda name=name: spawn(work, name).get()) for name in "abc"]
    threads.append(threading.Thread(target=work, args=("d",)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    stop.set()
    assert min(turns.values()) >= 100, turns


def test_finalizers_that_wait():
    """Collections, and with them finalizers, run anywhere; these let others run, in the middle of whatever it is."""
    queue, received, waited, refused = Queue(3), [], [], []

    class Waits:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            try:
                sleep(0 if len(waited) % 3 else 0.0001)
                waited.append(1)
            except BlockingSwitchOutError:
                refused.append(1)  # on the hub greenlet

    def put(base):
        for number in range(50):
            Waits()
            queue.put(base + number)
            sleep(0)

    def get():
        for _ in range(50):
            Waits()
            received.append(queue.get())

    thresholds = gc.get_threshold()
    gc.set_threshold(7, 2, 2)
    try:
        joinall([spawn(put, base) for base in range(0, 1000, 50)] + [spawn(get) for _ in range(20)], raise_error=True)
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert sorted(received) == list(range(1000)) and waited
    assert "waiting" not in repr(queue)


def test_a_finalizer_that_waits_on_the_hub_is_told(monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: told.append(unraisable.exc_value))

    class Waits:
        def __del__(self):
            Event().wait()

    get_hub().run_callback(Waits)
    sleep(0)
    assert len(told) == 1 and isinstance(told[0], BlockingSwitchOutError)
