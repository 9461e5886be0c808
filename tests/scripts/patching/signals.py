"""Signal handlers and asyncio in a patched process. All in one process, one after the other."""

from greenio import monkey

monkey.patch_all()

import _thread  # noqa: E402
import asyncio  # noqa: E402
import contextlib  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from shared import raises  # noqa: E402

import greenio  # noqa: E402


def _with_handler(handler, function, signum=signal.SIGUSR1):
    before = signal.signal(signum, handler)
    try:
        return function()
    finally:
        signal.signal(signum, before)


def _kill(signum=signal.SIGUSR1):
    os.kill(os.getpid(), signum)


def handlers_are_what_they_were_set_to():
    def handler(*_):
        pass

    def look():
        assert signal.getsignal(signal.SIGUSR1) is handler
        assert signal.signal(signal.SIGUSR1, signal.SIG_IGN) is handler
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN

    _with_handler(handler, look)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def handlers_run_on_the_main_greenlet():
    seen = []

    def handler(signum, frame):
        time.sleep(0.001)  # it may wait
        seen.append((signum, threading.current_thread().name, greenio.getcurrent().parent))

    def busy():
        _kill()
        end = time.monotonic() + 10
        while not seen and time.monotonic() < end:
            time.sleep(0)

    def use():
        for thread in [threading.Thread(target=busy), threading.Thread(target=time.sleep, args=(0.01,))]:
            thread.start()
            thread.join()

    _with_handler(handler, use)
    assert seen == [(signal.SIGUSR1, "MainThread", None)]


def what_a_handler_raises_comes_out_of_the_main_greenlet():
    class Stop(Exception):
        pass

    def handler(*_):
        raise Stop

    unharmed = []

    def busy():
        _kill()
        for _ in range(1000):
            len("computing")
        time.sleep(0.001)
        unharmed.append(1)

    def use():
        thread = threading.Thread(target=busy)
        thread.start()
        with raises(Stop):
            time.sleep(1000)
        thread.join()

    _with_handler(handler, use)
    assert unharmed == [1]


def interrupting_main_while_another_computes():
    stop = []

    def busy():
        _thread.interrupt_main()
        for _ in range(1000):
            len("computing")
        while not stop:
            time.sleep(0)

    thread = threading.Thread(target=busy)
    try:
        thread.start()  # it may come here already: the thread interrupts before it lets others run
        time.sleep(1000)
    except KeyboardInterrupt:
        stop.append(1)
    assert stop
    thread.join()


def ctrl_c_in_the_main_greenlet_that_joins():
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    greenio.spawn_later(0.001, _kill, signal.SIGINT)
    try:
        thread.join()
    except KeyboardInterrupt:
        event.set()
    assert event.is_set()
    thread.join()


def alarms():
    seen = []

    def use():
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        signal.pause()
        assert seen == [signal.SIGALRM]

    _with_handler(lambda signum, _: seen.append(signum), use, signal.SIGALRM)


def only_the_main_thread_may_set_handlers():
    # The system takes greenlets of the main native thread for this thread; a native thread is another one.
    failed = []

    def use():
        try:
            signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        except ValueError as error:
            failed.append(str(error))

    thread = monkey.get_original("threading", "Thread")(target=use)
    thread.start()
    thread.join()
    assert len(failed) == 1 and "main thread" in failed[0]


def threads_may_not_set_handlers():
    # A library in a thread leaves the handlers of the program alone, because it gets a ValueError.
    failed = []

    def use():
        for set_it in (lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN), lambda: signal.set_wakeup_fd(-1)):
            try:
                set_it()
            except ValueError as error:
                failed.append("only works in main thread" in str(error))

    def look():
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        return signal.getsignal(signal.SIGUSR1)

    def handler(*_):
        pass

    assert _with_handler(handler, look) is handler
    assert failed == [True, True]
    greenio.spawn(_with_handler, handler, look).get()  # a greenlet that the program has spawned is no thread


def the_thread_that_forked_may_set_them_in_the_child():
    status = []

    def fork():
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
            os.kill(os.getpid(), signal.SIGUSR2)
            signal.pthread_kill(threading.get_ident(), 0)
            os._exit(signal.sigwait({signal.SIGUSR2}))
        status.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    assert status == [signal.SIGUSR2]


def the_wakeup_descriptor_is_what_the_program_set():
    reader, writer = os.pipe2(os.O_NONBLOCK)

    def use():
        for _ in range(3):
            time.sleep(0.06)  # the hub takes the slot while it sleeps
            assert signal.set_wakeup_fd(writer) == -1
            time.sleep(0.06)
            _kill()
            time.sleep(0.001)
            assert os.read(reader, 10) == bytes([signal.SIGUSR1])
            assert signal.set_wakeup_fd(-1) == writer

    _with_handler(lambda *_: None, use)
    os.close(reader)
    os.close(writer)


