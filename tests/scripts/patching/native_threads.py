"""Native threads of a patched process, by monkey.get_original(). All in one process, one after the other."""

from greenio import monkey

monkey.patch_all()

import queue  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from shared import raises  # noqa: E402

import greenio  # noqa: E402


def native_threads_run_while_the_main_thread_is_blocked():
    native, native_sleep = monkey.get_original("threading", "Thread"), monkey.get_original("time", "sleep")
    ran, finished = [], monkey.get_original("_thread", "allocate_lock")()
    finished.acquire()

    def block():
        ran.append(threading.get_native_id())
        native_sleep(0.005)
        ran.append(threading.get_native_id())
        finished.release()

    thread = native(target=block, name="native")
    thread.start()
    assert finished.acquire(timeout=20)  # greenlets stand still meanwhile
    assert len(ran) == 2 and ran[0] == ran[1] != threading.get_native_id()
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
    with raises(RuntimeError, "before it is started"):
        native(target=print).join()


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
            # Threads that a native thread starts are greenlets, too.
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
