"""Threads that native threads and those of pools start run until they return. One process, one after the other."""

from greenio import monkey

monkey.patch_all()

import _thread  # noqa: E402
import asyncio  # noqa: E402
import concurrent.futures  # noqa: E402
import contextlib  # noqa: E402
import itertools  # noqa: E402
import logging.handlers  # noqa: E402
import os  # noqa: E402
import queue  # noqa: E402
import resource  # noqa: E402
import socket  # noqa: E402
import socketserver  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from shared import raises  # noqa: E402

import greenio  # noqa: E402
from greenio._patched import home  # noqa: E402

Native = monkey.get_original("threading", "Thread")
native_sleep = monkey.get_original("time", "sleep")


def _in_native(function):
    """Return what function() returns in a native thread, or raise what it raises, when the thread has ended."""
    future = concurrent.futures.Future()
    thread = Native(target=lambda: _settle(future, function))
    thread.start()
    thread.join()
    return future.result(0)


def _settle(future, function):
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)


def _in_pool(function):
    return greenio.get_hub().threadpool.apply(function)


def _in_bare(function):
    """In a thread that Python forgets when the function has returned, as it does with a C library's callback."""
    future = concurrent.futures.Future()
    monkey.get_original("_thread", "start_new_thread")(_settle, (future, function))
    return future.result(10)


def _in_thread(function):
    future = concurrent.futures.Future()
    threading.Thread(target=_settle, args=(future, function)).start()
    return future.result(10)


def _in_home(function):
    return _in_native(lambda: _in_thread(function))


def _here(function):
    return function()


PLACES = [_here, _in_native, _in_pool, _in_bare, _in_thread, _in_home]


def _started(*args, **kwargs):
    thread = threading.Thread(*args, **kwargs)
    thread.start()
    return thread


def _until(condition):
    while not condition():
        time.sleep(0.001)


def _nothing_is_left():
    _until(lambda: home.count_homes() == 0)


# --- threads ------------------------------------------------------------------------------------------------------


def threads_outlive_the_thread_that_started_them():
    for place in PLACES:
        go_on, done = threading.Event(), []
        thread = place(lambda e=go_on, d=done: _started(target=lambda: (e.wait(), time.sleep(0.001), d.append(1))))
        assert thread.is_alive() and thread in threading.enumerate()
        go_on.set()
        thread.join(10)
        assert done == [1] and not thread.is_alive() and thread not in threading.enumerate()
    _nothing_is_left()


def threads_are_joined_from_everywhere():
    for start, join in itertools.product(PLACES, PLACES):
        go_on = threading.Event()
        thread = start(lambda e=go_on: _started(target=e.wait))
        threading.Timer(0.001, go_on.set).start()
        join(lambda t=thread: t.join(10))
        assert not thread.is_alive()
    _nothing_is_left()


def they_run_while_the_main_thread_is_blocked():
    done, ended = [], monkey.get_original("_thread", "allocate_lock")()
    ended.acquire()

    def work():
        time.sleep(0.001)
        done.append(threading.get_native_id())
        ended.release()

    monkey.get_original("_thread", "start_new_thread")(lambda: _started(target=work), ())
    assert ended.acquire(timeout=10)
    assert done != [threading.get_native_id()]
    _nothing_is_left()


def identifiers_and_counts():
    _nothing_is_left()
    idents, go_on = [], threading.Event()
    # The native thread of a home that has ended is counted until the system is done with it.
    before = min(_thread._count() for _ in range(20) if time.sleep(0.005) is None)

    def work():
        idents.append((threading.get_ident(), threading.current_thread().ident, threading.get_native_id()))
        go_on.wait()

    threads = [_in_native(lambda: _started(target=work)) for _ in range(3)]
    bare = _in_native(lambda: _thread.start_new_thread(work, ()))
    _until(lambda: len(idents) == 4)
    assert _thread._count() == before + 4
    assert {ident for ident, _, _ in idents} == {thread.ident for thread in threads} | {bare}
    assert all(ident == current for ident, current, _ in idents)
    assert len({native for _, _, native in idents}) == 1 and home.count_homes() == 1
    go_on.set()
    _nothing_is_left()
    assert _thread._count() == before


