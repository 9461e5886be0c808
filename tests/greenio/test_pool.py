"""Group, Pool and the mapping methods."""

import threading

import pytest
from waiting import let_others_run, until

from greenio import Greenlet, GreenletExit, Timeout, get_hub, getcurrent, sleep, spawn
from greenio.event import Event
from greenio.pool import Group, Pool, PoolFull
from greenio.queue import Full
from greenio.threadpool import ThreadPool

pytestmark = pytest.mark.usefixtures("quiet")

POOLS = {"Group": Group, "Pool": Pool, "Pool(3)": lambda: Pool(3), "threads": lambda: ThreadPool(3)}


@pytest.fixture(params=POOLS.values(), ids=POOLS)
def pool(request):
    made = request.param()
    yield made
    made.kill()
    made.join()
    if isinstance(made, ThreadPool):
        until(lambda: not made._threads)


def double(number):
    sleep(0.001 * (number % 3))
    return number * 2


def fail_on_two(number):
    if number == 2:
        raise KeyError(number)
    return number


def test_apply_and_map_return_results(pool):
    assert pool.apply(double, (4,)) == 8 == pool.apply(double, kwds={"number": 4})
    assert pool.map(double, range(10)) == list(range(0, 20, 2))
    seen = []
    assert pool.apply_cb(double, (1,), callback=seen.append) == 2
    assert pool.map_cb(double, [1, 2], seen.append) == [2, 4]
    assert seen == [2, [2, 4]]
    assert pool.map(double, []) == []


def test_async_forms_call_back_with_the_result(pool):
    seen = []
    assert pool.apply_async(double, (5,), callback=seen.append).get() == 10
    assert pool.map_async(double, range(5), callback=seen.append).get() == [0, 2, 4, 6, 8]
    until(lambda: len(seen) == 2)
    assert seen == [10, [0, 2, 4, 6, 8]]
    failed = pool.apply_async(fail_on_two, (2,), callback=seen.append)
    with pytest.raises(KeyError):
        failed.get()
    jobs = [pool.apply_async(double, (number,)) for number in range(10)]  # more jobs than places
    assert [job.get() for job in jobs] == list(range(0, 20, 2))
    sleep(0)
    assert len(seen) == 2


def test_the_error_of_a_job_is_raised_by_what_gets_its_result(pool):
    with pytest.raises(KeyError):
        pool.apply(fail_on_two, (2,))
    with pytest.raises(KeyError):
        pool.map(fail_on_two, range(5))
    with pytest.raises(KeyError):
        pool.map_async(fail_on_two, range(5)).get()
    assert pool.join(timeout=5) is True


def test_imap_yields_results_in_order(pool):
    assert list(pool.imap(double, range(10))) == list(range(0, 20, 2))
    assert sorted(pool.imap_unordered(double, range(10))) == list(range(0, 20, 2))
    assert list(pool.imap(pow, [2, 3], [3, 2])) == [8, 9]
    assert list(pool.imap(double, range(10), maxsize=1)) == list(range(0, 20, 2))
    assert sorted(pool.imap_unordered(double, range(10), maxsize=2)) == list(range(0, 20, 2))
    with pytest.raises(ValueError, match="maxsize"):
        pool.imap(double, [], maxsize=0)


def test_imap_raises_an_error_in_its_place(pool):
    results = pool.imap(fail_on_two, range(4))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(KeyError):
        next(results)
    assert next(results) == 3
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(results)


def test_an_iterable_that_fails_ends_the_iteration(pool):
    def numbers():
        yield 1
        raise OSError("no more")

    results = pool.imap(double, numbers())
    assert next(results) == 2
    with pytest.raises(OSError, match="no more"):
        next(results)
    assert list(results) == []


def test_imap_unordered_yields_results_as_they_come():
    gates = [Event() for _ in range(3)]
    results = Group().imap_unordered(lambda number: (gates[number].wait(), number)[1], range(3))
    for number in (1, 2, 0):
        gates[number].set()
        assert next(results) == number


def test_imap_maxsize_holds_back():
    begun = []
    results = Pool(10).imap(begun.append, range(10), maxsize=2)
    let_others_run()
    assert begun == [0, 1]
    next(results)
    let_others_run()
    assert begun == [0, 1, 2]
    results.kill()


