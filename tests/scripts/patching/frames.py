"""Where threads are that are greenlets: sys._current_frames() and the like. All in one process, one after the other."""

from greenio import monkey

monkey.patch_all()

import _thread  # noqa: E402
import concurrent.futures  # noqa: E402
import contextlib  # noqa: E402
import gc  # noqa: E402
import os  # noqa: E402
import queue  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402

import greenlet  # noqa: E402

import greenio  # noqa: E402

NativeThread = monkey.get_original("threading", "Thread")
allocate_native_lock = monkey.get_original("_thread", "allocate_lock")


def _functions(frame):
    """Return the names of the functions of a stack, innermost first."""
    return [each.f_code.co_name for each, _line in traceback.walk_stack(frame)]


def _where():
    return {ident: _functions(frame) for ident, frame in sys._current_frames().items()}


def _until(condition):
    while not condition():
        time.sleep(0.001)


def _natively(function):
    """Return what a function returns in a native thread."""
    found = []
    thread = NativeThread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def waits_for(event):
    event.wait()


def computes(begun, over):
    begun.release()
    while not over:
        pass


@contextlib.contextmanager
def _waiting(number=3, start=lambda thread: thread.start()):
    event = threading.Event()
    threads = [threading.Thread(target=waits_for, args=(event,), name=f"waiting {each}") for each in range(number)]
    for each in threads:
        start(each)
    time.sleep(0.001)
    try:
        yield threads
    finally:
        event.set()
        for each in threads:
            each.join()


def each_thread_has_an_entry_that_says_where_it_waits():
    with _waiting() as threads:
        where = _where()
        for each in threads:
            assert "waits_for" in where[each.ident] and "_bootstrap" in where[each.ident], where
            assert "_where" not in where[each.ident]
        assert where[threading.get_ident()][:2] == ["_where", "each_thread_has_an_entry_that_says_where_it_waits"]
        assert {each.ident for each in threading.enumerate()} == set(where) == set(threading._active)
        stacks = [traceback.format_stack(sys._current_frames()[each.ident])[-1] for each in threads]
        assert all("event.wait()" in each for each in stacks), stacks


def from_a_thread_all_the_others_are_seen():
    here, seen = threading.get_ident(), []

    def looks():
        seen.append((_where(), threading.get_ident(), sys._current_frames()[threading.get_ident()] is sys._getframe()))

    with _waiting() as threads:
        thread = threading.Thread(target=looks)
        thread.start()
        thread.join()
        ((where, ident, same),) = seen
        assert same and where[ident][:2] == ["_where", "looks"]
        assert "from_a_thread_all_the_others_are_seen" in where[here]
        assert all("waits_for" in where[each.ident] for each in threads)


def from_a_native_thread_all_greenlets_are_seen():
    main = threading.main_thread().ident
    with _waiting() as threads:
        where = _natively(_where)
        assert all("waits_for" in where[each.ident] for each in threads)
        assert {"_natively", "from_a_native_thread_all_greenlets_are_seen"} <= set(where[main]), where[main]


def threads_of_another_native_thread_are_seen():
    """Threads that a native thread has started live in the home."""
    with _waiting(start=lambda thread: _natively(thread.start)) as threads:
        for where in (_where(), _natively(_where)):
            assert all("waits_for" in where[each.ident] for each in threads), where


def a_thread_that_computes_is_seen_from_a_native_thread():
    main = threading.main_thread().ident
    for start in (lambda *call: threading.Thread(target=call[0], args=call[1:]).start(), greenio.spawn):
        begun, over = allocate_native_lock(), []
        begun.acquire()
        seen = []

        def looks(begun=begun, over=over, seen=seen):
            begun.acquire()
            seen.append((_where(), set(threading._active)))
            over.append(True)

        thread = NativeThread(target=looks)
        thread.start()
        start(computes, begun, over)
        thread.join()
        ((where, active),) = seen
        (ident,) = (ident for ident, functions in where.items() if "computes" in functions)
        assert ident != main and "a_thread_that_computes_is_seen_from_a_native_thread" in where[main], where
        assert active <= set(where)


def threads_that_have_not_begun_or_have_ended_are_not_there():
    before = set(_where())
    thread = threading.Thread(target=int)
    ident = _thread.start_new_thread(int, ())
    assert thread.ident is None and ident not in _where()
    thread.start()
    thread.join()
    assert set(_where()) == before


