"""How a patched process ends, forks, and dies. Each scenario in a process of its own, whose output the test checks."""

from greenio import monkey

monkey.patch_all()

import atexit  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402

import greenio  # noqa: E402


def _say(text):
    os.write(1, f"{text}\n".encode())


def order_at_the_end():
    import concurrent.futures

    at_the_end, first_has_ended = threading.Event(), threading.Event()

    def say_at_the_end():
        _say("threading's atexit")
        at_the_end.set()

    atexit.register(_say, "atexit")
    threading._register_atexit(say_at_the_end)

    def work(name, begins, ended):
        begins.wait()
        _say(name)
        ended.set()

    def begins_another():
        first_has_ended.wait()
        threading.Thread(target=_say, args=("begun at the end",)).start()

    threading.Thread(target=work, args=("not a daemon", at_the_end, first_has_ended)).start()
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    threading.Thread(target=begins_another).start()
    executor = concurrent.futures.ThreadPoolExecutor(1)
    executor.submit(lambda: (time.sleep(0.005), _say("in an executor")))
    _say("main")


def native_threads_at_the_end():
    native, native_sleep = monkey.get_original("threading", "Thread"), monkey.get_original("time", "sleep")
    main_ends = monkey.get_original("threading", "Event")()
    native(target=lambda: (main_ends.wait(), native_sleep(0.03), _say("native"))).start()
    native(target=native_sleep, args=(1000,), daemon=True).start()
    atexit.register(_say, "atexit")
    _say("main")
    main_ends.set()


def threads_of_native_threads_at_the_end():
    def start():
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        threading.Thread(target=lambda: (main_ends.wait(), time.sleep(0.03), _say("not a daemon"))).start()

    main_ends = threading.Event()
    monkey.get_original("threading", "Thread")(target=start).start()
    atexit.register(_say, "atexit")
    _say("main")
    main_ends.set()


def native_threads_that_wait_for_greenlets_at_the_end():
    import queue

    def natively(function):
        monkey.get_original("threading", "Thread")(target=lambda: function() and results.put(1)).start()

    def gives():
        time.sleep(0.01)
        items.put(1)
        lock.release()
        event.set()

    items, lock, event, results = queue.Queue(), threading.Lock(), threading.Event(), queue.Queue()
    lock.acquire()
    # Several of each kind, so that the order in which the interpreter waits for them does not matter.
    for _ in range(5):
        threading.Thread(target=time.sleep, args=(0.02,)).start()
        natively(event.wait)
    natively(items.get)
    natively(lock.acquire)
    thread = threading.Thread(target=gives)
    thread.start()
    natively(lambda: thread.join() is None)
    # A native thread is waited for that itself waits for a daemon thread.
    after = threading.Event()
    natively(after.wait)
    threading.Thread(target=lambda: (event.wait(), after.set()), daemon=True).start()
    atexit.register(lambda: _say(results.qsize()))
    _say("main")


def a_thread_that_waits_for_the_main_one():
    native = monkey.get_original("threading", "Thread")
    for kind in (native, threading.Thread):
        kind(
            target=lambda: (threading.main_thread().join(), results.append(threading.main_thread().is_alive()))
        ).start()
    results = []
    atexit.register(lambda: _say(results))


def the_end_of_main_is_not_the_end():
    threading.Thread(target=lambda: (time.sleep(0.01), _say("still here"))).start()


def child_of_a_thread():
    others_ran = []

    def other():
        while True:
            time.sleep(0.001)
            others_ran.append(os.getpid())

    def forks():
        me = threading.current_thread()
        pid = os.fork()
        if pid:
            status = os.waitpid(pid, 0)[1]
            _say(f"status {os.waitstatus_to_exitcode(status)}")
            return
        assert threading.current_thread() is threading.main_thread() is me
        assert threading.enumerate() == [me] and threading.active_count() == 1
        assert threading.main_thread().ident == threading.get_ident()
        time.sleep(0.01)
        assert os.getpid() not in others_ran
        thread = threading.Thread(target=lambda: _say("a thread of the child"))
        thread.start()
        thread.join()
        # Returning from here ends the child: it must not become the parent's main greenlet.

    threading.Thread(target=other, daemon=True).start()
    thread = threading.Thread(target=forks)
    thread.start()
    thread.join()
    _say(f"parent {len(threading.enumerate())}")