def what_a_thread_spawns_goes_on():
    done = []
    _in_home(lambda: greenio.spawn(lambda: (time.sleep(0.005), done.append(1))))
    _until(lambda: done)
    _nothing_is_left()


def what_a_thread_leaves_may_fail():
    from contextlib import redirect_stderr
    from io import StringIO

    said = StringIO()
    with redirect_stderr(said):
        go_on = threading.Event()
        thread = _in_native(lambda: _started(target=go_on.wait))
        for error in (KeyboardInterrupt("typed"), SystemExit("said")):
            job = _in_home(lambda e=error: greenio.spawn(_raise, e))
            job.join()
        time.sleep(0.005)
        assert thread.is_alive()
        go_on.set()
        thread.join(10)
        _nothing_is_left()
    assert "typed" in said.getvalue() and not thread.is_alive()


def _raise(error):
    raise error


def threads_that_are_killed():
    for seconds in (0, 0.002):
        jobs = []

        def work(jobs=jobs):
            jobs.append(greenio.getcurrent())
            time.sleep(1000)

        thread = _in_native(lambda work=work: _started(target=work, daemon=True))
        _until(lambda jobs=jobs: jobs)
        time.sleep(seconds)
        jobs[0].kill()
        thread.join(10)
        assert not thread.is_alive()
    _nothing_is_left()


def no_native_thread_can_be_had():
    def refuse(*_args):
        raise RuntimeError("can't start new thread")

    def fail():
        raise OSError("no descriptors")

    _nothing_is_left()
    for name, broken in (("start_new_thread", refuse), ("get_hub", fail)):
        real = getattr(home, name)
        setattr(home, name, broken)
        try:
            with raises(RuntimeError, "can't start new thread"):
                _in_native(lambda: _started(target=print))
        finally:
            setattr(home, name, real)
    assert _in_native(lambda: _started(target=int)).join(10) is None
    _nothing_is_left()


def callbacks_of_spawning_that_fail():
    def fail(_greenlet):
        raise ValueError("not now")

    greenio.Greenlet.add_spawn_callback(fail)
    try:
        with raises(ValueError):
            _in_native(lambda: _thread.start_new_thread(print, ()))
    finally:
        greenio.Greenlet.remove_spawn_callback(fail)
    _nothing_is_left()


def homes_that_end_while_others_move_in():
    done = []

    def start_some():
        for _ in range(20):
            _started(target=done.append, args=(1,))
            native_sleep(0.0005)

    natives = [Native(target=start_some) for _ in range(5)]
    for thread in natives:
        thread.start()
    for thread in natives:
        thread.join()
    _until(lambda: len(done) == 100)
    _nothing_is_left()


# --- modules that use threads -------------------------------------------------------------------------------------


def _with_some_of(*others):
    """Each pair of places, together with one combination of the others."""
    return zip(itertools.product(PLACES, PLACES), itertools.cycle(itertools.product(*others)), strict=False)


def executors():
    for (make, use), (again, end) in _with_some_of((_here, _in_native), (_here, _in_native, _in_pool)):
        pool = make(lambda: concurrent.futures.ThreadPoolExecutor(1))
        assert use(lambda p=pool: p.submit(int, "3").result(10)) == 3
        assert again(lambda p=pool: p.submit(int, "8").result(10)) == 8
        assert list(pool.map(abs, [-1, 2])) == [1, 2]
        end(pool.shutdown)
    _nothing_is_left()


def timers():
    for start in PLACES:
        fired = threading.Event()
        start(threading.Timer(0.002, fired.set).start)
        assert fired.wait(10)
        for cancel in PLACES:
            timer = threading.Timer(1000, fired.set)
            start(timer.start)
            cancel(timer.cancel)
            timer.join(10)
            assert not timer.is_alive()
    _nothing_is_left()


def loops_of_asyncio():
    async def main():
        return await asyncio.gather(*[asyncio.to_thread(lambda n=n: (time.sleep(0.001), n)[1]) for n in range(5)])

    for place in PLACES:
        assert place(lambda: asyncio.run(main())) == [0, 1, 2, 3, 4]
    _nothing_is_left()


def an_executor_of_many_loops():
    async def call(pool):
        return await asyncio.get_running_loop().run_in_executor(pool, int, "5")

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for place in (_in_native, *PLACES):
            assert place(lambda: asyncio.run(call(pool))) == 5
    _nothing_is_left()


