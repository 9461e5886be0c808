"""Executors, queues, logging and print() when threads are greenlets. All in one process, one after the other."""

from greenio import monkey

monkey.patch_all()

import concurrent.futures  # noqa: E402
import io  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import queue  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from shared import raises, run_in_threads  # noqa: E402


def executors():
    with concurrent.futures.ThreadPoolExecutor(20, thread_name_prefix="mine") as executor:
        meeting = threading.Barrier(20)
        names = list(executor.map(lambda _: (meeting.wait(10), threading.current_thread().name)[1], range(20)))
        assert len(set(names)) == 20 and all(name.startswith("mine") for name in names)
        future = executor.submit(lambda: 1 / 0)
        assert isinstance(future.exception(), ZeroDivisionError)
        assert threading.get_native_id() == executor.submit(threading.get_native_id).result()
        go_on = threading.Event()
        slow = executor.submit(go_on.wait)
        with raises(concurrent.futures.TimeoutError):
            slow.result(0.001)
        go_on.set()
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
    for call in (results.get_nowait, lambda: results.get(timeout=0.001)):
        with raises(queue.Empty):
            call()
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

    run_in_threads(*[log] * 1000)
    handler.close()


def _check_lines(lines):
    assert len(lines) == 5000
    assert all(line.endswith(" " + "x" * 40) for line in lines)
    assert len({line.split()[0] for line in lines}) == 1000


def logging_from_a_thousand_to_a_file():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        _log_from_many(logging.FileHandler(path))
        with open(path) as file:
            _check_lines(file.read().splitlines())


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
    _check_lines(b"".join(received).decode().splitlines())


def printing_from_threads():
    printed, before = io.StringIO(), sys.stdout
    sys.stdout = printed
    try:
        run_in_threads(*[lambda: print("line")] * 20)
    finally:
        sys.stdout = before
    assert printed.getvalue() == "line\n" * 20
