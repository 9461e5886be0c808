"""Wrong arguments are refused at once, and the error says what to write instead: seconds, counts, greenlets."""

import errno
import gc
import math
import re
from threading import TIMEOUT_MAX

import pytest
from hub import Wait
from waiting import until_waiting

import greenio
from greenio import Greenlet, Timeout, get_hub, killall, select, sleep, spawn
from greenio.event import AsyncResult, Event
from greenio.fileobject import PipeIO
from greenio.lock import Barrier, BoundedSemaphore, Condition, Lock, RLock, RWLock, Semaphore
from greenio.pool import Group, Pool
from greenio.queue import Channel, JoinableQueue, LifoQueue, PriorityQueue, Queue, SimpleQueue
from greenio.server import StreamServer
from greenio.socket import socket, socketpair, wait_read
from greenio.threadpool import ThreadPool, ThreadPoolExecutor
from greenio.time import sleep as time_sleep
from greenio.util import assert_switches, no_switch


def filled(queue):
    queue.put(1)
    return queue


def acquired_lock():
    lock = Lock()
    lock.acquire()
    return lock


def ready_event():
    event = Event()
    event.set()
    return event


def ready_result():
    result = AsyncResult()
    result.set(1)
    return result


def finished_greenlet():
    greenlet = spawn(int)
    greenlet.join()
    return greenlet


def acquired_condition():
    made = Condition()
    made.acquire()
    return made


def wait_for_socket(seconds):
    ours, theirs = socketpair()
    with ours, theirs:
        wait_read(ours.fileno(), timeout=seconds)


SECONDS = {
    "Timeout": Timeout,
    "Timeout.start_new": Timeout.start_new,
    "with_timeout": lambda value: greenio.with_timeout(value, int),
    "fail_after": greenio.fail_after,
    "move_on_after": greenio.move_on_after,
    "sleep": sleep,
    "time.sleep": time_sleep,
    "spawn_later": lambda value: greenio.spawn_later(value, int),
    "start_later": lambda value: Greenlet(int).start_later(value),
    "joinall": lambda value: greenio.joinall([Greenlet(int)], timeout=value),
    "wait": lambda value: greenio.wait([Event()], timeout=value),
    "wait_any": lambda value: greenio.wait_any(Event(), timeout=value),
    "killall": lambda value: killall([spawn(int)], timeout=value),
    "join": lambda value: Greenlet(int).join(value),
    "join of a finished one": lambda value: finished_greenlet().join(value),
    "get of a finished one": lambda value: finished_greenlet().get(timeout=value),
    "kill": lambda value: spawn(int).kill(timeout=value),
    "kill without waiting": lambda value: spawn(int).kill(block=False, timeout=value),
    "Event.wait": lambda value: Event().wait(value),
    "wait of a ready event": lambda value: ready_event().wait(value),
    "get of a ready result": lambda value: ready_result().get(timeout=value),
    "Semaphore.acquire": lambda value: Semaphore().acquire(timeout=value),
    "Semaphore.wait": lambda value: Semaphore().wait(value),
    "Lock.acquire": lambda value: Lock().acquire(timeout=value),
    "acquire of a taken lock": lambda value: acquired_lock().acquire(timeout=value),
    "RLock.acquire": lambda value: RLock().acquire(timeout=value),
    "RWLock.acquire_read": lambda value: RWLock().acquire_read(timeout=value),
    "RWLock.acquire_write": lambda value: RWLock().acquire_write(timeout=value),
    "Condition.wait": lambda value: acquired_condition().wait(value),
    "Condition.wait_for": lambda value: acquired_condition().wait_for(int, value),
    "Barrier": lambda value: Barrier(2, timeout=value),
    "Queue.get": lambda value: filled(Queue()).get(timeout=value),
    "Queue.put": lambda value: Queue().put(1, timeout=value),
    "put into a full queue": lambda value: filled(Queue(1)).put(1, timeout=value),
    "Queue.peek": lambda value: filled(Queue()).peek(timeout=value),
    "SimpleQueue.get": lambda value: SimpleQueue().get(timeout=value),
    "Channel.get": lambda value: Channel().get(timeout=value),
    "JoinableQueue.join": lambda value: JoinableQueue().join(value),
    "Group.join": lambda value: Group().join(value),
    "Group.kill": lambda value: Group().kill(timeout=value),
    "Pool.wait_available": lambda value: Pool(1).wait_available(value),
    "Pool.add": lambda value: Pool(1).add(Greenlet(int), timeout=value),
    "Wait.park": lambda value: Wait("nothing").park(value),
    "hub.join": lambda value: get_hub().join(value),
    "loop.timer": lambda value: get_hub().loop.timer(value),
    "loop.timer's repeat": lambda value: get_hub().loop.timer(0, value),
    "loop.stat's interval": lambda value: get_hub().loop.stat("/", value),
    "StreamServer.stop": lambda value: StreamServer(("127.0.0.1", 0), print).stop(value),
    "setswitchinterval": greenio.setswitchinterval,
    "wait_read": wait_for_socket,
}