def signals_for_a_thread():
    seen = []

    def use():
        thread = threading.Thread(target=time.sleep, args=(0.02,))
        thread.start()
        signal.pthread_kill(thread.ident, signal.SIGUSR1)
        signal.pthread_kill(threading.main_thread().ident, 0)
        assert time.clock_gettime(time.pthread_getcpuclockid(thread.ident)) > 0
        thread.join()
        native = monkey.get_original("threading", "Thread")(target=time.sleep, args=(0.02,))
        native.start()
        signal.pthread_kill(native.ident, 0)
        native.join()
        ident = thread.ident
        del thread
        for find in (lambda: signal.pthread_kill(ident, 0), lambda: time.pthread_getcpuclockid(ident)):
            try:
                find()
            except ProcessLookupError:
                continue
            raise AssertionError("a thread that has ended was found")

    _with_handler(lambda *_: seen.append(threading.current_thread().name), use)
    assert seen == ["MainThread"]


def a_thread_has_its_own_mask_of_blocked_signals():
    told = []

    def work():
        told.append(signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGKILL}))
        told.append(signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]))
        told.append(signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT}))
        told.append(signal.pthread_sigmask(signal.SIG_SETMASK, ()))
        for bad, error in (((9, ()), OSError), ((0, {99}), ValueError), ((0, {"x"}), TypeError)):
            try:
                signal.pthread_sigmask(*bad)
            except error:
                told.append(set())
        time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    greenio.spawn_later(0.001, _kill, signal.SIGINT)
    try:
        time.sleep(10)
    except KeyboardInterrupt:
        told.append("interrupted")
    thread.join()
    both = {signal.SIGINT, signal.SIGUSR1}
    assert told == [set(), {signal.SIGINT}, both, {signal.SIGUSR1}, set(), set(), set(), "interrupted"], told


def a_thread_waits_for_signals_that_it_has_blocked():
    found, handled = [], []

    def work():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        found.append(signal.sigtimedwait({signal.SIGUSR1}, 10).si_signo)

    def use():
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in threads:
            greenio.sleep(0.001)
            _kill()
        for thread in threads:
            thread.join(10)
        assert not handled
        _kill()
        time.sleep(0.001)

    _with_handler(lambda *_: handled.append(1), use)
    assert found == [signal.SIGUSR1] * 2 and handled == [1]
    assert signal.SIGUSR1 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def a_thread_that_waits_for_signals():
    found = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        thread = threading.Thread(target=lambda: found.append(signal.sigwait({signal.SIGUSR1})))
        thread.start()
        _kill()
        thread.join(10)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert found == [signal.SIGUSR1]


def ctrl_c_is_for_the_command():
    interrupted = []

    def use():
        def run():
            assert os.system("kill -INT $PPID; kill -QUIT $PPID; sleep 0.05; exit 3") == 3 << 8

        jobs = [greenio.spawn(run) for _ in range(3)]
        for job in jobs:
            job.get()
        assert os.system("kill -INT $$") == signal.SIGINT  # it is not ignored there

    _with_handler(lambda *_: interrupted.append(1), use, signal.SIGINT)
    assert interrupted == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        _kill(signal.SIGINT)
        time.sleep(1)
    except KeyboardInterrupt:
        interrupted.append(1)
    assert interrupted == [1]


def commands_whose_status_the_program_ignores():
    assert _with_handler(signal.SIG_IGN, lambda: os.system("exit 3"), signal.SIGCHLD) == -1


# --- asyncio ------------------------------------------------------------------------------------------------------


async def _nap(result, seconds=0.001):
    await asyncio.sleep(seconds)
    return result


def a_loop_in_the_main_greenlet():
    assert asyncio.run(_nap(1)) == 1

    async def several():
        return await asyncio.gather(*(_nap(each) for each in range(10)))

    assert asyncio.run(several()) == list(range(10))


