"""`threading`, and what is built on it, when its threads are greenlets. All in one process, one after the other."""

from greenio import monkey

monkey.patch_all()

import _thread  # noqa: E402
import concurrent.futures  # noqa: E402
import contextvars  # noqa: E402
import io  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import queue  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

import greenio  # noqa: E402

MAIN_IDENT = monkey.get_original("_thread", "get_ident")()


def _run(*functions, make=threading.Thread):
    threads = [make(target=each) for each in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return threads


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
    _run(lambda: found.append((threading.get_native_id(), threading.current_thread().native_id)))
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


def what_is_left_to_do_at_the_end_of_a_thread_may_ask_which_it_is():
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


def names_and_daemons():
    seen = []

    class Mine(threading.Thread):
        def run(self):
            seen.append((self.name, self.daemon, self.is_alive(), threading.current_thread() is self))

    thread = Mine(name="mine", daemon=True)
    assert not thread.is_alive() and "initial" in repr(thread)
    thread.start()
    thread.join(10)
    assert seen == [("mine", True, True, True)] and not thread.is_alive() and "stopped" in repr(thread)


def misuse():
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
    try:
        thread.start()
    except RuntimeError as error:
        assert "threads can only be started once" in str(error)
    else:
        raise AssertionError("no error")
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
    try:
        broken.wait()
    except threading.BrokenBarrierError:
        pass
    else:
        raise AssertionError("no error")


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

    _run(lambda: use("a"), lambda: use("b"))
    assert sorted(seen) == [["first", "a"], ["first", "b"]] and mine.value == ["first", "main"]


def contexts_begin_empty():
    variable = contextvars.ContextVar("variable", default="default")
    variable.set("main")
    seen = []
    _run(lambda: seen.append(variable.get()))
    expected = "main" if getattr(sys.flags, "thread_inherit_context", False) else "default"
    assert seen == [expected] and variable.get() == "main"


def excepthook_is_called():
    told, before = [], threading.excepthook
    threading.excepthook = told.append
    try:

        def fail():
            raise ValueError("x")

        (thread,) = _run(fail)
    finally:
        threading.excepthook = before
    _run(sys.exit)  # ends it without a word
    ((kind, value, _, who),) = [(each.exc_type, each.exc_value, each.exc_traceback, each.thread) for each in told]
    assert kind is ValueError and str(value) == "x" and who is thread


def unraisable_of_bare_threads():
    told, before = [], sys.unraisablehook
    sys.unraisablehook = lambda args: told.append((args.exc_type, args.object, args.err_msg))
    try:

        def fail():
            raise ValueError("x")

        _thread.start_new_thread(fail, ())
        _thread.start_new_thread(_thread.exit, ())
        time.sleep(0.001)
    finally:
        sys.unraisablehook = before
    if sys.version_info < (3, 13):
        assert told == [(ValueError, fail, "Exception ignored in thread started by")]
    else:
        assert told == [(ValueError, None, f"Exception ignored in thread started by {fail!r}")]


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
        try:
            _thread.start_new_thread(*bad)
        except TypeError:
            pass
        else:
            raise AssertionError(bad)


def many_threads():
    total, lock = [0], threading.Lock()

    def add():
        for _ in range(10):
            with lock:
                before = total[0]
                time.sleep(0)
                total[0] = before + 1

    _run(*[add] * 100)
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
            _run(lambda work=work: work())
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
            _run(work, work)
        finally:
            set_for_threads(None)
            set_here(None)
        assert inside == [trace] * 4 and "call" in seen
        _run(work)
        assert inside[4:] == [None, None]


# --- built on threads ---------------------------------------------------------------------------------------------


def executors():
    with concurrent.futures.ThreadPoolExecutor(20, thread_name_prefix="mine") as executor:
        meeting = threading.Barrier(20)
        names = list(executor.map(lambda _: (meeting.wait(10), threading.current_thread().name)[1], range(20)))
        assert len(set(names)) == 20 and all(name.startswith("mine") for name in names)
        future = executor.submit(lambda: 1 / 0)
        assert isinstance(future.exception(), ZeroDivisionError)
        assert threading.get_native_id() == executor.submit(threading.get_native_id).result()
        slow = executor.submit(time.sleep, 0.01)
        try:
            slow.result(0.001)
        except concurrent.futures.TimeoutError:
            pass
        else:
            raise AssertionError("no error")
        done, left = concurrent.futures.wait([slow])
        assert done == {slow} and not left


def executor_initializers_and_cancelling():
    seen = []
    executor = concurrent.futures.ThreadPoolExecutor(1, initializer=seen.append, initargs=("begun",))
    event = threading.Event()
    first, second = executor.submit(event.wait), executor.submit(seen.append, "never")
    time.sleep(0.001)
    assert second.cancel() and not first.cancel()
    event.set()
    executor.shutdown(cancel_futures=True)
    assert first.result() and seen == ["begun"]


def queues():
    jobs, results = queue.Queue(3), queue.SimpleQueue()

    def work():
        while (job := jobs.get()) is not None:
            results.put(job * 2)
            jobs.task_done()
        jobs.task_done()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for each in [*range(20), None, None, None]:
        jobs.put(each)
    jobs.join()
    assert sorted(results.get() for _ in range(20)) == list(range(0, 40, 2))
    assert results.empty()
    for call, error in ((results.get_nowait, queue.Empty), (lambda: results.get(timeout=0.001), queue.Empty)):
        try:
            call()
        except error:
            pass
        else:
            raise AssertionError("no error")
    for thread in threads:
        thread.join()


def _log_from_many(handler):
    logger = logging.getLogger("heavy")
    logger.propagate, logger.handlers = False, [handler]
    logger.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("%(threadName)s %(message)s"))

    def log():
        for number in range(5):
            logger.info("%d %s", number, "x" * 40)
            time.sleep(0)

    _run(*[log] * 1000)
    handler.close()