COUNTS = {
    "Semaphore": Semaphore,
    "BoundedSemaphore": BoundedSemaphore,
    "Semaphore.release": lambda value: Semaphore().release(value),
    "Pool": Pool,
    "Queue": Queue,
    "LifoQueue": LifoQueue,
    "PriorityQueue": PriorityQueue,
    "JoinableQueue": JoinableQueue,
    "unfinished_tasks": lambda value: JoinableQueue(unfinished_tasks=value),
    "Queue.maxsize": lambda value: setattr(Queue(), "maxsize", value),
    "Barrier": Barrier,
    "Condition.notify": lambda value: acquired_condition().notify(value),
    "joinall's count": lambda value: greenio.joinall([Greenlet(int)], count=value),
    "imap's maxsize": lambda value: Pool(1).imap(int, [1], maxsize=value),
    "ThreadPool": ThreadPool,
    "ThreadPoolExecutor": ThreadPoolExecutor,
}


@pytest.mark.parametrize("give", SECONDS.values(), ids=SECONDS)
def test_seconds_are_numbers(give):
    with pytest.raises(TypeError, match=r"number of seconds \(int or float(, None for no limit)?\), not '1'"):
        give("1")
    with pytest.raises(ValueError, match="a number, not NaN"):
        give(math.nan)


@pytest.mark.parametrize("give", [greenio.sleep, time_sleep, greenio.setswitchinterval])
def test_errors_offer_none_only_where_it_is_allowed(give):
    with pytest.raises(TypeError, match=r"\(int or float\), not None$"):
        give(None)