def a_thread_without_a_thread_object_is_there():
    lock = _thread.allocate_lock()
    lock.acquire()
    ident = _thread.start_new_thread(lock.acquire, ())
    try:
        _until(lambda: ident in _where())
        assert ident not in threading._active
    finally:
        lock.release()
    _until(lambda: ident not in _where())


def a_greenlet_that_is_no_thread_is_there_while_it_runs():
    seen = {}

    def looks():
        seen["current"] = sys._current_frames()[threading.get_ident()] is sys._getframe()
        time.sleep(0)
        seen["thread"] = threading.current_thread().ident
        go_on.wait()

    for start in (greenio.spawn, greenio.spawn_raw):
        seen.clear()
        go_on = threading.Event()
        before = set(_where())
        start(looks)
        _until(lambda: "thread" in seen)
        # `threading` has been asked for the current thread, and has made a thread object for the greenlet.
        assert seen["current"] and seen["thread"] not in before
        assert "looks" in _where()[seen["thread"]]
        go_on.set()
        _until(lambda before=before: set(_where()) == before)
    greenlet.greenlet(lambda: seen.update(foreign=sys._current_frames()[threading.get_ident()])).switch()
    assert seen["foreign"].f_code.co_name == "<lambda>"


def native_threads_have_entries_as_ever():
    lock = allocate_native_lock()
    lock.acquire()
    thread = NativeThread(target=lambda: lock.acquire(), name="native")
    thread.start()
    try:
        assert "<lambda>" in _where()[thread.ident]
    finally:
        lock.release()
        thread.join()


def frames_may_be_kept_and_read_while_their_threads_go_on():
    over, kept = [], []

    def goes_on():
        while not over:
            time.sleep(0)

    threads = [threading.Thread(target=goes_on) for _ in range(5)]
    for each in threads:
        each.start()

    def looks():
        for _ in range(300):
            frames = sys._current_frames()
            kept.append(frames)
            for frame in (*frames.values(), *kept[len(kept) // 2].values()):
                assert traceback.extract_stack(frame) is not None
                assert frame.f_locals is not None

    watcher = NativeThread(target=looks)
    watcher.start()
    watcher.join()
    looks()
    over.append(True)
    for each in threads:
        each.join()
    kept.clear()
    gc.collect()


def a_helper_that_dumps_all_stacks_finds_who_hangs():
    """Programs do it in a handler of a signal."""
    lines = []

    def dump(number, frame):
        names = {each.ident: each.name for each in threading.enumerate()}
        for ident, stack in sys._current_frames().items():
            lines.append(f"{names[ident]}: {''.join(traceback.format_stack(stack))}")

    before = signal.signal(signal.SIGUSR1, dump)
    items = queue.Queue()
    try:
        with concurrent.futures.ThreadPoolExecutor(thread_name_prefix="pool") as executor, _waiting(1):
            executor.submit(items.get)
            time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGUSR1)
            while not lines:
                time.sleep(0.001)
            items.put(1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert {each.partition(":")[0] for each in lines} == {"MainThread", "pool_0", "waiting 0"}
    assert any("in waits_for" in each for each in lines)


def a_child_has_the_thread_that_forked_only():
    statuses = []

    def forks():
        pid = os.fork()
        if pid == 0:
            status = 1
            with contextlib.suppress(BaseException):
                where = _where()
                status = 7 if set(where) == {threading.get_ident()} == set(threading._active) else 2
            os._exit(status)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    with _waiting():
        forks()
        thread = threading.Thread(target=forks)
        thread.start()
        thread.join()
    assert statuses == [7, 7], statuses


def exceptions_are_of_those_who_run():
    seen = []

    def handles():
        try:
            raise ValueError("here")
        except ValueError as error:
            found = sys._current_exceptions()[threading.get_ident()]
            seen.append((found[1] if isinstance(found, tuple) else found) is error)

    for thread in (threading.Thread(target=handles), NativeThread(target=handles)):
        thread.start()
        thread.join()
    handles()
    assert seen == [True] * 3


def nothing_else_is_taken():
    for wrong in ((1,), (None,)):
        for function in (sys._current_frames, sys._current_exceptions):
            try:
                function(*wrong)
            except TypeError:
                continue
            raise AssertionError(f"{function} took {wrong}")
