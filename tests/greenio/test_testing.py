"""greenio.testing and the pytest plugin: limits of time, and objects that are left behind."""

import contextlib
import os
import re
import socket
import threading
import time
import tracemalloc
from textwrap import dedent

import pytest
from greenlet import getcurrent
from hub import get_hub
from waiting import in_thread, until, until_waiting

from greenio import Timeout, sleep, spawn, spawn_later
from greenio.socket import socketpair
from greenio.testing import LeftBehind, TimeLimit, TimeLimitExceeded, nothing_left_behind

pytest_plugins = ["pytester"]


@pytest.fixture
def session(pytester):
    """A function that runs tests in a fresh process, with options of the plugin, and returns pytester's result."""

    def run(tests, *options, conftest="", guard=20):
        # A signal has ten seconds to be handled, and faulthandler waits for twenty. These tests need not wait so long.
        limits = f"import greenio._testing.limits as limits\nlimits.GRACE, limits.GUARD = 0.5, {guard}\n"
        pytester.makeconftest(limits + dedent(conftest))
        return run_plain(tests, *options)

    def run_plain(tests, *options):
        pytester.makepyfile(dedent(tests))
        plugins = ("-p", "pytest_greenio", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")
        return pytester.runpytest_subprocess(*plugins, *options, timeout=60)

    run.plain = run_plain
    return run


# --- leftovers, as a block --------------------------------------------------------------------------------------


def test_a_block_that_leaves_nothing_passes():
    with nothing_left_behind():
        spawn(sleep, 0.001).join()
        first, second = socketpair()
        first.close(), second.close()
        with Timeout(10), get_hub().loop.timer(10):
            in_thread(sleep, 0)


def test_greenlets_and_threads_that_end_by_themselves_do_not_count():
    with nothing_left_behind():
        spawn(sleep, 0.01)
        threading.Thread(target=time.sleep, args=(0.01,)).start()


def test_a_call_in_a_thread_ends_by_itself():
    with nothing_left_behind():
        get_hub().threadpool.spawn(time.sleep, 0.1)


def test_a_greenlet_is_named_with_its_place():
    with pytest.raises(LeftBehind, match=r"waits on sleep\(\)\n.*\n +spawned at .*:\d+ in test_a_greenlet_is_named"):
        with nothing_left_behind():
            job = spawn(sleep, 1000)
    job.kill()


def test_a_greenlet_that_is_always_ready_is_named():
    def work():
        while True:
            sleep(0)

    with pytest.raises(LeftBehind, match=r"ready to run, 1 more than before\n(.*\n)+ +spawned at .*test_testing"):
        with nothing_left_behind():
            job = spawn(work)
    job.kill()


def test_a_greenlet_that_an_older_one_spawns_does_not_count():
    def serve():
        sleep(0.001)
        handlers.append(spawn(sleep, 1000))
        sleep(1000)

    handlers = []
    server = spawn(serve)
    until_waiting(server)
    with nothing_left_behind():
        until(lambda: handlers)
    for each in (server, *handlers):
        each.kill()


def test_a_timeout_is_named():
    with pytest.raises(LeftBehind, match="^left behind:\ntimeouts, .*\n.*<Timeout at .* seconds=1000"):
        with nothing_left_behind():
            timeout = Timeout.start_new(1000)
    timeout.cancel()


def test_a_greenlet_that_is_to_start_later_is_named_with_its_place():
    with pytest.raises(LeftBehind, match=r"which is to start later\n +spawned at .*:\d+ in test_a_greenlet_that_is_to"):
        with nothing_left_behind():
            job = spawn_later(1000, int)
    job.kill()


def test_a_handle_is_named():
    with pytest.raises(LeftBehind, match="handles of the loop, 1 more than before.*\n.*<timer watcher .* stopped>"):
        with nothing_left_behind():
            watcher = get_hub().loop.timer(1000)
    watcher.close()


def test_a_thread_is_named():
    release = threading.Event()
    with pytest.raises(LeftBehind, match=r"threads:\n +<Thread\(the sleeper, started"):
        with nothing_left_behind():
            thread = threading.Thread(target=release.wait, name="the sleeper")
            thread.start()
    release.set()
    thread.join()


def test_the_threads_of_a_pool_are_named(threadpool):
    from greenio.threadpool import ThreadPool

    with pytest.raises(LeftBehind, match=r"threads:\n +those of <ThreadPool at"):
        with nothing_left_behind():
            threadpool.apply(int)  # the hub's own pool does not count
            pool = ThreadPool(1)
            pool.apply(int)
    pool.kill()


def test_threads_of_the_hubs_resolver_are_not_left_behind():
    from greenio.resolver.thread import Resolver
    from greenio.socket import getaddrinfo

    hub = get_hub()
    before, made = hub.resolver, Resolver(hub)
    hub.resolver = made
    try:
        with nothing_left_behind():
            getaddrinfo("localhost", 80)
    finally:
        hub.resolver = before
        made.close()


def test_a_descriptor_is_named_with_its_owner():
    with pytest.raises(LeftBehind, match=r"descriptors:\n +\d+: socket:\[\d+\]\n +of <greenio.socket.socket fd="):
        with nothing_left_behind():
            pair = socketpair()
    for each in pair:
        each.close()


def test_a_socket_of_the_standard_library_is_named():
    with pytest.raises(LeftBehind, match=r"descriptors:\n +\d+: socket:\[\d+\]\n +of <socket.socket fd="):
        with nothing_left_behind():
            pair = socket.socketpair()
    for each in pair:
        each.close()


def test_where_the_owner_of_a_descriptor_was_made_is_told_with_tracemalloc():
    tracemalloc.start(10)
    try:
        with pytest.raises(
            LeftBehind, match=rf"of <greenio.socket.socket fd=.*\n +made at {re.escape(__file__)}:\d+\n"
        ):
            with nothing_left_behind():
                pair = socketpair()
    finally:
        tracemalloc.stop()
    for each in pair:
        each.close()


def test_a_loop_that_has_ended_owns_no_descriptor():
    ended = []
    thread = threading.Thread(target=lambda: (sleep(0.001), ended.append(get_hub().loop)))
    thread.start()
    thread.join()
    with pytest.raises(LeftBehind, match="of <greenio.socket.socket fd="):
        with nothing_left_behind():
            pair = socketpair()
    for each in pair:
        each.close()
    assert len(ended) == 1


def test_only_the_kinds_that_are_given_count():
    with nothing_left_behind("threads", "descriptors"):
        job = spawn(sleep, 1000)
        until_waiting(job)
    job.kill()
    with pytest.raises(ValueError, match="'greenlet' is not a kind of leftovers; there are: clock, hub, greenlets, "):
        with nothing_left_behind("greenlet"):
            pass


def test_the_error_of_a_block_comes_first():
    with pytest.raises(ZeroDivisionError):
        with nothing_left_behind():
            job = spawn(sleep, 1000)
            1 / 0  # noqa: B018
    job.kill()


# --- limits, as a block -----------------------------------------------------------------------------------------


def test_a_limit_that_is_not_reached_has_no_effect():
    with TimeLimit(60) as limit:
        sleep(0.001)
    assert not limit.expired


def test_a_limit_ends_a_wait_and_tells_of_the_stacks():
    def somebody_else():
        sleep(1000)

    job = spawn(somebody_else)
    with pytest.raises(TimeLimitExceeded, match="^the block took longer than 0.05 seconds$") as caught:
        with TimeLimit(0.05):
            sleep(1000)
    stacks = caught.value.stacks
    assert "somebody_else" in stacks and "test_a_limit_ends_a_wait" in stacks and "Waits on: sleep()" in stacks
    assert "limits.py" not in stacks  # the thread that watches is no news
    job.kill()


def test_a_limit_ends_a_computation():
    with pytest.raises(TimeLimitExceeded):
        with TimeLimit(0.05):
            while True:
                pass


def test_a_limit_ends_a_call_that_blocks_the_thread():
    with pytest.raises(TimeLimitExceeded):
        with TimeLimit(0.05):
            time.sleep(1000)


def test_a_limit_ends_a_computation_in_another_greenlet(quiet):
    def compute():
        while True:
            pass

    job = spawn(compute)
    with pytest.raises(TimeLimitExceeded):
        with TimeLimit(0.05):
            job.join()
    job.join()
    assert isinstance(job.exception, TimeLimitExceeded)


def test_a_limit_that_was_swallowed_is_raised_at_the_end():
    with pytest.raises(TimeLimitExceeded):
        with TimeLimit(0.05):
            with contextlib.suppress(BaseException):
                sleep(1000)


def test_limits_may_be_nested():
    with TimeLimit(60) as outer:
        with pytest.raises(TimeLimitExceeded):
            with TimeLimit(0.05, "the inner block"):
                sleep(1000)
    assert not outer.expired
    with pytest.raises(TimeLimitExceeded, match="the outer block"):
        with TimeLimit(0.05, "the outer block"):
            with TimeLimit(60):
                sleep(1000)


def test_limits_are_for_the_main_thread():
    def limit():
        with TimeLimit(1):
            pass

    with pytest.raises(RuntimeError, match="in the main thread only"):
        in_thread(limit)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="more than 0 seconds"):
            TimeLimit(wrong)