@pytest.mark.parametrize("give", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("value", ["4", 1.5])
def test_counts_are_whole_numbers(give, value):
    with pytest.raises(TypeError, match=r"(must be a whole number \(int\)|must be an integer), not"):
        give(value)


def test_timeouts_of_sockets_and_select_are_numbers():
    ours, theirs = socketpair()
    with ours, theirs:
        with pytest.raises(TypeError):
            ours.settimeout("1")
        with pytest.raises(TypeError):
            select.select([ours], [], [], "1")


def test_a_server_goes_on_after_a_wrong_argument_of_stop():
    server = StreamServer(("127.0.0.1", 0), print)
    server.start()
    with pytest.raises(TypeError):
        server.stop("1")
    assert server.started
    server.stop()


#: The calls of SECONDS that really wait. Only such calls refuse a time as too large, as in the standard library.
WAITING = [
    "Timeout.start_new", "with_timeout", "fail_after", "sleep", "time.sleep", "spawn_later", "start_later", "joinall",
    "wait", "wait_any", "join", "Event.wait", "Lock.acquire", "acquire of a taken lock", "Condition.wait",
    "wait_read", "Condition.wait_for", "put into a full queue", "SimpleQueue.get", "Channel.get", "Wait.park",
    "hub.join",
]  # fmt: skip


@pytest.mark.parametrize("seconds", [1e30, math.inf, TIMEOUT_MAX + 1e6])
@pytest.mark.parametrize("name", WAITING)
def test_times_that_the_standard_library_refuses_as_too_large(name, seconds):
    def work():
        block = SECONDS[name](seconds)
        if hasattr(block, "__enter__"):
            with block:
                pass

    with pytest.raises(OverflowError, match="too large"):
        work()


def test_the_longest_time_is_waited_for():
    jobs = [spawn(Event().wait, TIMEOUT_MAX), spawn(sleep, TIMEOUT_MAX)]
    until_waiting(*jobs)
    assert not any(job.ready() for job in jobs)
    killall(jobs)
    with Timeout(TIMEOUT_MAX):
        sleep(0)


@pytest.mark.parametrize("value", [None, 5, "text", int])
def test_arguments_that_are_no_greenlets_are_refused(value):
    other = spawn(sleep, 60)
    for call in (
        lambda: greenio.kill(value),
        lambda: killall([other, value]),
        lambda: greenio.wait([other, value]),
        lambda: greenio.joinall([other, value]),
        lambda: greenio.joinall([other, value], raise_error=True),
        lambda: list(greenio.iwait([other, value])),
        lambda: Group(value),
        lambda: Group().add(value),
        lambda: Pool(1).add(value),
        lambda: Pool().add(value),
        lambda: get_hub().wait(value),
        lambda: get_hub().cancel_wait(value, ValueError()),
    ):
        with pytest.raises(TypeError, match=re.escape(repr(value))):
            call()
    assert not other.ready() and not other.has_links()
    other.kill()
    with get_hub().loop.timer(1) as timer, pytest.raises(TypeError, match="exception"):
        get_hub().cancel_wait(timer, value)


def test_a_refused_greenlet_takes_no_place_of_a_pool():
    pool = Pool(1)
    with pytest.raises(TypeError):
        pool.add(5)
    with pytest.raises(TypeError):
        pool.start(5)
    assert pool.free_count() == 1 and len(pool) == 0
    pool.spawn(int).join()


def test_a_greenlet_whose_init_was_not_called_says_so():
    class Forgetful(Greenlet):
        def __init__(self):
            pass

    made = Forgetful()
    for call in (
        made.start, made.kill, made.join, made.get, made.throw, lambda: made.start_later(1), lambda: made.loop,
        lambda: repr(made), lambda: greenio.kill(made),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=r"Greenlet.__init__\(\) was not called by that of .*Forgetful"):
            call()
    assert not made.started and not made.ready()


def test_leaving_a_block_that_was_not_entered_is_refused():
    for block in (no_switch(), assert_switches()):
        with pytest.raises(RuntimeError, match="without having been entered"):
            block.__exit__(None, None, None)
    again = no_switch()
    with again, again:
        pass
    sleep(0)


def test_a_server_that_does_not_listen_accepts_nothing():
    with pytest.raises(RuntimeError, match="does not listen"):
        StreamServer(("127.0.0.1", 0), print).do_read()


def test_a_socket_without_init_counts_as_closed():
    made = socket.__new__(socket)
    for call in (
        lambda: made.recv(1), lambda: made.recv_into(bytearray(1)), lambda: made.send(b"1"), lambda: made.sendall(b"1"),
        lambda: made.recvfrom(1), lambda: made.sendto(b"1", ("127.0.0.1", 1)), made.accept,
    ):  # fmt: skip
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EBADF


def test_half_made_objects_are_collected_without_a_report(monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    for kind, arguments in ((PipeIO, ("x",)), (ThreadPool, ("x",)), (socket, ("x",)), (select.epoll, ("x",))):
        with pytest.raises(TypeError):
            kind(*arguments)
        kind.__new__(kind)
    gc.collect()
    assert not told
