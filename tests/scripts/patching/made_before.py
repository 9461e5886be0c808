"""patch_all() and objects, names and threads that exist already: they follow, or stay, or are warned of.

Each scenario in a process of its own.
"""

import sys

from shared import raises, warnings_of

from greenio import monkey


def the_standard_library_follows():
    import http.client
    import socket
    import socketserver

    # A function of the standard library that was defined before patching makes a socket.
    create_connection = http.client.socket.create_connection
    monkey.patch_all()
    with socketserver.TCPServer(("127.0.0.1", 0), None) as server:
        assert type(server.socket) is socket.socket
        with create_connection(server.server_address) as client:
            assert type(client) is socket.socket
    first, second = socket.socketpair()
    assert type(first) is type(second) is socket.socket
    first.close()
    second.close()


def names_taken_earlier_follow():
    import asyncio.base_events
    import concurrent.futures.thread
    import functools
    import logging.handlers
    import queue
    import sys
    import tempfile
    import threading
    import time
    import types

    # A module with a name of the standard library's has imported functions and classes by name.
    taking = types.ModuleType("wsgiref.taking")
    exec("from time import sleep\nfrom os import read, close\nfrom queue import Queue\nsleep_too = sleep", vars(taking))
    other = types.ModuleType("not_of_the_standard_library")
    exec("from time import sleep", vars(other))
    sys.modules.update({taking.__name__: taking, other.__name__: other})
    native_sleep = time.sleep
    monkey.patch_all()
    import os

    assert taking.sleep is taking.sleep_too is time.sleep is not native_sleep
    assert taking.read is os.read and taking.close is os.close and taking.Queue is queue.Queue
    assert other.sleep is native_sleep
    assert monkey.is_object_patched("wsgiref.taking", "sleep")
    assert type(tempfile._once_lock) is type(threading.Lock())
    assert functools and logging.handlers and asyncio.base_events and concurrent.futures.thread


def with_threads_running():
    import _thread
    import threading

    go_on, took, ran = threading.Event(), [], _thread.allocate_lock()
    ran.acquire()

    def run():
        go_on.wait()
        ran.acquire()

    thread = threading.Thread(target=run, name="early")
    thread.start()
    result, warned = warnings_of(monkey.patch_all)
    assert result is True and any("'early'" in each and "native" in each for each in warned), warned
    go_on.set()
    from greenio import spawn

    other = spawn(lambda: took.append(1) or ran.release())
    thread.join()  # lets `other` run, for which the thread waits
    assert took == [1] and not thread.is_alive() and other.dead
    assert _thread._count() == 0


def with_locks_of_the_library():
    """The library's own locks stay native: finalizers and threads without a hub take them."""
    from hub.native import LibraryLock

    from greenio.threadpool import ThreadPool

    pool = ThreadPool(1)
    monkey.patch_all()
    assert type(pool._counts) is LibraryLock and pool.apply(int, ("3",)) == 3
    pool.kill()


def with_a_lock_held():
    import tempfile

    with tempfile._once_lock:
        result, warned = warnings_of(monkey.patch_all)
    assert result is True
    assert any("tempfile._once_lock" in each for each in warned), warned


def with_tls_connections():
    import socket
    import ssl

    first, second = socket.socketpair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(first, do_handshake_on_connect=False) as connection, second:
        result, warned = warnings_of(monkey.patch_all)
        assert any("TLS connections" in each and repr(connection) in each for each in warned), warned


def with_tls_contexts_only():
    import ssl

    class Context(ssl.SSLContext):
        pass

    made = Context(ssl.PROTOCOL_TLS_CLIENT), ssl.create_default_context()
    assert warnings_of(monkey.patch_all) == (True, [])
    # These setters call themselves without end when the class in `ssl` has been replaced.
    made[0].minimum_version = ssl.TLSVersion.TLSv1_2
    made[1].verify_mode = ssl.CERT_REQUIRED
    made[0].options |= ssl.OP_NO_TICKET


def with_logging_handlers():
    import io
    import logging
    import threading

    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger().addHandler(handler)
    native = type(handler.lock)
    assert warnings_of(monkey.patch_all) == (True, [])
    assert type(handler.lock) is not native and type(logging._lock) is not native
    with handler.lock:
        thread = threading.Thread(target=logging.warning, args=("said",))
        thread.start()
        from greenio import sleep

        sleep(0.002)
        assert said.getvalue() == ""
    thread.join()
    assert said.getvalue() == "said\n"


def things_made_before_patching():
    import queue
    import threading

    condition, event, semaphore = threading.Condition(), threading.Event(), threading.Semaphore(0)
    lock, rlock, barrier = threading.Lock(), threading.RLock(), threading.Barrier(2)
    waited_for = queue.Queue(1), queue.LifoQueue(), queue.PriorityQueue()

    class Holder:
        pass

    holder = Holder()
    holder.lock, holder.rlock = lock, rlock
    holder.inside = [threading.Lock()]  # a lock in a list is not found, and stays native
    del lock, rlock
    monkey.patch_all()
    done = []

    def wait():
        with condition:
            condition.wait()
        event.wait()
        semaphore.acquire()
        for each in waited_for:
            done.append(each.get())
        barrier.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    from greenio import sleep

    sleep(0.001)
    with condition:
        condition.notify_all()
    sleep(0.001)
    event.set()
    semaphore.release()
    for number, each in enumerate(waited_for):
        sleep(0.001)
        each.put(number)
    barrier.wait()
    thread.join()
    assert done == [0, 1, 2]
    for each in (holder.lock, holder.rlock):
        order = []

        def take(each=each, order=order):
            with each:
                order.append("other")

        with each:
            thread = threading.Thread(target=take)
            thread.start()
            sleep(0.001)
            order.append("first")
        thread.join()
        assert order == ["first", "other"]


def lazy_objects_stay_lazy():
    import gc
    import threading

    class Lazy:
        def __init__(self):
            object.__setattr__(self, "lock", threading.Lock())

        def __getattribute__(self, name):
            raise RuntimeError(f"{name} was asked for")

        def __eq__(self, other):
            raise RuntimeError("was compared")

    lazy = Lazy()
    native = type(object.__getattribute__(lazy, "lock"))
    monkey.patch_all()
    assert type(object.__getattribute__(lazy, "lock")) is not native
    from greenio.util import GreenletTree

    assert GreenletTree.forest() and gc.is_tracked(lazy)


def reentrant_locks_in_use_of_the_library():
    """The thread that patches holds a lock: it is warned of the lock, and holds it still."""
    import threading

    class Holder:
        lock = None

    holder = Holder()
    holder.lock = threading.RLock()
    holder.lock.acquire()
    result, warned = warnings_of(monkey.patch_all)
    if sys.version_info >= (3, 11):  # CPython 3.10's garbage collector does not know RLocks, so none is found
        assert any("lock" in each for each in warned)
    holder.lock.release()
    with raises(RuntimeError):
        holder.lock.release()