def child_of_a_thread_that_fails():
    def forks():
        pid = os.fork()
        if pid:
            _say(f"status {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
            return
        threading.excepthook = lambda args: _say(args.exc_type.__name__)
        raise ValueError

    thread = threading.Thread(target=forks)
    thread.start()
    thread.join()


def child_of_a_greenlet():
    """The greenlet is no thread, and has never asked for the current thread."""

    def forks():
        pid = os.fork()
        if pid:
            _say(f"status {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
            return
        assert threading.enumerate() == [threading.main_thread()] == [threading.current_thread()]
        assert threading.main_thread().ident == threading.get_ident()
        os._exit(3)

    sys.unraisablehook = lambda args: _say(f"{args.object}: {args.exc_type}")
    greenio.spawn(forks).join()
    _say(f"parent {threading.enumerate() == [threading.main_thread()]}")


def child_of_the_main_greenlet():
    done = []
    thread = threading.Thread(target=lambda: (time.sleep(0.02), done.append(os.getpid())))
    thread.start()
    lock = threading.Lock()
    pid = os.fork()
    if not pid:
        assert threading.enumerate() == [threading.main_thread()]
        assert not thread.is_alive()
        thread.join()
        with lock:
            time.sleep(0.03)
        assert done == []
        os._exit(7)
    thread.join()
    _say(f"status {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])} {done == [os.getpid()]}")


def ctrl_c_with_a_busy_greenlet():
    def busy():
        threading.Timer(0.005, os.kill, (os.getpid(), signal.SIGINT)).start()
        end = time.monotonic() + 20
        while time.monotonic() < end and not done:
            time.sleep(0)

    done = []
    thread = threading.Thread(target=busy)
    thread.start()
    try:
        time.sleep(1000)
    except KeyboardInterrupt:
        _say("interrupted")
        assert "ctrl_c_with_a_busy_greenlet" in traceback.format_exc()
    done.append(1)
    thread.join()


def executor_at_the_end():
    import concurrent.futures

    executor = concurrent.futures.ThreadPoolExecutor(3)
    for number in range(6):
        executor.submit(lambda number: (time.sleep(0.003 * number), _say(number)), number)
    try:
        threading._register_atexit(_say, "last registered, first called")
    except RuntimeError as error:
        _say(error)


def new_threads_after_the_end():
    def late():
        try:
            threading.Thread(target=_say, args=("ran",)).start()
        except RuntimeError as error:
            _say(f"RuntimeError {str(error)[:11]}")

    atexit.register(late)


def processes_of_multiprocessing():
    import multiprocessing

    def work(queue):
        thread = threading.Thread(target=queue.put, args=(threading.current_thread().name,))
        thread.start()
        thread.join()

    for method in ("fork",):
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        processes = [context.Process(target=work, args=(queue,)) for _ in range(3)]
        for process in processes:
            process.start()
        _say(sorted(queue.get(timeout=20) for _ in range(3)))
        for process in processes:
            process.join()
            _say(process.exitcode)


def process_of_a_thread():
    import multiprocessing

    def look():
        _say(threading.current_thread() is threading.main_thread())

    def starts():
        process = multiprocessing.get_context("fork").Process(target=look)
        process.start()
        process.join(10)
        _say(process.exitcode)

    thread = threading.Thread(target=starts)
    thread.start()
    thread.join()


def spawned_processes_begin_anew():
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        _say(pool.map(time.sleep, [0.001]))
