"""`threading` when its threads are greenlets. All in one process, one after the other.

Modules that use `threading` are in built_on_threads.py, native threads in native_threads.py.
"""

from greenio import monkey

monkey.patch_all()

import _thread  # noqa: E402
import contextvars  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from shared import raises, run_in_threads  # noqa: E402

import greenio  # noqa: E402

MAIN_IDENT = monkey.get_original("_thread", "get_ident")()


def types_of_locks_have_the_standard_names():
    for made, name in ((threading.Lock(), "lock"), (threading.RLock(), "RLock")):
        kind = type(made)
        assert (kind.__module__, kind.__name__, kind.__qualname__) == ("_thread", name, name)
        assert repr(kind) == f"<class '_thread.{name}'>" and repr(made).startswith(f"<unlocked _thread.{name} object ")


# --- which thread is this -----------------------------------------------------------------------------------------


def the_main_greenlet_is_the_main_thread():
    assert threading.get_ident() == _thread.get_ident() == threading.main_thread().ident == MAIN_IDENT
    assert threading.current_thread() is threading.main_thread()
    assert threading.main_thread().is_alive() and threading.main_thread().name == "MainThread"


def identifiers_are_unique():
    seen = []
    go_on = threading.Event()

    def look():
        seen.append((threading.get_ident(), threading.current_thread().ident))
        go_on.wait()

    threads = [threading.Thread(target=look) for _ in range(50)]
    for thread in threads:
        thread.start()
    while len(seen) < 50:
        time.sleep(0)
    assert len({first for first, _ in seen}) == 50 and all(first == second for first, second in seen)
    assert MAIN_IDENT not in {first for first, _ in seen}
    assert set(threads) <= set(threading.enumerate()) and threading.active_count() >= 51
    assert {thread.ident for thread in threads} == {first for first, _ in seen}
    go_on.set()
    for thread in threads:
        thread.join()
    assert not set(threads) & set(threading.enumerate())


def all_are_one_native_thread():
    found = []
    run_in_threads(lambda: found.append((threading.get_native_id(), threading.current_thread().native_id)))
    assert found == [(os.getpid(), os.getpid())]


def spawned_greenlets_are_dummies_while_they_live():
    before = threading.active_count()
    seen = []

    def look():
        mine = threading.current_thread()
        seen.append(mine)
        assert threading.current_thread() is mine and mine in threading.enumerate()
        time.sleep(0)
        assert threading.current_thread() is mine

    greenio.joinall([greenio.spawn(look) for _ in range(3)], raise_error=True)
    assert len(set(seen)) == 3
    for thread in seen:
        assert isinstance(thread, threading._DummyThread) and thread.daemon
        assert thread not in threading.enumerate()
    assert threading.active_count() == before


def a_finalizer_at_the_end_of_a_thread_may_ask_for_the_current_thread():
    class Asks:
        def __del__(self):
            seen.append(threading.current_thread())
            data.again = seen

    before = threading.active_count()
    seen, data = [], threading.local()

    def work():
        data.asks = Asks()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    greenio.spawn(work).join()
    assert len(seen) == 2
    assert threading.active_count() == before


def greenlets_that_are_killed_are_forgotten_too():
    before = threading.active_count()
    seen = []

    def look():
        seen.append(threading.current_thread())
        time.sleep(1000)

    job = greenio.spawn(look)
    time.sleep(0)
    assert threading.active_count() == before + 1
    job.kill()
    assert threading.active_count() == before


# --- threads ------------------------------------------------------------------------------------------------------


def many_may_join_one():
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    joined = []

    def join(*timeout):
        thread.join(*timeout)
        joined.append(thread.is_alive())

    joining = [threading.Thread(target=join) for _ in range(3)]
    joining += [monkey.get_original("threading", "Thread")(target=join) for _ in range(3)]
    joining.append(threading.Thread(target=join, args=(20,)))
    for each in joining:
        each.start()
    join(0.001)
    join(0)
    event.set()
    for each in joining:
        each.join()
    assert joined == [True] * 2 + [False] * len(joining)


def a_join_that_an_exception_ends_leaves_the_thread_alive():
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    joining = threading.Thread(target=thread.join)
    joining.start()
    try:
        with greenio.Timeout(0.001):
            thread.join()
    except greenio.Timeout:
        assert thread.is_alive() and joining.is_alive() and thread in threading.enumerate()
    event.set()
    joining.join()
    assert not thread.is_alive()