# --- Group ------------------------------------------------------------------------------------------------------


def test_members_leave_a_group_when_they_end():
    outside = spawn(sleep, 10)
    group = Group(outside)
    job = group.spawn(sleep, 0.001)
    assert len(group) == 2 and job in group and set(group) == {job, outside} and group
    assert "2 greenlets" in repr(group)
    job.join()
    assert len(group) == 1 and job not in group
    group.add(outside)
    group.discard(outside)
    group.discard(outside)
    assert not group and group.join() is True and not outside.ready()
    outside.kill()
    assert not group.full() and group.wait_available() is None


def test_a_finished_greenlet_leaves_at_once():
    group = Group(spawn(sleep, 0))
    group.join()
    finished = spawn(int)
    finished.join()
    group.add(finished)
    assert group.join(timeout=1) is True


def test_join_waits_for_all_members():
    group = Group()
    job = group.spawn(sleep, 10)
    assert group.join(timeout=0.001) is False
    job.kill()
    assert group.join() is True
    group.spawn(fail_on_two, 2)
    assert group.join() is True
    group.spawn(fail_on_two, 2)
    with pytest.raises(KeyError):
        group.join(raise_error=True)


def test_kill_kills_members_that_come_meanwhile():
    group = Group()

    def stubborn():
        try:
            sleep(10)
        except GreenletExit:
            group.spawn(sleep, 10)

    group.spawn(stubborn)
    group.spawn(sleep, 10)
    sleep(0)
    group.kill()
    assert len(group) == 0 and not group.dying


def test_kill_returns_after_its_timeout():
    group = Group()

    def stubborn():
        with pytest.raises(GreenletExit):
            sleep(10)
        sleep(0.02)

    job = group.spawn(stubborn)
    sleep(0)
    assert group.kill(timeout=0.001) is None
    assert job in group and job in group.dying
    with pytest.raises(Timeout):
        with Timeout(0.001):
            group.kill()
    group.join()


def test_killone_ends_one_member_only():
    group = Group()
    first, second = group.spawn(sleep, 10), group.spawn(sleep, 10)
    sleep(0)
    group.killone(first, KeyError())
    assert isinstance(first.exception, KeyError) and second in group
    group.killone(second, block=False)
    assert second in group.dying
    group.join()
    group.killone(first)


def test_subclasses_may_choose_the_class_of_greenlets():
    class Mine(Greenlet):
        pass

    class Counting(Pool):
        greenlet_class = Mine
        started = 0

        def start(self, greenlet):
            self.started += 1
            super().start(greenlet)

    pool = Counting(2)
    assert type(pool.spawn(sleep)) is Mine and pool.map(double, range(3)) == [0, 2, 4] and pool.started == 4
    assert type(Pool(1, greenlet_class=Mine).spawn(sleep)) is Mine


# --- Pool -------------------------------------------------------------------------------------------------------


def test_a_full_pool_refuses_or_waits():
    pool = Pool(2)
    jobs = [pool.spawn(sleep, 10) for _ in range(2)]
    assert pool.full() and pool.free_count() == 0 and "2 greenlets, size=2" in repr(pool)
    extra = Greenlet(sleep)
    for options in ({"blocking": False}, {"timeout": 0.001}):
        with pytest.raises(PoolFull, match="is full"):
            pool.add(extra, **options)
    assert issubclass(PoolFull, Full) and extra not in pool
    assert pool.wait_available(timeout=0.001) == 0
    waiting = spawn(pool.spawn, sleep, 10)
    sleep(0)
    assert not waiting.ready() and "1 waiting for a place, 0 waiting to join" in repr(pool)
    jobs[0].kill()
    assert waiting.get() in pool and pool.full()
    pool.kill()
    assert pool.free_count() == 2 == pool.wait_available()


def test_the_size_limits_the_number_of_greenlets():
    assert Pool().free_count() == 1 == Pool().wait_available() and not Pool().full()
    assert Pool(0).full()
    with pytest.raises(PoolFull):
        Pool(0).add(Greenlet(), blocking=False)
    with pytest.raises(ValueError, match="negative"):
        Pool(-1)