class _Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record.getMessage())


def listeners_of_queues():
    for (start, stop), (log,) in _with_some_of((_here, _in_native, _in_home)):
        kept, records = _Kept(), queue.Queue()
        listener = logging.handlers.QueueListener(records, kept)
        start(listener.start)
        handler = logging.handlers.QueueHandler(records)
        log(lambda h=handler: h.handle(logging.makeLogRecord({"msg": "said"})))
        stop(listener.stop)
        assert kept.records == ["said"]
    _nothing_is_left()


class _Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.request.recv(100))


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


def servers():
    for (start, stop), (ask,) in _with_some_of((_here, _in_native, _in_home)):
        with _Server(("127.0.0.1", 0), _Echo) as server:
            thread = start(lambda s=server: _started(target=s.serve_forever, args=(0.01,)))

            def echo(address=server.server_address):
                with socket.create_connection(address, 10) as connection:
                    connection.sendall(b"echo")
                    return connection.recv(100)

            assert ask(echo) == b"echo"
            stop(server.shutdown)
            thread.join(10)
            assert not thread.is_alive()
    _nothing_is_left()


# --- forks --------------------------------------------------------------------------------------------------------


def _status_of_child(work):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _begin_threads():
    """In a forked child, start threads from several places, which run until they return. Returns 7, or more."""
    done = [place(lambda: _started(target=time.sleep, args=(0.001,))) for place in (_here, _in_native, _in_home)]
    for thread in done:
        thread.join(10)
    return 7 + sum(thread.is_alive() for thread in done)


def forks():
    go_on = threading.Event()
    other = _in_native(lambda: _started(target=go_on.wait))  # it stays in the parent
    for place in (_here, _in_native, _in_thread, _in_home):
        assert place(lambda: _status_of_child(_begin_threads)) == 7, place
    go_on.set()
    other.join(10)
    _nothing_is_left()


def a_native_thread_of_a_child_that_ends():
    reader, writer = os.pipe()

    def fork():
        if os.fork() == 0:
            os.close(reader)
            # This native thread ends, and the process with its last thread.
            _started(target=lambda: (time.sleep(0.01), os.write(writer, b"went on")))

    parent = os.getpid()
    monkey.get_original("threading", "Thread")(target=fork).start()
    assert os.getpid() == parent
    os.close(writer)
    assert os.read(reader, 100) == b"went on"
    os.close(reader)
    os.wait()
    _nothing_is_left()


def _join(threads):
    for each in threads:
        each.join()


# --- stacks --------------------------------------------------------------------------------------------------------


def _with_stack(size, function):
    """Call a function while new threads have stacks of `size` bytes, and Python does not limit recursion."""
    before, limit = threading.stack_size(size), sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        return function()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(before)


def _descend(depth, pause=False):
    """Recursion through C, for which CPython 3.12 and later have limits of their own."""
    if depth:
        return max([depth], key=lambda _: _descend(depth - 1, pause))
    if pause:
        time.sleep(0.001)
    return 0


def threads_have_the_stack_that_was_asked_for():
    if resource.getrlimit(resource.RLIMIT_STACK)[0] == resource.RLIM_INFINITY:
        return
    ends = []

    def descends(depth, pause):
        with contextlib.suppress(RecursionError):
            _descend(depth, pause)
        ends.append(depth)

    def runs():
        # Deeper than in the main native thread, and more than one of them at once.
        for calls in ([(20_000, False)], [(20_000, True)] + [(200, True)] * 3):
            _join([_started(target=descends, args=each) for each in calls])
        with concurrent.futures.ThreadPoolExecutor() as executor:
            executor.submit(descends, 20_000, False).result()

    _with_stack(64 << 20, runs)
    assert len(ends) == 6, ends
    _with_stack(128 << 20, lambda: _join([_started(target=descends, args=(1000, False))]))
    _nothing_is_left()


def a_process_that_a_thread_with_a_large_stack_forks():
    statuses = []

    def forks():
        pid = os.fork()
        if pid == 0:
            thread = threading.Thread(target=time.sleep, args=(0.001,))
            thread.start()
            thread.join()
            os._exit(7)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    _with_stack(64 << 20, lambda: _join([_started(target=forks)]))
    assert statuses == [7]
    _nothing_is_left()
