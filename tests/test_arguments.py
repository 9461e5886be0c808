"""Numbers of seconds and sizes: a wrong one is refused at once, with what to write instead."""

import math

import pytest
from hub import Wait

import greenio
from greenio import Greenlet, Timeout, get_hub, killall, select, sleep, spawn
from greenio.event import AsyncResult, Event
from greenio.lock import Barrier, BoundedSemaphore, Condition, Lock, RLock, RWLock, Semaphore
from greenio.pool import Group, Pool
from greenio.queue import Channel, JoinableQueue, LifoQueue, PriorityQueue, Queue, SimpleQueue
from greenio.server import StreamServer
from greenio.socket import socketpair, wait_read
from greenio.threadpool import ThreadPool, ThreadPoolExecutor
from greenio.time import sleep as time_sleep


def full(queue):
    queue.put(1)
    return queue


def taken():
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


def finished():
    greenlet = spawn(int)
    greenlet.join()
    return greenlet


def condition():
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
    "join of a finished one": lambda value: finished().join(value),
    "get of a finished one": lambda value: finished().get(timeout=value),
    "kill": lambda value: spawn(int).kill(timeout=value),
    "kill without waiting": lambda value: spawn(int).kill(block=False, timeout=value),
    "Event.wait": lambda value: Event().wait(value),
    "wait of a ready event": lambda value: ready_event().wait(value),
    "get of a ready result": lambda value: ready_result().get(timeout=value),
    "Semaphore.acquire": lambda value: Semaphore().acquire(timeout=value),
    "Semaphore.wait": lambda value: Semaphore().wait(value),
    "Lock.acquire": lambda value: Lock().acquire(timeout=value),
    "acquire of a taken lock": lambda value: taken().acquire(timeout=value),
    "RLock.acquire": lambda value: RLock().acquire(timeout=value),
    "RWLock.acquire_read": lambda value: RWLock().acquire_read(timeout=value),
    "RWLock.acquire_write": lambda value: RWLock().acquire_write(timeout=value),
    "Condition.wait": lambda value: condition().wait(value),
    "Condition.wait_for": lambda value: condition().wait_for(int, value),
    "Barrier": lambda value: Barrier(2, timeout=value),
    "Queue.get": lambda value: full(Queue()).get(timeout=value),
    "Queue.put": lambda value: Queue().put(1, timeout=value),
    "put into a full queue": lambda value: full(Queue(1)).put(1, timeout=value),
    "Queue.peek": lambda value: full(Queue()).peek(timeout=value),
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
    "Condition.notify": lambda value: condition().notify(value),
    "joinall's count": lambda value: greenio.joinall([Greenlet(int)], count=value),
    "imap's maxsize": lambda value: Pool(1).imap(int, [1], maxsize=value),
    "ThreadPool": ThreadPool,
    "ThreadPoolExecutor": ThreadPoolExecutor,
}


@pytest.mark.parametrize("give", SECONDS.values(), ids=SECONDS)
def test_seconds_are_numbers(give):
    with pytest.raises(TypeError, match=r"number of seconds \(int or float, None for no limit\), not '1'"):
        give("1")
    with pytest.raises(ValueError, match="a number, not NaN"):
        give(math.nan)


@pytest.mark.parametrize("give", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("value", ["4", 1.5])
def test_counts_are_whole_numbers(give, value):
    with pytest.raises(TypeError, match=r"(must be a whole number \(int\)|must be an integer), not"):
        give(value)


def test_what_the_standard_library_says_itself():
    ours, theirs = socketpair()
    with ours, theirs:
        with pytest.raises(TypeError):
            ours.settimeout("1")
        with pytest.raises(TypeError):
            select.select([ours], [], [], "1")


def test_a_server_that_is_told_wrongly_when_to_stop_goes_on():
    server = StreamServer(("127.0.0.1", 0), print)
    server.start()
    with pytest.raises(TypeError):
        server.stop("1")
    assert server.started
    server.stop()
