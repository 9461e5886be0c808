"""Each allocation of an operation fails in turn, in a child process: the operation raises MemoryError, the hub goes on.

Prints for each operation how often it raised MemoryError, did something wrong, and ended by SIGSEGV and by SIGABRT.
greenlet itself does not survive it where it makes a greenlet (SIGSEGV), nor where it saves the stack of one that is
switched away from (SIGABRT).
"""

import _testcapi
import contextlib
import os
import signal
import sys

import greenio
from greenio import Timeout, joinall, sleep, spawn, spawn_later, spawn_raw
from greenio.event import Event
from greenio.lock import Lock, Semaphore
from greenio.pool import Pool
from greenio.queue import Empty, Queue
from greenio.socket import socket, socketpair

ours, theirs = socketpair()
queue, event = Queue(), Event()


def spawning():
    spawn(int).join()


def spawning_raw():
    spawn_raw(int)
    sleep(0)


def spawning_later():
    spawn_later(0.00001, int).join()


def killing():
    sleeper = spawn(sleep, 10)
    sleep(0)
    sleeper.kill()


def sleeping():
    sleep(0.00001)
    sleep(0)


def waiting():
    event.wait(0.00001)


def queueing():
    queue.put(1)
    queue.get()
    with contextlib.suppress(Empty):
        queue.get(timeout=0.00001)


def locking():
    lock = Lock()
    semaphore = Semaphore(0)
    with lock:
        lock.acquire(timeout=0.00001)
    semaphore.release()
    semaphore.acquire()


def timing_out():
    with Timeout(0.00001, False):
        sleep(10)
    with Timeout(10):
        pass


def exchanging():
    ours.send(b"x")
    theirs.recv(1)
    theirs.settimeout(0.00001)
    with contextlib.suppress(TimeoutError):
        theirs.recv(1)


def making_sockets():
    for each in socketpair():
        each.close()
    # Without connect() and accept(): CPython's own part of them does not always say why it fails.
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()


def handing_over():
    getter = spawn(queue.get)
    sleep(0)
    queue.put(1)
    getter.get()


def pooling():
    Pool(2).map(int, [1, 2, 3])


def watching():
    with greenio.get_hub().loop.timer(0.00001) as timer:
        timer.start(int)
        sleep(0.00002)
    greenio.get_hub().run_callback(int)
    sleep(0)


OPERATIONS = [
    spawning, spawning_raw, spawning_later, killing, sleeping, waiting, queueing, locking, timing_out, exchanging,
    making_sockets, handing_over, pooling, watching,
]  # fmt: skip
CLEAN, REFUSED, WRONG = range(3)
OUTCOMES = (REFUSED, WRONG, -signal.SIGSEGV, -signal.SIGABRT)


def in_child(operation, number):
    for _ in range(3):
        operation()
    done = CLEAN
    _testcapi.set_nomemory(number, number + 1)
    try:
        operation()
    except MemoryError:
        done = REFUSED
    finally:
        _testcapi.remove_mem_hooks()
    # Sockets, timeouts, greenlets and queues work as before.
    theirs.settimeout(10)
    ours.send(b"end")
    with Timeout(10):
        while not theirs.recv(100).endswith(b"d"):
            pass
        sleep(0.00001)
        joinall([spawn(sleep, 0) for _ in range(3)], raise_error=True)
        while queue.qsize():
            queue.get()
        queue.put(1)
        assert spawn(queue.get).get() == 1
    return done


def outcome(operation, number):
    child = os.fork()
    if child == 0:
        done = WRONG
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            done = in_child(operation, number)
        except BaseException as error:
            print(f"{operation.__name__} {number}: {error!r}", flush=True)
        finally:
            os._exit(done)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


for operation in OPERATIONS:
    if sys.argv[1:] and operation.__name__ not in sys.argv[1:]:
        continue
    counts, number, clean = dict.fromkeys(OUTCOMES, 0), 0, 0
    while clean < 5:
        done = outcome(operation, number)
        if done != CLEAN:
            counts[done] = counts.get(done, 0) + 1
        clean = clean + 1 if done == CLEAN else 0
        number += 1
    print(operation.__name__, *(counts.pop(done, 0) for done in OUTCOMES), *counts)
