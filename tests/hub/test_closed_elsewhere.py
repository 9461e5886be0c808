"""Descriptors that are closed in another thread, by the collector, or without a word, while the file is open elsewhere.

No loop spins, those who wait are told, and the next file with the number has its own readers.
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

#: How long a test waits that fails. The loop looks for what was closed without a word the more seldom, the longer the
#: machine takes for a look.
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


def over_it(sock):
    other = os.open(os.devnull, os.O_RDONLY)
    os.dup2(other, sock.fileno())
    os.close(other)


def two_over_it(sock):
    other = os.open(os.devnull, os.O_RDONLY)
    dup2(other, sock.fileno())
    os.close(other)


SAID = {
    "here": lambda sock: sock.close(),
    "thread": lambda sock: by_thread(sock.close),
    "thread with a hub": lambda sock: by_thread_with_hub(sock.close),
    "thread pool": lambda sock: by_thread_pool(sock.close),
    "a range": lambda sock: closerange(sock.fileno(), sock.fileno() + 1),
    "dup2": two_over_it,
}
UNSAID = {
    "os.close": lambda sock: os.close(sock.fileno()),
    "os.close in a thread": lambda sock: by_thread(lambda: os.close(sock.fileno())),
    "os.dup2": over_it,
}


def closed_with(sock, close):
    """Close it in one of these ways; its number, if that is another file's then, is closed too."""
    number = sock.fileno()
    close(sock)
    sock.detach()
    if close in (over_it, two_over_it):
        os.close(number)


def is_quiet():
    """Whether the kernel has nothing to report to the loop, after some turns: it would spin otherwise."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        sleep(0.001)
        if not standard_select.select([get_hub().loop.fileno()], [], [], 0)[0]:
            return True
    return False


def received_by(sock):
    """A socket that has received something stays registered."""
    ours, theirs = sock
    job = spawn(ours.recv, 1)
    until_waiting(job)
    theirs.send(b"1")
    assert job.get(timeout=LIMIT) == b"1"


@pytest.mark.parametrize("how", [*SAID, *UNSAID])
def test_open_elsewhere_and_closed_here(how):
    """What nobody reads any more does not keep the loop busy, and what comes next works."""
    ours, theirs = socketpair()
    received_by((ours, theirs))
    kept = os.dup(ours.fileno())
    closed_with(ours, {**SAID, **UNSAID}[how])
    theirs.send(b"unread")
    assert is_quiet()
    pair = socketpair()
    received_by(pair)
    assert is_quiet()
    for sock in (*pair, theirs):
        sock.close()
    os.close(kept)


@pytest.mark.parametrize("where", ["here", "thread"])
def test_open_elsewhere_and_collected(where):
    ours, theirs = socketpair()
    received_by((ours, theirs))
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


def test_a_collected_listener():
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
@pytest.mark.parametrize("how", [*SAID, *UNSAID])
def test_waiters_are_told(how, waiting, open_elsewhere):
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
    closed_with(ours, {**SAID, **UNSAID}[how])
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


def test_closed_in_a_thread_while_the_loop_sleeps():
    """Where nobody says so, it is found out within some time."""
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
    """Close a socket without a word; what has its number: (socket, the file's own, its peer, the reader)."""
    number = ours.fileno()
    plain, other = standard.socketpair()
    os.dup2(plain.fileno(), number)
    ours.detach()
    new = socket(fileno=number)
    reader = spawn(new.recv, 10)
    until_waiting(reader)
    return new, plain, other, reader


def test_the_number_is_used_again_while_somebody_waits():
    """Closed without a word, and the next file has the number: each message reaches its own reader."""
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


def test_the_old_file_is_ready_under_a_number_used_again():
    """What comes for the file that had the number does not keep those busy who wait for the one that has it."""
    ours, theirs = socketpair()
    received_by((ours, theirs))
    kept = fromfd(ours.fileno(), ours.family, ours.type)
    new, plain, other, reader = another_file_under_the_number_of(ours)
    theirs.send(b"old")
    assert is_quiet()
    other.send(b"new")
    assert reader.get(timeout=LIMIT) == b"new" and kept.recv(10) == b"old"
    for sock in (new, plain, other, theirs, kept):
        sock.close()


def test_no_descriptor_is_left_to_make_the_epoll_anew():
    """Then it is tried again, and greenlets run meanwhile."""
    ours, theirs = socketpair()
    received_by((ours, theirs))
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
def test_numbers_that_no_descriptor_has(number):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for call in (lambda: wait_read(number, 5), lambda: get_hub().loop.io(number, 1).start(print)):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EBADF
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096


def with_an_error_in_the_queue():
    """A UDP socket whose datagram was refused, and the error of it taken; its entry in the error queue is left."""
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
def test_an_entry_in_the_error_queue(method):
    sock = with_an_error_in_the_queue()
    readers = [spawn(getattr(sock, method), 10) for _ in range(3)]
    assert is_quiet()
    with standard.socket(standard.AF_INET, standard.SOCK_DGRAM) as peer:
        for text in (b"a", b"b"):
            peer.sendto(text, sock.getsockname())
        assert len(wait(readers, timeout=LIMIT, count=2)) == 2 and is_quiet()
        peer.sendto(b"c", sock.getsockname())
        found = [reader.get(timeout=LIMIT) for reader in readers]
    assert sorted(each if method == "recv" else each[0] for each in found) == [b"a", b"b", b"c"]
    assert sock.recvmsg(10, 1000, standard.MSG_ERRQUEUE)[1], "it is there still"
    sock.close()


def test_the_error_queue_is_what_is_waited_for():
    """As for the system's calls, an error is ready."""
    sock = with_an_error_in_the_queue()
    wait_read(sock, 5)
    assert select.select([sock], [], [], 5)[0] == [sock]
    seen = []
    with get_hub().loop.io(sock.fileno(), 1) as watcher:
        watcher.start(seen.append, pass_events=True)
        until(lambda: len(seen) > 1)  # it fires for as long as it is so
    sock.close()


def test_detached_when_the_number_is_another_threads():
    """An object whose descriptor was closed behind its back gives up a number that another thread has by now."""
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


def test_detached_while_it_is_selected():
    """The descriptor is open, as in the standard library: select() goes on. Who receives by the object is told."""
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
