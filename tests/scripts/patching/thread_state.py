"""What CPython keeps by native thread, when threads are greenlets. All in one process, one after the other."""

from greenio import monkey

monkey.patch_all()

import asyncio  # noqa: E402
import gc  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

import greenio  # noqa: E402


def _run(*functions):
    threads = [threading.Thread(target=each) for each in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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

    _run(lambda: asyncio.run(reader()), other)
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

    _run(lambda: asyncio.run(reader()), other)
    assert len(closed) == 1


def hooks_and_depth_are_a_threads_own():
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

    _run(sets, looks)
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
