"""select, poll, epoll and selectors: the system's answers, while other greenlets go on."""

import errno
import os
import select as standard
import selectors as standard_selectors
import signal as standard_signal
import threading
import time

import pytest
from hub import closing as closing_module
from waiting import let_others_run, until, until_waiting

from greenio import Timeout, joinall, select, selectors, signal, sleep, spawn
from greenio.socket import socketpair


def with_select(sock, timeout):
    return [each.fileno() for each in select.select([sock], [], [], timeout)[0]]


def with_poll(sock, timeout):
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return [fd for fd, event in poll.poll(None if timeout is None else timeout * 1000) if event & select.POLLIN]


def with_epoll(sock, timeout):
    with select.epoll() as epoll:
        epoll.register(sock, select.EPOLLIN)
        return [fd for fd, event in epoll.poll(timeout) if event & select.EPOLLIN]


def with_selector(kind):
    def wait(sock, timeout):
        with kind() as selector:
            selector.register(sock, selectors.EVENT_READ)
            return [key.fd for key, _ in selector.select(timeout)]

    wait.__name__ = kind.__name__
    return wait


WAITS = [
    with_select, with_poll, with_epoll,
    *map(with_selector, [selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector]),
]  # fmt: skip


@pytest.fixture(params=WAITS, ids=lambda wait: wait.__name__)
def wait(request):
    return request.param


def test_a_ready_descriptor_is_returned_at_once(wait, pair):
    ours, theirs = pair
    assert wait(ours, 0) == []
    theirs.send(b"x")
    assert wait(ours, 0) == wait(ours, None) == wait(ours, 5) == [ours.fileno()]


def test_a_descriptor_that_gets_ready_later_ends_the_wait(wait, pair):
    ours, theirs = pair
    for timeout in (None, 5):
        job = spawn(wait, ours, timeout)
        until_waiting(job)
        let_others_run()
        assert not job.ready()
        theirs.send(b"x")
        assert job.get() == [ours.fileno()]
        ours.recv(1)


def test_nothing_is_returned_after_the_timeout(wait, pair):
    started = time.monotonic()
    assert wait(pair[0], 0.01) == []
    assert time.monotonic() - started >= 0.01


def test_a_wait_that_is_killed_leaves_nothing(wait, pair):
    job = spawn(wait, pair[0], None)
    sleep(0)
    job.kill()
    with pytest.raises(Timeout):
        with Timeout(0.001):
            wait(pair[0], None)


def test_a_closed_peer_ends_the_wait(wait, pair):
    ours, theirs = pair
    job = spawn(wait, ours, 5)
    sleep(0)
    theirs.close()
    assert job.get() == [ours.fileno()]


def test_several_greenlets_may_wait_for_one_descriptor(wait, pair):
    ours, theirs = pair
    jobs = [spawn(wait, ours, 5) for _ in range(5)]
    sleep(0)
    theirs.send(b"x")
    joinall(jobs)
    assert [job.value for job in jobs] == [[ours.fileno()]] * 5


def test_other_threads_may_wait_for_the_same_descriptor(wait, pair):
    ours, theirs = pair
    found = []
    thread = threading.Thread(target=lambda: found.append(wait(ours, 5)))
    thread.start()
    sleep(0.002)
    theirs.send(b"x")
    thread.join()
    assert found == [[ours.fileno()]]


# --- select -----------------------------------------------------------------------------------------------------


def test_select_returns_the_objects(pair):
    ours, theirs = pair
    assert select.select([ours], [ours, theirs.fileno()], [ours], 5) == ([], [ours, theirs.fileno()], [])
    theirs.send(b"x")
    assert select.select(iter([ours]), [], []) == ([ours], [], [])


def test_select_waits_for_what_an_iterator_yields(pair):
    ours, theirs = pair
    job = spawn(select.select, iter([ours]), [], [], 5)
    until_waiting(job)
    theirs.send(b"x")
    assert job.get() == ([ours], [], [])


def test_select_refuses_bad_arguments(pair):
    closed = os.dup(pair[0].fileno())
    os.close(closed)
    for args in [([closed], [], [], 1), ([-1], [], [], 1), (["x"], [], [], 1), ([], [], [], -1), ([], [], [], "1")]:
        expected = None
        try:
            standard.select(*args)
        except Exception as error:
            expected = type(error)
        with pytest.raises(expected):
            select.select(*args)
    assert select.select([], [], [], 0.001) == ([], [], [])