def callbacks_of_the_hub_may_ask_whether_a_thread_is_alive():
    event, answers = threading.Event(), []
    thread = threading.Thread(target=event.wait)
    thread.start()
    for _ in range(2):
        greenio.get_hub().run_callback(lambda: answers.append(thread.is_alive()))
        time.sleep(0.001)
        event.set()
        thread.join()
    assert answers == [True, False]


def a_subclass_of_thread_has_its_name_and_is_a_daemon():
    seen = []

    class Mine(threading.Thread):
        def run(self):
            seen.append((self.name, self.daemon, self.is_alive(), threading.current_thread() is self))

    thread = Mine(name="mine", daemon=True)
    assert not thread.is_alive() and "initial" in repr(thread)
    thread.start()
    thread.join(10)
    assert seen == [("mine", True, True, True)] and not thread.is_alive() and "stopped" in repr(thread)


def misuse_of_threads_raises_the_standard_errors():
    thread = threading.Thread(target=lambda: None)
    for call, text in (
        (thread.join, "cannot join thread before it is started"),
        (threading.current_thread().join, "cannot join current thread"),
    ):
        try:
            call()
        except RuntimeError as error:
            assert text in str(error).lower() or text in str(error)
        else:
            raise AssertionError("no error")
    thread.start()
    with raises(RuntimeError, "threads can only be started once"):
        thread.start()
    thread.join()


def join_with_a_timeout():
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    thread.join(0.001)
    assert thread.is_alive()
    event.set()
    thread.join()
    assert not thread.is_alive()


def timers():
    called = []
    timer = threading.Timer(0.001, called.append, ("x",))
    cancelled = threading.Timer(1000, called.append, ("y",))
    timer.start()
    cancelled.start()
    cancelled.cancel()
    timer.join()
    cancelled.join()
    assert called == ["x"]


def conditions_and_barriers():
    condition, order = threading.Condition(), []
    barrier = threading.Barrier(4, action=lambda: order.append("met"), timeout=10)

    def wait():
        with condition:
            assert condition.wait_for(lambda: "go" in order, 10)
            order.append("went")
        barrier.wait()

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.001)
    with condition:
        order.append("go")
        condition.notify_all()
    barrier.wait()
    for thread in threads:
        thread.join()
    assert order == ["go", "went", "went", "went", "met"]
    with condition:
        assert condition.wait(0.001) is False
    broken = threading.Barrier(2, timeout=0.001)
    with raises(threading.BrokenBarrierError):
        broken.wait()


def locals_are_each_threads_own():
    class Mine(threading.local):
        def __init__(self, first):
            self.value = [first]

    mine, seen = Mine("first"), []
    mine.value.append("main")

    def use(name):
        mine.value.append(name)
        time.sleep(0)
        seen.append(mine.value)

    run_in_threads(lambda: use("a"), lambda: use("b"))
    assert sorted(seen) == [["first", "a"], ["first", "b"]] and mine.value == ["first", "main"]


def contexts_begin_empty():
    variable = contextvars.ContextVar("variable", default="default")
    variable.set("main")
    seen = []
    run_in_threads(lambda: seen.append(variable.get()))
    expected = "main" if getattr(sys.flags, "thread_inherit_context", False) else "default"
    assert seen == [expected] and variable.get() == "main"


def excepthook_is_called():
    reports, before = [], threading.excepthook
    threading.excepthook = reports.append
    try:

        def fail():
            raise ValueError("x")

        (thread,) = run_in_threads(fail)
    finally:
        threading.excepthook = before
    run_in_threads(sys.exit)  # SystemExit ends a thread without a report
    (report,) = reports
    assert report.exc_type is ValueError and str(report.exc_value) == "x" and report.thread is thread


def an_error_in_a_bare_thread_goes_to_the_unraisable_hook():
    reports, before = [], sys.unraisablehook
    sys.unraisablehook = lambda args: reports.append((args.exc_type, args.object, args.err_msg))
    try:

        def fail():
            raise ValueError("x")

        _thread.start_new_thread(fail, ())
        _thread.start_new_thread(_thread.exit, ())
        time.sleep(0.001)
    finally:
        sys.unraisablehook = before
    if sys.version_info < (3, 13):
        assert reports == [(ValueError, fail, "Exception ignored in thread started by")]
    else:
        assert reports == [(ValueError, None, f"Exception ignored in thread started by {fail!r}")]


