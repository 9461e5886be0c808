"""Descriptors that other threads, the collector or system calls close, while the file is open elsewhere.

No loop spins, waiters get an error, and the next file with the same number has its own readers.
"""

import errno
import gc
import os
import resource
import select as standard_select
import socket as standard
import threading
import time
import warnings

import pytest
from waiting import until, until_waiting

from greenio import get_hub, select, sleep, spawn, wait
from greenio.os import closerange, dup2
from greenio.socket import SO_REUSEADDR, SOL_SOCKET, create_server, fromfd, socket, socketpair, wait_read
from greenio.threadpool import ThreadPool

#: How long a failing test waits (seconds). The loop searches for descriptors that a system call has closed; on a slow
#: machine it searches seldom.
LIMIT = 50


def by_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def by_thread_with_hub(function):
    def body():
        sleep(0)
        function()
        get_hub().destroy()

    by_thread(body)


def by_thread_pool(function):
    pool = ThreadPool(1)
    pool.apply(function)
    pool.kill()


def dup2_of_the_system(sock):
    other = os.open(os.devnull, os.O_RDONLY)
    os.dup2(other, sock.fileno())
    os.close(other)


def dup2_of_the_library(sock):
    other = os.open(os.devnull, os.O_RDONLY)
    dup2(other, sock.fileno())
    os.close(other)


CALLS_OF_THE_LIBRARY = {
    "here": lambda sock: sock.close(),
    "thread": lambda sock: by_thread(sock.close),
    "thread with a hub": lambda sock: by_thread_with_hub(sock.close),
    "thread pool": lambda sock: by_thread_pool(sock.close),
    "a range": lambda sock: closerange(sock.fileno(), sock.fileno() + 1),
    "dup2": dup2_of_the_library,
}
SYSTEM_CALLS = {
    "os.close": lambda sock: os.close(sock.fileno()),
    "os.close in a thread": lambda sock: by_thread(lambda: os.close(sock.fileno())),
    "os.dup2": dup2_of_the_system,
}


def close_with(sock, close):
    """Close a socket in one of these ways. If that gives its number to another file, close that as well."""
    number = sock.fileno()
    close(sock)
    sock.detach()
    if close in (dup2_of_the_system, dup2_of_the_library):
        os.close(number)