def _judge_lines(lines):
    assert len(lines) == 5000
    assert all(line.endswith(" " + "x" * 40) for line in lines)
    assert len({line.split()[0] for line in lines}) == 1000


def logging_from_a_thousand_to_a_file():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        _log_from_many(logging.FileHandler(path))
        with open(path) as file:
            _judge_lines(file.read().splitlines())


def logging_from_a_thousand_to_a_pipe():
    reader, writer = os.pipe()
    received = []

    def read():
        while data := os.read(reader, 65536):
            received.append(data)

    reading = threading.Thread(target=read)
    reading.start()
    from greenio.fileobject import FileObject

    out = FileObject(writer, "w", buffering=1)
    _log_from_many(logging.StreamHandler(out))
    out.close()
    reading.join()
    os.close(reader)
    _judge_lines(b"".join(received).decode().splitlines())


def printing_from_threads():
    said, before = io.StringIO(), sys.stdout
    sys.stdout = said
    try:
        _run(*[lambda: print("line")] * 20)
    finally:
        sys.stdout = before
    assert said.getvalue() == "line\n" * 20


# --- native threads -----------------------------------------------------------------------------------------------


def native_threads_overlap():
    native_sleep = monkey.get_original("time", "sleep")
    ran, native = [], monkey.get_original("threading", "Thread")

    def block():
        ran.append(threading.get_native_id())
        native_sleep(0.02)
        ran.append(threading.get_native_id())

    thread = native(target=block, name="native")
    thread.start()
    native_sleep(0.06)  # greenlets stand still, and it runs on
    assert len(ran) == 2 and ran[0] != threading.get_native_id()
    thread.join()
    assert not thread.is_alive()


def joining_native_threads_lets_others_run():
    native = monkey.get_original("threading", "Thread")
    gate = monkey.get_original("_thread", "allocate_lock")()
    gate.acquire()
    thread = native(target=gate.acquire)
    thread.start()
    opening = threading.Thread(target=gate.release)
    opening.start()
    thread.join()
    assert not thread.is_alive()
    opening.join()
    waiting = native(target=gate.acquire)
    waiting.start()
    waiting.join(0.01)
    assert waiting.is_alive()
    gate.release()
    waiting.join()
    assert not waiting.is_alive()
    for call in (native(target=print).join,):
        try:
            call()
        except RuntimeError as error:
            assert "before it is started" in str(error)
        else:
            raise AssertionError("no error")


def bare_native_threads():
    start = monkey.get_original("_thread", "start_new_thread")
    done = threading.Event()
    found = []

    def run():
        found.append(threading.get_native_id())
        done.set()

    start(run, ())
    assert done.wait(10) and found != [threading.get_native_id()]


def patched_things_in_a_native_thread():
    import socket
    import subprocess

    native = monkey.get_original("threading", "Thread")
    lock, event, out, back = threading.Lock(), threading.Event(), queue.Queue(), queue.SimpleQueue()
    condition, ours = threading.Condition(), threading.local()
    ours.value = "main"
    first, second = socket.socketpair()
    failed = []

    def work():
        try:
            assert not hasattr(ours, "value")
            assert threading.current_thread() is thread
            assert threading.get_ident() == thread.ident == monkey.get_original("_thread", "get_ident")()
            with lock:
                back.put("locked")
            assert event.wait(10)
            back.put(out.get(timeout=10))
            second.sendall(second.recv(10))
            time.sleep(0.001)
            assert subprocess.run(["echo", "x"], stdout=-1).stdout == b"x\n"
            # Threads of a native thread are greenlets, too.
            inner = threading.Thread(target=lambda: back.put(type(greenio.getcurrent()).__name__))
            inner.start()
            inner.join()
            with condition:
                condition.notify_all()
        except BaseException as error:
            failed.append(error)
            raise

    thread = native(target=work)
    with lock:
        thread.start()
        time.sleep(0.002)
        assert back.empty()
    assert back.get(timeout=10) == "locked"
    event.set()
    out.put("through")
    assert back.get(timeout=10) == "through"
    with condition:
        first.sendall(b"echo")
        assert first.recv(10) == b"echo"
        assert condition.wait(10)
    thread.join()
    assert failed == [] and back.get() == "ThreadGreenlet"
    first.close()
    second.close()


def subclasses_of_native_threads():
    class Mine(monkey.get_original("threading", "Thread")):
        def run(self):
            self.found = threading.get_native_id()

    thread = Mine(daemon=True)
    thread.start()
    thread.join()
    assert thread.found != threading.get_native_id() and isinstance(thread, threading.Thread)


# --- the objects are what programs expect -------------------------------------------------------------------------


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
            try:
                lock.acquire(True, wrong)
            except expected:
                continue
            raise AssertionError((lock, wrong))
        assert lock.acquire(True, -1) and lock.acquire(False) is (type(lock) is type(threading.RLock()))
    old = _thread.allocate_lock()
    assert old.acquire_lock() and old.locked_lock() and old.release_lock() is None and not old.locked()


def sleep_refuses_what_the_clock_cannot_count():
    for wrong, expected in (
        (1e30, OverflowError), (float("inf"), OverflowError), (10**30, OverflowError), (float("nan"), ValueError),
        (-1, ValueError), (None, TypeError), ("1", TypeError),
    ):  # fmt: skip
        try:
            time.sleep(wrong)
        except expected:
            continue
        raise AssertionError(wrong)
