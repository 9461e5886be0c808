"""State that CPython keeps by native thread, when threads are greenlets. All in one process, one after the other."""

from greenio import monkey

monkey.patch_all()

import asyncio  # noqa: E402
import contextvars  # noqa: E402
import ctypes  # noqa: E402
import decimal  # noqa: E402
import gc  # noqa: E402
import os  # noqa: E402
import re  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import sqlite3  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from pathlib import Path  # noqa: E402

from shared import run_in_threads  # noqa: E402

import greenio  # noqa: E402


def _state():
    return *sys.get_asyncgen_hooks(), sys.get_coroutine_origin_tracking_depth()


NOTHING = (None, None, 0)


def asynchronous_generators_belong_to_the_loop_of_their_thread():
    got, begun, over = [], threading.Event(), threading.Event()

    async def numbers():
        for number in range(4):
            yield number
            await asyncio.sleep(0)

    async def reader():
        async for number in numbers():
            got.append(number)
            begun.set()
            assert over.wait(5)

    def other():
        begun.wait()

        async def short():
            await asyncio.sleep(0.001)

        asyncio.run(short())
        over.set()

    run_in_threads(lambda: asyncio.run(reader()), other)
    assert got == [0, 1, 2, 3]


def a_loop_in_to_thread_leaves_the_generators_of_the_outer_one():
    async def numbers():
        yield 1
        yield 2

    async def inner():
        return [each async for each in numbers()]

    async def outer():
        got = []
        async for each in numbers():
            got.append((each, await asyncio.to_thread(asyncio.run, inner())))
        return got

    assert asyncio.run(outer()) == [(1, [1, 2]), (2, [1, 2])]
    assert _state() == NOTHING


def a_dropped_generator_is_closed_by_its_own_loop():
    closed, dropped = [], threading.Event()

    async def endless():
        try:
            while True:
                yield
        finally:
            await asyncio.sleep(0)
            closed.append(asyncio.get_running_loop())

    async def reader():
        async for _ in endless():
            break
        gc.collect()
        dropped.set()
        await asyncio.sleep(0.005)
        assert closed == [asyncio.get_running_loop()]

    def other():
        dropped.wait()
        asyncio.run(asyncio.sleep(0.001))

    run_in_threads(lambda: asyncio.run(reader()), other)
    assert len(closed) == 1


def each_thread_has_its_own_hooks_and_depth():
    seen, go_on = {}, [threading.Event() for _ in range(2)]

    def first(generator):
        pass

    def sets():
        sys.set_asyncgen_hooks(firstiter=first)
        sys.set_coroutine_origin_tracking_depth(3)
        go_on[0].set()
        go_on[1].wait()
        time.sleep(0)
        seen["sets"] = _state()  # and ends with it

    def looks():
        go_on[0].wait()
        seen["looks"] = _state()
        go_on[1].set()

    run_in_threads(sets, looks)
    assert seen == {"sets": (first, None, 3), "looks": NOTHING} and _state() == NOTHING


def what_a_greenlet_without_a_thread_leaves_is_gone_with_it():
    for start in (greenio.spawn, greenio.spawn_raw):
        start(sys.set_coroutine_origin_tracking_depth, 2)
        time.sleep(0.001)
        assert _state() == NOTHING, start


def wrong_arguments_are_refused_as_ever():
    for function, wrong in ((sys.set_asyncgen_hooks, "x"), (sys.set_coroutine_origin_tracking_depth, -1)):
        try:
            function(wrong)
        except (TypeError, ValueError):
            assert _state() == NOTHING
        else:
            raise AssertionError(f"{function} took {wrong!r}")