def test_select_finds_regular_files_ready(tmp_path, pair):
    with open(tmp_path / "file", "w+") as file:
        assert select.select([file, pair[0]], [file], [], 5) == ([file], [file], [])


def test_select_does_not_spin_on_events_that_do_not_count(monkeypatch):
    """A pipe whose reader is gone is in an error state. That does not end a wait for exceptional conditions."""
    looks = []
    system = select._select
    monkeypatch.setattr(select, "_select", lambda *args: (looks.append(1), system(*args))[1])
    reader, writer = os.pipe()
    os.close(reader)
    assert select.select([], [], [writer], 0.02) == ([], [], [])
    assert len(looks) < 6
    os.close(writer)


# --- poll -------------------------------------------------------------------------------------------------------


def test_a_poll_object_does_what_the_systems_does(pair):
    ours, theirs = pair
    poll = select.poll()
    poll.register(ours)
    assert poll.poll() == [(ours.fileno(), select.POLLOUT)]
    poll.modify(ours, select.POLLIN)
    assert poll.poll(1) == []
    theirs.send(b"x")
    assert poll.poll(-1) == [(ours.fileno(), select.POLLIN)]
    poll.unregister(ours.fileno())
    assert poll.poll(1) == []
    with pytest.raises(KeyError):
        poll.unregister(ours)
    with pytest.raises(FileNotFoundError):
        poll.modify(ours, select.POLLIN)
    closed = os.dup(ours.fileno())
    os.close(closed)
    poll.register(closed, select.POLLIN)
    assert poll.poll() == [(closed, select.POLLNVAL)]


# --- epoll ------------------------------------------------------------------------------------------------------


def test_an_epoll_object_does_what_the_systems_does(pair):
    ours, theirs = pair
    epoll = select.epoll()
    epoll.register(ours)
    assert epoll.poll() == [(ours.fileno(), select.EPOLLOUT)]
    epoll.modify(ours, select.EPOLLIN)
    assert epoll.poll(0.001) == []
    theirs.send(b"x")
    assert epoll.poll(-1) == epoll.poll(maxevents=1) == [(ours.fileno(), select.EPOLLIN)]
    epoll.unregister(ours)
    with pytest.raises(FileNotFoundError):
        epoll.unregister(ours)
    twin = select.epoll.fromfd(os.dup(epoll.fileno()))
    assert not twin.closed
    twin.close()
    twin.close()
    assert twin.closed
    for use in (twin.poll, twin.fileno, twin.__enter__, lambda: twin.register(ours)):
        with pytest.raises(ValueError, match="closed epoll"):
            use()
    epoll.close()


def test_closing_an_epoll_wakes_its_waiter(pair):
    epoll = select.epoll()
    epoll.register(pair[0], select.EPOLLIN)
    job = spawn(epoll.poll)
    job.reports_errors = False
    sleep(0)
    epoll.close()
    with pytest.raises(OSError, match="the epoll was closed") as caught:
        job.get()
    assert caught.value.errno == errno.EBADF


def test_a_descriptor_may_be_registered_while_an_epoll_waits(pair):
    ours, theirs = pair
    with select.epoll() as epoll:
        job = spawn(epoll.poll, 5)
        until_waiting(job)
        epoll.register(ours, select.EPOLLIN)
        theirs.send(b"x")
        assert job.get() == [(ours.fileno(), select.EPOLLIN)]


def test_edges_go_to_one_of_the_waiters(pair):
    ours, theirs = pair
    with select.epoll() as epoll:
        epoll.register(ours, select.EPOLLIN | select.EPOLLET)
        jobs = [spawn(epoll.poll, 0.02) for _ in range(3)]
        sleep(0)
        theirs.send(b"x")
        joinall(jobs)
        assert sorted(len(job.value) for job in jobs) == [0, 0, 1]


# --- selectors --------------------------------------------------------------------------------------------------


def test_selectors_are_the_standard_ones():
    assert issubclass(selectors.DefaultSelector, standard_selectors.BaseSelector)
    assert selectors.EVENT_READ == standard_selectors.EVENT_READ
    public = {name for name in dir(standard_selectors) if not name.startswith("_")}
    assert {"BaseSelector", "SelectorKey", "EVENT_WRITE"} <= public & set(dir(selectors))