def test_a_limit_in_a_greenlet_is_raised_there():
    def work():
        with TimeLimit(0.05):
            sleep(1000)

    job = spawn(work)
    job.reports_errors = False
    with pytest.raises(TimeLimitExceeded):
        job.get()
    assert getcurrent().parent is None


def test_a_limit_leaves_no_handler_behind():
    import signal

    before = {number: signal.getsignal(number) for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1)}
    with TimeLimit(60):
        assert {number: signal.getsignal(number) for number in before} != before
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_forked_child_is_not_limited(tmp_path):
    with TimeLimit(60):
        pid = os.fork()
        if pid == 0:
            with TimeLimit(60):
                os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


# --- the plugin -------------------------------------------------------------------------------------------------


def test_the_plugin_does_nothing_without_options(session):
    result = session.plain("""
        import sys, threading

        def test_nothing():
            assert not {"greenio", "hub"} & sys.modules.keys()
            assert threading.active_count() == 1

        def test_leak():
            global file
            file = open("/dev/null")
        """)
    result.assert_outcomes(passed=2)


def test_what_a_test_leaves_behind_is_its_error(session):
    result = session(
        """
        import threading, unittest
        import pytest
        from greenio import sleep, spawn
        from greenio.event import Event

        kept = []

        def test_clean():
            spawn(sleep, 0.001)

        def test_greenlet():
            kept.append(spawn(Event().wait, 1000))

        def test_thread():
            threading.Thread(target=threading.Event().wait, daemon=True, name="forgotten").start()

        class TestCase(unittest.TestCase):
            def test_case(self):
                kept.append(open("/dev/null"))

        def test_fails_first():
            kept.append(spawn(Event().wait, 1000))
            assert False

        def test_clean_again():
            pass

        @pytest.mark.greenio_leaves("greenlets")
        def test_may():
            kept.append(spawn(Event().wait, 1000))

        @pytest.mark.greenio_leaves("greenlets")
        def test_may_not():
            kept.append(spawn(Event().wait, 1000))
            kept.append(open("/dev/null"))

        @pytest.mark.greenio_leaves
        def test_may_all():
            kept.append(spawn(Event().wait, 1000))
            kept.append(open("/dev/null"))

        @pytest.mark.greenio_leaves("sockets")
        def test_wrong():
            pass

        @pytest.fixture(scope="module")
        def server():
            kept.append(open("/dev/null"))
            job = spawn(Event().wait, 1000)
            yield
            job.kill()

        @pytest.fixture
        def client(server):
            kept.append(open("/dev/null"))

        def test_with_server(server):
            pass

        def test_with_client(client):
            pass
        """,
        "--greenio-leaks",
    )
    result.assert_outcomes(passed=11, failed=1, errors=6)
    result.stdout.fnmatch_lines([
        "*ERROR at teardown of test_greenlet*", "*greenlets that wait:", "*spawned at *in test_greenlet",
        "*ERROR at teardown of test_thread*", "*<Thread(forgotten*", "*started at *in test_thread",
        "*ERROR at teardown of TestCase.test_case*", "descriptors:", "*: /dev/null", "*of <_io.TextIOWrapper*",
        "*ERROR at teardown of test_may_not*", "left behind: descriptors",
        "*ERROR at teardown of test_wrong*", "*'sockets' is not a kind of leftovers*",
        "*ERROR at teardown of test_with_client*",
        "*FAILURES*", "*test_fails_first*", "*Captured left behind teardown*", "*in test_fails_first",
    ])  # fmt: skip