def several_loops_at_once():
    meeting = threading.Barrier(5)
    results = []

    async def meet(number):
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        meeting.wait(10)  # blocks the loop, and lets other greenlets run
        assert asyncio.get_running_loop() is loop and asyncio.current_task() is task
        await _nap(None)
        assert asyncio.get_running_loop() is loop and asyncio.current_task() is task
        return number

    def run(number):
        results.append(asyncio.run(meet(number)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    results.append(asyncio.run(meet(4)))
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(5))


def other_greenlets_are_not_in_the_coroutine():
    seen = []

    def look():
        for ask in (asyncio.current_task, asyncio.get_running_loop):
            try:
                ask()
            except RuntimeError as error:
                seen.append("no running event loop" in str(error))

    async def block():
        task = asyncio.current_task()
        job = greenio.spawn(look)
        time.sleep(0.002)
        job.get()
        assert asyncio.current_task() is task

    asyncio.run(block())
    assert seen == [True, True]


def a_call_that_fails_in_a_coroutine():
    async def block():
        with greenio.Timeout(0.001, False):
            time.sleep(1000)
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(ValueError):
            greenio.spawn(int, "x").get()
        assert asyncio.current_task() is task
        return await _nap("fine")

    # The failed greenlet's report is not checked here.
    greenio.get_hub().exception_stream, before = None, greenio.get_hub().exception_stream
    try:
        assert asyncio.run(block()) == "fine"
    finally:
        greenio.get_hub().exception_stream = before
    with raises(RuntimeError):
        asyncio.current_task()


def to_thread_and_executors():
    async def use():
        order = []

        def work(seconds, name):
            time.sleep(seconds)
            order.append((name, threading.get_native_id() == os.getpid()))

        loop = asyncio.get_running_loop()
        await asyncio.gather(
            asyncio.to_thread(work, 0.02, "slow"), loop.run_in_executor(None, work, 0.001, "quick"), _nap(None)
        )
        return order

    assert asyncio.run(use()) == [("quick", True), ("slow", True)]


def calling_into_a_loop_from_another_thread():
    async def wait():
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(event.set))
        thread.start()
        await asyncio.wait_for(event.wait(), 10)
        thread.join()

        def ask():
            return asyncio.run_coroutine_threadsafe(_nap("told"), loop).result(10)

        return await asyncio.to_thread(ask)

    assert asyncio.run(wait()) == "told"


def subprocesses_of_asyncio():
    async def run():
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", "cat; exit 3", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        out, _ = await process.communicate(b"through")
        return out, process.returncode

    assert asyncio.run(run()) == (b"through", 3)


def signal_handlers_of_asyncio():
    async def wait():
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, event.set)
        greenio.spawn_later(0.001, _kill)
        await asyncio.wait_for(event.wait(), 10)
        return loop.remove_signal_handler(signal.SIGUSR1)

    assert asyncio.run(wait())


def servers_of_asyncio_and_clients_of_threads():
    import socket

    async def answer(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    def ask(address):
        with socket.create_connection(address) as client:
            client.sendall(b"hello\n")
            return client.makefile().read()

    async def serve():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()
            return await asyncio.gather(*(asyncio.to_thread(ask, address) for _ in range(3)))

    assert asyncio.run(serve()) == ["HELLO\n"] * 3


def ctrl_c_while_others_run_loops():
    stop = []

    async def tick():
        while not stop:
            await asyncio.sleep(0)

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for work in (tick, tick, _idle)]
    for thread in threads:
        thread.start()
    greenio.spawn_later(0.001, _kill, signal.SIGINT)
    began = time.monotonic()
    try:
        time.sleep(30)
    except KeyboardInterrupt:
        stop.append(1)
    assert stop and time.monotonic() - began < 10
    for thread in threads:
        thread.join()


async def _idle():
    await asyncio.sleep(0.05)


def ctrl_c_in_a_loop_that_only_sleeps():
    # Without a Runner, which has a handler of its own; nothing else runs, and the signal comes from another process.
    for function in (lambda loop: loop.run_until_complete(asyncio.sleep(30)), _blocking_call_in_a_coroutine):
        loop = asyncio.new_event_loop()
        sender = subprocess.Popen(["sh", "-c", f"sleep 0.1; kill -INT {os.getpid()}"])
        began = time.monotonic()
        try:
            with raises(KeyboardInterrupt):
                function(loop)
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
            sender.wait()
        assert time.monotonic() - began < 10


def _blocking_call_in_a_coroutine(loop):
    seen = []

    async def block():
        try:
            time.sleep(30)
        except KeyboardInterrupt:
            await asyncio.sleep(0.001)
            assert asyncio.get_running_loop() is loop
            seen.append(1)

    loop.run_until_complete(block())
    assert seen
    raise KeyboardInterrupt


def ctrl_c_is_python_s_own_handler_s():
    # asyncio replaces the handler of SIGINT only if it is Python's own.
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.signal(signal.SIGINT, signal.default_int_handler) is signal.default_int_handler


def ctrl_c_ends_a_loop():
    async def wait():
        greenio.spawn_later(0.001, _kill, signal.SIGINT)
        await asyncio.sleep(1000)

    with raises(KeyboardInterrupt):
        asyncio.run(wait())
    assert asyncio.run(_nap(1)) == 1
