"""ThreadPool and ThreadPoolExecutor."""

import concurrent.futures
import gc
import os
import threading
import time
import weakref
from os import waitstatus_to_exitcode

import pytest
from hub import get_hub_if_exists
from waiting import LIMIT, until, until_others_ran, until_waiting

import greenio
from greenio import Timeout, get_hub, joinall, sleep, spawn
from greenio.event import Event
from greenio.os import waitpid
from greenio.pool import Pool
from greenio.threadpool import ThreadPool, ThreadPoolExecutor, count_threads


def ended(pool):
    pool.kill()
    until(lambda: not pool._threads)


@pytest.fixture
def pool():
    made = ThreadPool(2)
    yield made
    ended(made)


def test_tasks_run_in_real_threads_while_greenlets_go_on(pool, ticks):
    assert pool.apply(threading.get_ident) != threading.get_ident()
    assert pool.apply(until_others_ran, (ticks,)) is True


def test_spawn_returns_a_result_that_can_be_awaited(pool):
    result = pool.spawn(pow, 2, 10)
    assert result.get() == 1024 and result.successful()
    assert greenio.wait([pool.spawn(int), pool.spawn(int)], timeout=5)
    assert pool.join() is True and len(pool) == 0 and pool


def test_errors_are_raised_and_those_of_spawn_reported_too(pool, capsys):
    with pytest.raises(ZeroDivisionError):
        pool.apply(lambda: 1 / 0)
    assert capsys.readouterr().err == ""
    result = pool.spawn(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result.get()
    sleep(0)
    assert "ThreadPool" in capsys.readouterr().err
    with pytest.raises(TypeError, match="callable"):
        pool.spawn(3)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), BaseException("x")])
def test_system_errors_do_not_end_the_thread(pool, error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        pool.apply(fail)
    assert pool.apply(int) == 0


def test_spawn_waits_while_all_are_busy(pool):
    gate = threading.Event()
    busy = [pool.spawn(gate.wait) for _ in range(2)]
    assert pool.full()
    third = spawn(pool.spawn, int)
    until_waiting(third)
    assert not third.ready() and "1 waiting to spawn" in repr(pool)
    fourth = spawn(pool.apply, int)
    sleep(0)
    fourth.kill()
    gate.set()
    assert third.get().get() == 0
    for result in busy:
        assert result.get() is True
    assert pool.join(5) and not pool.full()


def test_a_timeout_abandons_the_result_not_the_task(pool):
    go_on, done = threading.Event(), threading.Event()

    def work():
        go_on.wait(LIMIT)
        done.set()

    with pytest.raises(Timeout):
        with Timeout(0.001):
            pool.apply(work)
    go_on.set()
    assert pool.join(5) and done.is_set()


def test_hub_join_waits_for_tasks(pool):
    done = []
    pool.spawn(lambda: (time.sleep(0.01), done.append(1)))
    assert get_hub().join() is True
    assert done == [1]


def test_size_and_maxsize_can_be_changed(pool):
    assert pool.size == 0 and pool.maxsize == 2
    pool.size = 2
    assert pool.size == 2
    pool.maxsize = 1
    assert pool.size == 1
    gate = threading.Event()
    busy = pool.spawn(gate.wait)
    assert pool.full()
    pool.maxsize = 3
    others = [pool.spawn(gate.wait) for _ in range(2)]
    assert pool.full()
    pool.maxsize = 2
    gate.set()
    for result in (busy, *others):
        result.get()
    assert pool.join(5) and pool.map(abs, range(10)) == list(range(10))
    assert pool._free.counter == 2
    for value in (-1, 4):
        with pytest.raises(ValueError):
            pool.size = value
    for value, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error):
            pool.maxsize = value
    with pytest.raises(ValueError):
        ThreadPool(0)


def test_idle_threads_end():
    pool = ThreadPool(2, idle_task_timeout=0.01)
    pool.map(abs, range(10))
    until(lambda: not pool._threads)
    assert pool.size == 0 and pool.apply(int) == 0
    until(lambda: not pool._threads)


def test_a_task_that_comes_while_an_idle_thread_ends_is_done():
    pool = ThreadPool(1, idle_task_timeout=0.001)
    for number in range(100):
        assert pool.apply(abs, (number,)) == number
        time.sleep(0.0009)
    ended(pool)