def test_leftovers_of_patched_programs_and_of_coroutines(session):
    result = session(
        """
        import asyncio, threading, time

        kept = []

        def test_thread():
            threading.Thread(target=time.sleep, args=(1000,), daemon=True, name="forgotten").start()

        async def test_coroutine():
            await asyncio.sleep(0.001)

        async def test_coroutine_that_leaves_something():
            kept.append(open("/dev/null"))
        """,
        "--greenio-leaks",
        conftest="""
        from greenio import monkey
        monkey.patch_all()
        import asyncio, inspect

        def pytest_pyfunc_call(pyfuncitem):
            if inspect.iscoroutinefunction(pyfuncitem.obj):
                asyncio.run(pyfuncitem.obj())
                return True
        """,
    )
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines([
        "*ERROR at teardown of test_thread*", "*<Thread(forgotten*", "*started at *in test_thread",
        "*ERROR at teardown of test_coroutine_that_leaves_something*", "*: /dev/null",
    ])  # fmt: skip


def test_tests_that_are_too_slow_fail_and_tell_of_the_stacks(session):
    result = session(
        """
        import asyncio, time, unittest
        import pytest
        from greenio import sleep, spawn

        def somebody():
            sleep(1000)

        def test_sleeps():
            job = spawn(somebody)
            try:
                sleep(1000)
            finally:
                job.kill()

        def test_blocks():
            time.sleep(1000)

        class TestCase(unittest.TestCase):
            def test_case(self):
                sleep(1000)

        @pytest.fixture
        def slow():
            sleep(1000)

        def test_setup(slow):
            pass

        @pytest.fixture
        def slow_to_end():
            yield
            sleep(1000)

        def test_teardown(slow_to_end):
            pass

        @pytest.mark.greenio_timeout(None)
        def test_unlimited():
            sleep(0.15)

        @pytest.mark.greenio_timeout("soon")
        def test_wrong():
            pass

        def test_goes_on():
            pass

        def test_coroutine():
            asyncio.run(asyncio.sleep(1000))
        """,
        "-o", "greenio_timeout=0.1", "--timeout=60",
    )  # fmt: skip
    result.assert_outcomes(passed=3, failed=4, errors=4)  # the wrong number is an error of setup and of teardown
    result.stdout.fnmatch_lines([
        "*ERROR at setup of test_setup*", "*setup of *test_setup took longer than 0.1 seconds",
        "*ERROR at teardown of test_teardown*", "*teardown of *test_teardown took longer than 0.1 seconds",
        "*ERROR at setup of test_wrong*", "*test_wrong: greenio_timeout is a number of seconds, not 'soon'",
        "*test_sleeps*", "*call of *test_sleeps took longer than 0.1 seconds",
        "*Captured greenlets and threads call*", "*Spawned at:", "*in test_sleeps",
        "*test_blocks*", "*TestCase.test_case*", "*test_coroutine*",
    ])  # fmt: skip
    result.stdout.fnmatch_lines(["*in somebody"])
    result.stdout.no_fnmatch_line("*/_pytest/runner.py*")