def is_quiet():
    """Return whether the kernel soon has nothing to report to the loop. Otherwise the loop would spin."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        sleep(0.001)
        if not standard_select.select([get_hub().loop.fileno()], [], [], 0)[0]:
            return True
    return False


def receive_once(pair):
    """Receive something by a socket that has to wait: it stays registered with the loop."""
    ours, theirs = pair
    job = spawn(ours.recv, 1)
    until_waiting(job)
    theirs.send(b"1")
    assert job.get(timeout=LIMIT) == b"1"


@pytest.mark.parametrize("how", [*CALLS_OF_THE_LIBRARY, *SYSTEM_CALLS])
def test_a_closed_file_that_is_open_elsewhere_does_not_keep_the_loop_busy(how):
    """Data that nobody reads does not keep the loop busy, and the next socket works."""
    ours, theirs = socketpair()
    receive_once((ours, theirs))
    kept = os.dup(ours.fileno())
    close_with(ours, {**CALLS_OF_THE_LIBRARY, **SYSTEM_CALLS}[how])
    theirs.send(b"unread")
    assert is_quiet()
    pair = socketpair()
    receive_once(pair)
    assert is_quiet()
    for sock in (*pair, theirs):
        sock.close()
    os.close(kept)


@pytest.mark.parametrize("where", ["here", "thread"])
def test_a_collected_file_that_is_open_elsewhere_does_not_keep_the_loop_busy(where):
    ours, theirs = socketpair()
    receive_once((ours, theirs))
    kept = os.dup(ours.fileno())
    held = [ours]
    del ours
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        if where == "here":
            held.clear()
        else:
            by_thread(held.clear)
        gc.collect()
    theirs.send(b"unread")
    assert is_quiet()
    theirs.close()
    os.close(kept)


def test_a_collected_listener_does_not_keep_the_loop_busy():
    listener = create_server(("127.0.0.1", 0))
    listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    address = listener.getsockname()
    job = spawn(listener.accept)
    until_waiting(job)
    first = standard.create_connection(address)
    accepted = job.get(timeout=LIMIT)[0]
    kept = os.dup(listener.fileno())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del job, listener
        gc.collect()
    second = standard.create_connection(address)
    assert is_quiet()
    for sock in (first, second, accepted):
        sock.close()
    os.close(kept)


def test_a_collected_socket_still_warns():
    sock = socket()
    with pytest.warns(ResourceWarning, match="unclosed"):
        del sock
        gc.collect()


@pytest.mark.parametrize("open_elsewhere", [False, True], ids=["gone", "open elsewhere"])
@pytest.mark.parametrize("waiting", ["recv", "wait_read", "watcher"])
@pytest.mark.parametrize("how", [*CALLS_OF_THE_LIBRARY, *SYSTEM_CALLS])
def test_waiters_get_ebadf_when_it_is_closed(how, waiting, open_elsewhere):
    ours, theirs = socketpair()
    number = ours.fileno()
    kept = os.dup(number)
    if not open_elsewhere:
        os.close(kept)
    seen = []
    if waiting == "watcher":
        watcher = get_hub().loop.io(number, 1)
        watcher.start(seen.append, pass_events=True)
    else:
        reader = spawn(ours.recv, 1) if waiting == "recv" else spawn(wait_read, number)
        reader.reports_errors = False
    sleep(0.001)
    close_with(ours, {**CALLS_OF_THE_LIBRARY, **SYSTEM_CALLS}[how])
    if waiting == "watcher":
        assert get_hub().join(timeout=LIMIT), "a watcher of what is closed keeps the loop alive"
        assert seen == [1 | 4] and not watcher.active
        watcher.close()
    else:
        with pytest.raises(OSError) as caught:
            reader.get(timeout=LIMIT)
        assert caught.value.errno == errno.EBADF
    if open_elsewhere:
        theirs.send(b"unread")
        assert is_quiet()
        os.close(kept)
    theirs.close()


def test_a_waiter_gets_ebadf_when_a_thread_closes_it_while_the_loop_sleeps():
    """The loop finds a descriptor that a system call has closed within some time."""
    ours, theirs = socketpair()
    reader = spawn(ours.recv, 1)
    reader.reports_errors = False
    may_close = threading.Event()
    thread = threading.Thread(target=lambda: (may_close.wait(), os.close(ours.fileno())))
    thread.start()
    spawn(may_close.set)
    with pytest.raises(OSError) as caught:
        reader.get(timeout=10)
    assert caught.value.errno == errno.EBADF
    thread.join()
    ours.detach()
    theirs.close()


def another_file_under_the_number_of(ours):
    """Give a socket's number to another file. Returns a socket with that number, the file's own, its peer, a reader."""
    number = ours.fileno()
    plain, other = standard.socketpair()
    os.dup2(plain.fileno(), number)
    ours.detach()
    new = socket(fileno=number)
    reader = spawn(new.recv, 10)
    until_waiting(reader)
    return new, plain, other, reader


def test_the_number_is_used_again_while_somebody_waits():
    """A system call gives the number to another file: each message reaches its own reader."""
    ours, theirs = socketpair()
    old = spawn(ours.recv, 10)
    old.reports_errors = False
    until_waiting(old)
    new, plain, other, reader = another_file_under_the_number_of(ours)
    other.send(b"new")
    assert reader.get(timeout=LIMIT) == b"new"
    with pytest.raises(OSError) as caught:
        old.get(timeout=LIMIT)
    assert caught.value.errno == errno.EBADF
    for sock in (new, plain, other, theirs):
        sock.close()


def test_data_for_the_old_file_does_not_wake_waiters_of_the_new_one():
    """Data for the old file does not keep the loop busy while somebody waits for the new file with its number."""
    ours, theirs = socketpair()
    receive_once((ours, theirs))
    kept = fromfd(ours.fileno(), ours.family, ours.type)
    new, plain, other, reader = another_file_under_the_number_of(ours)
    theirs.send(b"old")
    assert is_quiet()
    other.send(b"new")
    assert reader.get(timeout=LIMIT) == b"new" and kept.recv(10) == b"old"
    for sock in (new, plain, other, theirs, kept):
        sock.close()


def test_the_epoll_is_made_anew_when_descriptors_are_free_again():
    """The loop tries again later, and greenlets run meanwhile."""
    ours, theirs = socketpair()
    receive_once((ours, theirs))
    kept = os.dup(ours.fileno())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        os.close(ours.detach())
        theirs.send(b"unread")
        sleep(0.01)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert is_quiet()
    theirs.close()
    os.close(kept)


@pytest.mark.parametrize("number", [2**20 + 7, 2**26, 2**31 - 1])
def test_numbers_that_no_descriptor_has_get_ebadf(number):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for call in (lambda: wait_read(number, 5), lambda: get_hub().loop.io(number, 1).start(print)):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EBADF
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096


def socket_with_an_error_queue_entry():
    """Return a UDP socket with an entry in its error queue: a datagram was refused, and the socket's error was read."""
    free = standard.socket(standard.AF_INET, standard.SOCK_DGRAM)
    free.bind(("127.0.0.1", 0))
    address = free.getsockname()
    free.close()
    sock = socket(standard.AF_INET, standard.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setsockopt(standard.IPPROTO_IP, getattr(standard, "IP_RECVERR", 11), 1)
    sock.sendto(b"x", address)
    with pytest.raises(ConnectionRefusedError):
        sock.recv(1)
    return sock


@pytest.mark.parametrize("method", ["recv", "recvfrom", "recvmsg"])
def test_an_entry_in_the_error_queue_does_not_disturb_readers(method):
    sock = socket_with_an_error_queue_entry()
    readers = [spawn(getattr(sock, method), 10) for _ in range(3)]
    assert is_quiet()
    with standard.socket(standard.AF_INET, standard.SOCK_DGRAM) as peer:
        for text in (b"a", b"b"):
            peer.sendto(text, sock.getsockname())
        assert len(wait(readers, timeout=LIMIT, count=2)) == 2 and is_quiet()
        peer.sendto(b"c", sock.getsockname())
        found = [reader.get(timeout=LIMIT) for reader in readers]
    assert sorted(each if method == "recv" else each[0] for each in found) == [b"a", b"b", b"c"]
    assert sock.recvmsg(10, 1000, standard.MSG_ERRQUEUE)[1], "the entry is gone"
    sock.close()


def test_an_entry_in_the_error_queue_ends_waits_for_reading():
    """An entry in the error queue makes a socket ready, as for the system's calls."""
    sock = socket_with_an_error_queue_entry()
    wait_read(sock, 5)
    assert select.select([sock], [], [], 5)[0] == [sock]
    seen = []
    with get_hub().loop.io(sock.fileno(), 1) as watcher:
        watcher.start(seen.append, pass_events=True)
        until(lambda: len(seen) > 1)  # it fires again and again
    sock.close()


def test_detaching_a_socket_whose_number_is_another_threads():
    """A socket gives its number up when that belongs to a file of another thread: only its own reader gets an error."""
    ours, theirs = socketpair()
    number = ours.fileno()
    old = spawn(ours.recv, 10)
    old.reports_errors = False
    until_waiting(old)
    waiting, received = threading.Event(), []
    os.close(number)
    plain, other = standard.socketpair()
    assert number in (plain.fileno(), other.fileno())
    if number == other.fileno():
        plain, other = other, plain

    def read():
        new = socket(fileno=plain.detach())
        reader = spawn(new.recv, 10)
        sleep(0)
        waiting.set()
        received.append(reader.get(timeout=10))
        new.close()

    thread = threading.Thread(target=read)
    thread.start()
    assert waiting.wait(10)
    ours.detach()
    with pytest.raises(OSError) as caught:
        old.get(timeout=LIMIT)
    assert caught.value.errno == errno.EBADF
    other.send(b"new")
    thread.join()
    assert received == [b"new"]
    other.close()
    theirs.close()


def test_detaching_a_socket_that_select_waits_for():
    """The descriptor stays open. So select() goes on, as in the standard library; the object's reader gets an error."""
    ours, theirs = socketpair()
    reader, selecting = spawn(ours.recv, 10), spawn(select.select, [ours.fileno()], [], [])
    reader.reports_errors = False
    until_waiting(reader, selecting)
    number = ours.detach()
    with pytest.raises(OSError) as caught:
        reader.get(timeout=LIMIT)
    assert caught.value.errno == errno.EBADF
    theirs.send(b"x")
    assert selecting.get(timeout=LIMIT)[0] == [number]
    os.close(number)
    theirs.close()