def test_apply_in_a_thread_of_the_pool_calls_the_function_itself(pool):
    assert pool.apply(lambda: pool.apply(threading.get_ident) == threading.get_ident()) is True
    assert pool.apply(lambda: pool.map(abs, [-1, -2])) == [1, 2]


@pytest.mark.parametrize("make", [ThreadPool, Pool])
@pytest.mark.parametrize("name", ["apply", "apply_async"])
def test_wrong_arguments_of_apply_are_refused_at_once(make, name):
    pool = make(2)
    call = getattr(pool, name)
    with pytest.raises(TypeError, match=rf"^{name}\(\) must be given a callable, not 'f'$"):
        call("f")
    with pytest.raises(
        TypeError, match=rf"^{name}\(\) takes the arguments of the call as one, a tuple, .* not 5; spawn"
    ):
        call(abs, 5)
    with pytest.raises(TypeError, match=rf"^{name}\(\) takes the keyword arguments of the call as a dict, .* not 5$"):
        call(int, ("10",), 5)
    pool.kill()


def test_other_threads_may_use_the_pool(pool):
    seen = []

    def without_hub():
        seen.append(pool.apply(abs, (-1,)))
        seen.append(pool.spawn(abs, -2).get())

    def with_hub():
        seen.extend(job.get() for job in [spawn(pool.apply, abs, (-n,)) for n in (3, 4)])

    threads = [threading.Thread(target=without_hub), threading.Thread(target=with_hub)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [1, 2, 3, 4]


def test_a_task_may_use_greenlets(pool):
    """The hub that a task makes in its thread ends with the task."""
    assert pool.apply(lambda: [job.get() for job in [spawn(abs, -n) for n in range(3)]]) == [0, 1, 2]
    assert pool.apply(get_hub_if_exists) is None


def test_a_greenlet_wakes_a_task_by_an_event(pool):
    event = Event()
    task = pool.spawn(event.wait, 5)
    sleep(0.001)
    event.set()
    assert task.get() is True


def test_profile_functions_are_called_in_tasks(pool):
    seen = []
    threading.setprofile(lambda *args: seen.append(args[1]))
    try:
        pool.apply(test_one_thread_does_tasks_in_order)
    finally:
        threading.setprofile(None)
    assert "call" in seen


def test_one_thread_does_tasks_in_order():
    """The only thread of a pool does its tasks in order."""
    pool, order = ThreadPool(1), []
    joinall([spawn(pool.apply, order.append, (number,)) for number in range(20)])
    assert order == list(range(20))
    ended(pool)


def test_the_hub_has_a_pool_of_ten_threads():
    pool = get_hub().threadpool
    assert pool is get_hub().threadpool and pool.maxsize == 10
    assert pool.apply(abs, (-3,)) == 3
    ended(pool)


def test_a_pool_works_in_a_forked_child(pool):
    assert pool.apply(int) == 0
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if pool.size == 0 and pool.apply(abs, (-3,)) == 3 else 2
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert pool.apply(int) == 0


def test_many_greenlets_may_use_the_pool(pool):
    assert sorted(job.get() for job in [spawn(pool.apply, abs, (n,)) for n in range(500)]) == list(range(500))


# --- the executor -----------------------------------------------------------------------------------------------


@pytest.fixture
def executor():
    with ThreadPoolExecutor(2) as made:
        yield made
    ended(made._pool)


def test_futures_have_results_and_errors(executor):
    futures = [executor.submit(pow, 2, n) for n in range(10)]
    assert [future.result() for future in futures] == [2**n for n in range(10)]
    assert list(executor.map(abs, range(-5, 0))) == [5, 4, 3, 2, 1]
    failed = executor.submit(lambda: 1 / 0)
    assert isinstance(failed.exception(), ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        failed.result()
    assert isinstance(futures[0], concurrent.futures.Future)


def test_result_lets_others_run(executor):
    order = []
    spawn(order.append, "greenlet")
    executor.submit(time.sleep, 0.01).result()
    order.append("future")
    assert order == ["greenlet", "future"]
    with pytest.raises(concurrent.futures.TimeoutError):
        executor.submit(time.sleep, 0.02).result(timeout=0.001)


def test_wait_takes_futures(executor):
    futures = [executor.submit(time.sleep, 0.001 * n) for n in range(4)]
    assert set(greenio.wait(futures)) == set(futures)
    gate = threading.Event()
    slow, fast = executor.submit(gate.wait), executor.submit(int)
    assert greenio.wait([slow, fast], count=1) == [fast]
    assert fast.successful() and fast.ready() and not slow.ready()
    gate.set()
    assert slow.result() is True
    assert greenio.wait_any(executor.submit(int))[1] is True


def test_calls_that_wait_for_a_worker_can_be_cancelled():
    gate, order = threading.Event(), []
    executor = ThreadPoolExecutor(1)
    running = executor.submit(gate.wait)
    waiting = [executor.submit(order.append, n) for n in range(3)]
    until(running.running)
    assert not running.cancel() and waiting[1].cancel() and waiting[1].cancelled()
    gate.set()
    executor.shutdown()
    assert order == [0, 2]
    with pytest.raises(concurrent.futures.CancelledError):
        waiting[1].result()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)
    ended(executor._pool)


def test_shutdown_waits_and_can_cancel():
    gate = threading.Event()
    executor = ThreadPoolExecutor(1)
    running, waiting = executor.submit(gate.wait), executor.submit(int)
    until(running.running)
    executor.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled() and not running.done()
    greenio.spawn_later(0.01, gate.set)
    executor.shutdown()
    assert running.done() and running.result() is True
    ended(executor._pool)


def test_callbacks_and_the_initializer_are_called():
    seen = []
    with ThreadPoolExecutor(1, initializer=seen.append, initargs=("began",)) as executor:
        future = executor.submit(int)
        future.add_done_callback(lambda done: seen.append(done.result()))
        executor.submit(int).result()
    assert seen == ["began", 0]
    ended(executor._pool)
    for bad, error in (({"max_workers": 0}, ValueError), ({"initializer": 3}, TypeError)):
        with pytest.raises(error):
            ThreadPoolExecutor(**bad)


def test_threads_and_greenlets_may_use_an_executor(executor):
    def submit(base):
        return sum(future.result() for future in [executor.submit(abs, base + n) for n in range(100)])

    sums = []
    threads = [threading.Thread(target=lambda base=base: sums.append(submit(base))) for base in (1000, 2000)]
    for thread in threads:
        thread.start()
    jobs = [spawn(submit, base) for base in (3000, 4000)]
    sums += [job.get() for job in jobs]
    for thread in threads:
        thread.join()
    assert sorted(sums) == [base * 100 + 4950 for base in (1000, 2000, 3000, 4000)]


class TestAChildThatIsForkedInThePool:
    """The child has only the thread that forked. It goes on with the call, and ends; the parent's tasks do not run."""

    def test_by_a_task_ends_after_it(self, pool):
        pid = pool.apply(greenio.fork)
        assert pid and waitstatus_to_exitcode(waitpid(pid, 0)[1]) == 0
        assert pool.apply(int) == 0 and len(pool) == 0

    def test_by_a_call_of_an_executor_ends_after_it(self):
        read_end, write_end = os.pipe()
        with ThreadPoolExecutor(1) as executor:
            first = executor.submit(greenio.fork)
            others = [executor.submit(os.write, write_end, b"x") for _ in range(3)]
            assert waitstatus_to_exitcode(waitpid(first.result(), 0)[1]) == 0
            assert [each.result() for each in others] == [1, 1, 1]
        os.close(write_end)
        with open(read_end, "rb") as written:
            assert written.read() == b"xxx"


class TestPoolsWithoutReferences:
    """The threads of a pool that is no longer referred to end when they have done their tasks."""

    @pytest.mark.parametrize("make", [ThreadPool, ThreadPoolExecutor])
    def test_their_threads_end(self, make):
        done = []
        before = count_threads()
        dropped = make(2)
        submit = dropped.spawn if make is ThreadPool else dropped.submit
        first = submit(done.append, 1)
        submit(done.append, 2)
        (first.get if make is ThreadPool else first.result)()
        reference = weakref.ref(dropped)
        del dropped, submit
        gc.collect()
        until(lambda: reference() is None and count_threads() <= before)
        assert sorted(done) == [1, 2]

    def test_a_pool_that_was_refused_is_freed(self):
        with pytest.raises(ValueError):
            ThreadPool(0)


@pytest.mark.parametrize(("timeout", "error"), [("5", TypeError), (float("nan"), ValueError), (None, TypeError)])
def test_a_wrong_idle_timeout_is_refused(timeout, error):
    with pytest.raises(error, match="seconds"):
        ThreadPool(1, None, timeout)


def test_an_executor_finishes_at_the_end_of_the_interpreter(run_script):
    assert run_script("executor_at_exit.py") == "0\n1\n2\n"