def test_a_waiter_that_is_killed_takes_no_place():
    pool = Pool(1)
    pool.spawn(sleep, 10)
    waiting = spawn(pool.spawn, sleep, 10)
    sleep(0)
    waiting.kill()
    assert len(pool) == 1
    pool.kill()
    assert pool.free_count() == 1


def test_apply_by_a_member_of_a_full_pool_calls_the_function_itself():
    pool = Pool(1)
    assert pool.apply(lambda: pool.apply(getcurrent) is getcurrent()) is True


def test_never_more_greenlets_run_than_the_size():
    pool, inside, most = Pool(3), [], []

    def work(_):
        inside.append(1)
        most.append(len(inside))
        sleep(0)
        inside.pop()

    pool.map(work, range(50))
    assert max(most) == 3


def test_map_leaves_the_pool_empty_when_one_fails_early():
    pool = Pool(2)
    with pytest.raises(KeyError):
        pool.map(fail_on_two, range(10))
    assert pool.join(1) and pool.free_count() == 2


def test_threads_may_share_a_pool():
    pool, done = Pool(3), []

    def work(number):
        sleep(0)
        done.append(number)

    def spawn_from_here(base):
        for number in range(50):
            pool.spawn(work, base + number)
        until(lambda: len(done) == 150)

    threads = [threading.Thread(target=spawn_from_here, args=(base,)) for base in (100, 200)]
    for thread in threads:
        thread.start()
    spawn_from_here(0)
    for thread in threads:
        thread.join()
    assert len(set(done)) == 150 and pool.join(5) and pool.free_count() == 3


def test_members_that_would_all_wait_for_a_place_get_an_error():
    """The last member to wait gets an error, as otherwise none would ever end."""
    pool = Pool(2)

    def member():
        return pool.spawn(int).get()

    first, second = pool.spawn(member), pool.spawn(member)
    with pytest.raises(RuntimeError, match="the last of its members to wait for a place"):
        second.get(timeout=30)
    assert first.get(timeout=30) == 0  # it has the place of the other one
    pool.join()
    assert pool.free_count() == 2


def test_members_that_would_all_wait_get_an_error_though_others_run():
    pool = Pool(1)
    ticking = spawn(lambda: [sleep(0.001) for _ in range(100_000)])
    with pytest.raises(RuntimeError, match="Use a larger pool"):
        pool.spawn(pool.map, int, [1]).get(timeout=30)
    ticking.kill()


def test_members_may_wait_while_another_one_runs():
    pool, others = Pool(2), Pool(1)
    go = Event()

    def member():
        return pool.spawn(int).get()

    busy = pool.spawn(go.wait)
    waiting = pool.spawn(member)
    sleep(0)
    outside = spawn(pool.spawn, int)  # a greenlet that is no member may always wait
    elsewhere = pool.greenlet_class.spawn(others.map, int, [1, 2])  # waits for another pool
    sleep(0)
    assert elsewhere.get(timeout=30) == [1, 2]
    go.set()
    assert waiting.get(timeout=30) == 0 and outside.get(timeout=30).get(timeout=30) == 0 and busy.ready()


def test_a_member_may_wait_with_a_timeout():
    pool = Pool(1)

    def member():
        with pytest.raises(PoolFull):
            pool.start(Greenlet(int), timeout=0.001)
        return True

    assert pool.spawn(member).get(timeout=30)


def test_a_member_that_gave_up_waiting_does_not_count():
    pool, gave_up = Pool(2), Event()

    def member():
        with Timeout(0.001, False):
            pool.spawn(int)
        gave_up.set()
        sleep(60)

    first = pool.spawn(member)
    second = pool.spawn(sleep, 60)
    gave_up.wait()
    third = spawn(pool.spawn, int)
    sleep(0)
    first.kill()
    assert third.get(timeout=30).get(timeout=30) == 0
    second.kill()


def test_kill_waits_for_a_member_whose_end_is_interrupted():
    """A finalizer waits after the greenlet has its result, and before the group is told."""
    begun, go_on = Event(), Event()

    class Waits:
        def __del__(self):
            begun.set()
            go_on.wait()

    group = Group()
    greenlet = group.spawn(lambda waits: None, Waits())
    begun.wait()
    assert greenlet.ready() and len(group) == 1
    get_hub().run_callback(go_on.set)
    group.kill()
    assert len(group) == 0