def test_selectors_return_the_data_of_a_key(pair):
    ours, theirs = pair
    with selectors.DefaultSelector() as selector:
        selector.register(ours, selectors.EVENT_READ | selectors.EVENT_WRITE, data="data")
        ((key, events),) = selector.select()
        assert key.data == "data" and events == selectors.EVENT_WRITE
        selector.modify(ours, selectors.EVENT_READ)
        theirs.send(b"x")
        assert [events for _, events in selector.select(5)] == [selectors.EVENT_READ]
        selector.unregister(ours)
        assert selector.select(0.001) == []


def test_the_ready_one_of_many_descriptors_is_returned():
    pairs = [socketpair() for _ in range(400)]
    try:
        job = spawn(select.select, [ours for ours, _ in pairs], [], [], 5)
        poll = select.poll()
        for ours, _ in pairs:
            poll.register(ours, select.POLLIN)
        polling = spawn(poll.poll, 5000)
        until_waiting(job, polling)
        pairs[300][1].send(b"x")
        assert job.get() == ([pairs[300][0]], [], [])
        assert polling.get() == [(pairs[300][0].fileno(), select.POLLIN)]
    finally:
        for ours, theirs in pairs:
            ours.close()
            theirs.close()


@pytest.fixture
def no_descriptors(monkeypatch):
    """The calls that make a descriptor fail, as at the limit of descriptors."""

    def refuse(*args):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(select, "_epoll", refuse)
    monkeypatch.setattr(os, "pipe", refuse)
    monkeypatch.setattr(signal, "_open_signalfd", refuse)


def test_select_and_poll_work_without_free_descriptors(pair, no_descriptors, ticks):
    ours, theirs = pair
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    assert select.select([ours], [], [], 0.001) == ([], [], []) == select.select([], [], [], 0.001)
    assert poll.poll(1) == []
    jobs = [spawn(select.select, [ours], [], [], 5), spawn(poll.poll, -1)]
    until_waiting(*jobs)
    theirs.send(b"x")
    assert [job.get() for job in jobs] == [([ours], [], []), [(ours.fileno(), select.POLLIN)]] and ticks
    ours.recv(1)
    jobs = [spawn_silently(lambda: select.select([ours], [], [])), spawn(poll.poll)]
    number = ours.fileno()
    close_when_awaited(ours)
    with pytest.raises(OSError, match="Bad file descriptor"):
        jobs[0].get()
    assert jobs[1].get() == [(number, select.POLLNVAL)]


def test_signals_are_waited_for_without_free_descriptors(no_descriptors):
    before = standard_signal.pthread_sigmask(standard_signal.SIG_BLOCK, [standard_signal.SIGUSR1])
    try:
        assert signal.sigtimedwait([standard_signal.SIGUSR1], 0.001) is None
        job = spawn(signal.sigwait, [standard_signal.SIGUSR1])
        until_waiting(job)
        # Only this thread has blocked the signal.
        standard_signal.pthread_kill(threading.get_ident(), standard_signal.SIGUSR1)
        assert job.get() == standard_signal.SIGUSR1
    finally:
        standard_signal.pthread_sigmask(standard_signal.SIG_SETMASK, before)


def until_waited_for(number):
    """Wait until a greenlet waits for a descriptor in select() or poll(), which may let others run first."""
    until(lambda: number in closing_module.listening())


def close_when_awaited(sock):
    """Close a socket when somebody waits for it in select() or poll(), or has it in an epoll."""
    until_waited_for(sock.fileno())
    sock.close()


def spawn_silently(function):
    job = spawn(function)
    job.reports_errors = False
    return job


def test_select_fails_when_its_socket_is_closed(pair):
    ours, theirs = pair
    job = spawn_silently(lambda: select.select([ours], [], [theirs]))
    close_when_awaited(ours)
    with pytest.raises(OSError) as caught:
        job.get(timeout=5)
    assert caught.value.errno == errno.EBADF