def bare_threads():
    done, lock = [], _thread.allocate_lock()
    before = _thread._count()
    lock.acquire()

    def run(first, second=None):
        lock.acquire()
        done.append((first, second, _thread.get_ident()))

    ident = _thread.start_new_thread(run, ("a",), {"second": "b"})
    time.sleep(0.001)
    assert _thread._count() == before + 1
    lock.release()
    time.sleep(0.001)
    assert done == [("a", "b", ident)] and _thread._count() == before
    for bad in ((None, ()), (run, []), (run, (), [])):
        with raises(TypeError):
            _thread.start_new_thread(*bad)


def a_hundred_threads_share_a_lock():
    total, lock = [0], threading.Lock()

    def add():
        for _ in range(10):
            with lock:
                before = total[0]
                time.sleep(0)
                total[0] = before + 1

    run_in_threads(*[add] * 100)
    assert total == [1000]


# --- tracing ------------------------------------------------------------------------------------------------------


def trace_and_profile_functions_are_the_native_threads():
    for set_function, get in ((sys.settrace, sys.gettrace), (sys.setprofile, sys.getprofile)):
        seen, event = set(), threading.Event()

        def work():
            time.sleep(0)

        def trace(frame, event, argument, seen=seen, work=work):
            if frame.f_code is work.__code__:
                seen.add(threading.current_thread().name)

        def traced(set_function=set_function, trace=trace, event=event):
            set_function(trace)
            event.wait()

        thread = threading.Thread(target=traced)
        thread.start()
        time.sleep(0.001)
        assert get() is trace
        try:
            run_in_threads(lambda work=work: work())
            work()
        finally:
            set_function(None)
        assert "MainThread" in seen and len(seen) == 2
        event.set()
        thread.join()
        assert get() is None


def threading_settrace_and_setprofile():
    for set_for_threads, set_here, get in (
        (threading.settrace, sys.settrace, sys.gettrace),
        (threading.setprofile, sys.setprofile, sys.getprofile),
    ):
        seen, inside = set(), []

        def work(get=get, inside=inside):
            inside.append(get())
            time.sleep(0)
            inside.append(get())

        def trace(frame, event, argument, seen=seen, work=work):
            if frame.f_code is work.__code__:
                seen.add(event)

        set_for_threads(trace)
        try:
            run_in_threads(work, work)
        finally:
            set_for_threads(None)
            set_here(None)
        assert inside == [trace] * 4 and "call" in seen
        run_in_threads(work)
        assert inside[4:] == [None, None]


# --- attributes and arguments as of the standard objects ----------------------------------------------------------


def an_event_takes_attributes_and_methods_of_its_own():
    event, fired = threading.Event(), []
    event.name, event.plain_set = "one", event.set
    event.set = lambda: (event.plain_set(), fired.append(event.name))
    waiter = threading.Thread(target=event.wait)
    waiter.start()
    event.set()
    waiter.join(5)
    assert fired == ["one"] and not waiter.is_alive() and sorted(vars(event)) == ["name", "plain_set", "set"]


def locks_refuse_a_timeout_that_is_none_or_no_number():
    for lock in (threading.Lock(), threading.RLock()):
        for wrong, expected in (
            (None, TypeError), ("1", TypeError), (float("nan"), ValueError), (-2, ValueError), (1e30, OverflowError),
        ):  # fmt: skip
            with raises(expected):
                lock.acquire(True, wrong)
        assert lock.acquire(True, -1) and lock.acquire(False) is (type(lock) is type(threading.RLock()))
    old = _thread.allocate_lock()
    assert old.acquire_lock() and old.locked_lock() and old.release_lock() is None and not old.locked()


def sleep_refuses_what_the_clock_cannot_count():
    for wrong, expected in (
        (1e30, OverflowError), (float("inf"), OverflowError), (10**30, OverflowError), (float("nan"), ValueError),
        (-1, ValueError), (None, TypeError), ("1", TypeError),
    ):  # fmt: skip
        with raises(expected):
            time.sleep(wrong)