def a_signal_handler_may_run_a_loop_in_the_middle_of_a_wait():
    def first(generator):
        pass

    def handler(number, frame):
        asyncio.run(asyncio.sleep(0.001))

    before = signal.signal(signal.SIGUSR1, handler)
    sys.set_asyncgen_hooks(firstiter=first)
    try:
        threading.Timer(0.005, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        time.sleep(0.03)
        assert _state() == (first, None, 0)
        time.sleep(0.001)
        assert _state() == (first, None, 0)
    finally:
        sys.set_asyncgen_hooks(None, None)
        signal.signal(signal.SIGUSR1, before)


# --- the table of docs/monkey.md: "own" where each thread has it for itself, "shared" where all have what one set ---


def _seen_by_another(set_it, look, undo=lambda: None):
    """Return what a second thread sees while the thread that has set it waits; this one must see it unchanged."""
    seen, is_set, looked = [], threading.Event(), threading.Event()

    def sets():
        set_it()
        try:
            is_set.set()
            looked.wait()
            seen.append(look())
        finally:
            undo()

    def looks():
        is_set.wait()
        seen.append(look())
        looked.set()

    run_in_threads(sets, looks)
    return seen


def _own_or_shared(set_it, look, undo=lambda: None):
    before = look()
    other, setter = _seen_by_another(set_it, look, undo)
    assert setter != before
    assert look() == before
    return "own" if other == before else "shared" if other == setter else (before, setter, other)


def _hook(*arguments):
    return None


def _profile():
    return _own_or_shared(lambda: sys.setprofile(_hook), sys.getprofile, lambda: sys.setprofile(None))


def _trace():
    return _own_or_shared(lambda: sys.settrace(_hook), sys.gettrace, lambda: sys.settrace(None))


def _hooks():
    return _own_or_shared(lambda: sys.set_asyncgen_hooks(_hook, _hook), sys.get_asyncgen_hooks)


def _depth():
    return _own_or_shared(lambda: sys.set_coroutine_origin_tracking_depth(1), sys.get_coroutine_origin_tracking_depth)


def _loop():
    seen = []

    async def outer():
        for look in (asyncio._get_running_loop, _task):
            thread = threading.Thread(target=lambda look=look: seen.append(look()))
            thread.start()
            thread.join()
            assert look() is not None

    def _task():
        try:
            return asyncio.current_task()
        except RuntimeError:
            return None

    asyncio.run(outer())
    return "own" if seen == [None, None] else "shared"


def _context():
    variable = contextvars.ContextVar("variable", default=0)
    return _own_or_shared(lambda: variable.set(1), variable.get)


def _decimal():
    return _own_or_shared(lambda: decimal.setcontext(decimal.Context(prec=3)), lambda: decimal.getcontext().prec)


def _warnings():
    # Without the flag of CPython 3.14, native threads share the filters too.
    catching = warnings.catch_warnings()

    def begin():
        catching.__enter__()
        warnings.simplefilter("error", DeprecationWarning)

    found = _own_or_shared(begin, lambda: _raises(DeprecationWarning), lambda: catching.__exit__(None, None, None))
    return "own" if getattr(sys.flags, "context_aware_warnings", False) else found


def _raises(kind):
    try:
        warnings.warn_explicit("", kind, "here", 1)
    except kind:
        return True
    return False


def _exception():
    seen, handled, looked = [], threading.Event(), threading.Event()

    def handles():
        try:
            raise ValueError
        except ValueError:
            handled.set()
            looked.wait()
            assert sys.exc_info()[0] is ValueError

    def looks():
        handled.wait()
        seen.append(sys.exc_info()[0])
        looked.set()

    run_in_threads(handles, looks)
    return "own" if seen == [None] else "shared"


def _repr():
    class Waits:
        def __repr__(self):
            time.sleep(0.001)
            time.sleep(0)
            return "item"

    out, items = [], [Waits()]
    items.append(items)
    run_in_threads(*[lambda: out.append(repr(items))] * 3)
    return "own" if out == ["[item, [...]]"] * 3 else "shared"


def _recursion():
    deepest = []

    def descend(depth):
        if depth:
            return descend(depth - 1)
        time.sleep(0.001)
        deepest.append(True)

    run_in_threads(*[lambda: descend(sys.getrecursionlimit() * 2 // 3)] * 3)
    return "own" if len(deepest) == 3 else "shared"


def _local():
    data = threading.local()
    return _own_or_shared(lambda: setattr(data, "value", 1), lambda: getattr(data, "value", 0))


def _errno():
    return _own_or_shared(lambda: ctypes.set_errno(7), ctypes.get_errno, lambda: ctypes.set_errno(0))


def _database():
    database = sqlite3.connect(":memory:")
    seen = []

    def use():
        try:
            seen.append(database.execute("select 1").fetchone())
        except sqlite3.ProgrammingError:
            seen.append(None)

    run_in_threads(use)
    database.close()
    return "own" if seen == [None] else "shared"


def _stack():
    limit = resource.getrlimit(resource.RLIMIT_STACK)[0]
    if limit == resource.RLIM_INFINITY:
        return "own"
    found = []

    def looks():
        found.append(threading.get_native_id() == threading.main_thread().native_id)

    before = threading.stack_size()
    try:
        for size in (0, limit // 2 // 4096 * 4096, limit + 4096):
            threading.stack_size(size)
            run_in_threads(looks, looks)
            assert threading.stack_size(size) == size
    finally:
        threading.stack_size(before)
    run_in_threads(looks)
    return "own" if found == [True] * 4 + [False] * 2 + [True] else found


def _native_id():
    seen = []
    run_in_threads(*[lambda: seen.append(threading.get_native_id())] * 2)
    return "own" if seen[0] != seen[1] else "shared"


def _clock():
    start = time.thread_time()

    def compute():
        while time.thread_time() - start < 0.002:
            pass

    run_in_threads(compute)
    return "shared" if time.thread_time() - start >= 0.002 else "own"


IN_THE_TABLE = {
    "asyncio's running loop and current task": _loop,
    "`sys.set_asyncgen_hooks`": _hooks,
    "`sys.set_coroutine_origin_tracking_depth`": _depth,
    "the context of `contextvars`": _context,
    "the context of `decimal`": _decimal,
    "`threading.local`": _local,
    "`sys.exc_info`": _exception,
    "how deep calls are nested": _recursion,
    "the objects that `repr` is in the middle of": _repr,
    "the filters of `warnings`": _warnings,
    "`sys.settrace`": _trace,
    "`sys.setprofile`": _profile,
    "`ctypes.get_errno`": _errno,
    "the thread to which a connection of `sqlite3` belongs": _database,
    "`threading.stack_size`": _stack,
    "`threading.get_native_id`": _native_id,
    "`time.thread_time`": _clock,
}


def the_table_of_the_documentation_is_true():
    text = (Path(__file__).resolve().parents[3] / "docs" / "monkey.md").read_text()
    section = text.split("### What CPython keeps by native thread", 1)[1].split("\n#", 1)[0]
    rows = dict(re.findall(r"^\| (.+?) \| \*(\w+)\*", section, re.MULTILINE))
    assert set(rows) == set(IN_THE_TABLE), set(rows) ^ set(IN_THE_TABLE)
    found = {name: look() for name, look in IN_THE_TABLE.items()}
    assert found == rows