def test_poll_returns_pollnval_when_its_socket_is_closed(pair):
    """Other ready descriptors are returned as well, though the number is another file's when the greenlet runs."""
    ours, theirs = pair
    poll = select.poll()
    number = ours.fileno()
    poll.register(ours, select.POLLIN)
    poll.register(theirs, select.POLLIN)
    job = spawn_silently(poll.poll)
    close_when_awaited(ours)
    again = socketpair()
    assert number in (again[0].fileno(), again[1].fileno())
    found = dict(job.get(timeout=5))
    assert found[number] == select.POLLNVAL and found[theirs.fileno()] & select.POLLIN
    for sock in again:
        sock.close()


@pytest.mark.parametrize("close", [lambda sock: sock.close(), lambda sock: os.close(sock.detach())])
def test_poll_returns_pollnval_when_another_thread_closes_its_socket(pair, close):
    ours, theirs = pair
    number = ours.fileno()
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    job = spawn_silently(poll.poll)
    until_waited_for(number)
    thread = threading.Thread(target=close, args=(ours,))
    thread.start()
    assert job.get(timeout=5) == [(number, select.POLLNVAL)]
    thread.join()


def test_select_fails_when_a_system_call_closes_its_socket(pair):
    ours, theirs = pair
    job = spawn_silently(lambda: select.select([ours], [], []))
    number = ours.fileno()
    until_waited_for(number)
    os.close(number)
    with pytest.raises(OSError) as caught:
        job.get(timeout=10)
    assert caught.value.errno == errno.EBADF
    os.dup2(theirs.fileno(), number)  # so that the fixture can close it


@pytest.mark.parametrize("open_elsewhere", [False, True])
@pytest.mark.parametrize("which", ["select", "poll"])
def test_a_wait_ends_when_a_system_call_gives_its_number_to_another_file(pair, which, open_elsewhere):
    """The old waiter gets an error or POLLNVAL. A waiter for the other file with that number is not disturbed."""
    ours, theirs = pair
    number = ours.fileno()
    kept = os.dup(number)
    if which == "select":
        job = spawn_silently(lambda: select.select([number], [], []))
    else:
        poll = select.poll()
        poll.register(number, select.POLLIN)
        job = spawn_silently(poll.poll)
    until_waited_for(number)
    if not open_elsewhere:
        os.close(kept)
    others = socketpair()
    os.dup2(others[0].fileno(), number)
    reading = spawn(ours.recv, 10)
    if which == "select":
        with pytest.raises(OSError) as caught:
            job.get(timeout=10)
        assert caught.value.errno == errno.EBADF
    else:
        assert job.get(timeout=10) == [(number, select.POLLNVAL)]
    assert not reading.ready()
    others[1].sendall(b"message")
    assert reading.get(timeout=5) == b"message"
    for sock in others:
        sock.close()
    if open_elsewhere:
        os.close(kept)


def test_an_epoll_drops_closed_sockets(pair):
    """Also if another process or a duplicate has the file open."""
    ours, theirs = pair
    kept = os.dup(ours.fileno())
    with select.epoll() as epoll:
        epoll.register(ours, select.EPOLLIN)
        job = spawn_silently(lambda: epoll.poll(0.02))
        close_when_awaited(ours)
        theirs.send(b"x")
        assert job.get(timeout=5) == [] == epoll.poll(0)
        again = socketpair()
        for sock in again:
            epoll.register(sock, select.EPOLLIN)
        again[0].send(b"x")
        assert epoll.poll(5) == [(again[1].fileno(), select.EPOLLIN)]
        for sock in again:
            sock.close()
    os.close(kept)


def test_select_waits_while_a_duplicate_of_the_peer_is_open(pair):
    ours, theirs = pair
    kept = os.dup(theirs.fileno())
    job = spawn_silently(lambda: select.select([ours], [], [], 0.02))
    sleep(0)  # now it waits, but not for long
    theirs.close()  # a duplicate is open, as in another process
    assert job.get(timeout=5) == ([], [], [])
    os.close(kept)


def test_finished_waits_leave_no_listeners(pair):
    ours, _ = pair
    epoll = select.epoll()
    epoll.register(ours)
    spawn_silently(lambda: select.select([ours], [], [])).kill(timeout=5)
    select.select([ours], [], [], 0.001)
    epoll.unregister(ours)
    epoll.register(ours)
    assert closing_module.listening() == [ours.fileno()]
    del epoll
    assert closing_module.listening() == []