def test_a_limit_ends_a_wait_of_a_patched_program(session):
    result = session(
        """
        from greenio import monkey
        monkey.patch_all()
        from greenio import sleep, spawn

        def test_sleeps():
            spawn(int)  # when it has ended, the hub is left with the loop, without a Python frame
            sleep(1000)
        """,
        "--greenio-timeout=0.5",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*call of *test_sleeps took longer than 0.5 seconds"])


def test_a_signal_is_not_taken_by_the_thread_that_watches(session):
    session(
        """
        import os, signal

        def test_sigwait():
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            os.kill(os.getpid(), signal.SIGUSR1)
            assert signal.sigtimedwait([signal.SIGUSR1], 10).si_signo == signal.SIGUSR1
        """,
        "--greenio-timeout=30",
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize("options", [(), ("-o", "faulthandler_timeout=100"), ("--greenio-leaks",)])
def test_time_jumps_in_a_test_that_has_a_limit(session, options):
    """The threads that watch the limit do not count as being at work, even if they began before the clock."""
    session(
        """
        from greenio import sleep
        from greenio.testing import MockClock, TimeLimit

        def test_fixture(greenio_clock):
            sleep(3600)

        def test_block():
            with MockClock():
                sleep(3600)

        def test_limit_of_a_block(greenio_clock):
            with TimeLimit(30):
                sleep(3600)
        """,
        "--greenio-timeout=30", *options,
    ).assert_outcomes(passed=3)  # fmt: skip


@pytest.mark.parametrize("library", ["CDLL", "PyDLL"])
def test_a_call_into_c_that_cannot_be_ended_ends_the_process(session, library):
    """A call by PyDLL keeps the GIL."""
    result = session(
        f"""
        import ctypes
        import pytest

        @pytest.mark.greenio_timeout(0.1)
        def test_deadlock():
            mutex = ctypes.create_string_buffer(128)
            lock = ctypes.{library}(None).pthread_mutex_lock
            lock(mutex)
            lock(mutex)
        """,
        guard=1 if library == "PyDLL" else 20,
    )
    assert result.ret == 1
    result.stderr.fnmatch_lines(["*in test_deadlock"])
    if library == "CDLL":
        result.stderr.fnmatch_lines(["call of *test_deadlock took longer than 0.1 seconds, and cannot be ended"])


def test_a_limit_that_is_caught_again_and_again_ends_the_process(session):
    result = session(
        """
        import pytest
        from greenio import sleep

        @pytest.mark.greenio_timeout(0.1)
        def test_stubborn():
            while True:
                try:
                    sleep(1000)
                except BaseException:
                    pass
        """
    )
    assert result.ret == 1
    result.stderr.fnmatch_lines(["call of *test_stubborn took longer than 0.1 seconds, and cannot be ended"])
    result.stderr.fnmatch_lines(["*in test_stubborn"])


@pytest.mark.parametrize("seconds", ["inf", "1e300"])
def test_a_limit_may_be_endless(session, seconds):
    session("def test(): pass", f"--greenio-timeout={seconds}").assert_outcomes(passed=1)
