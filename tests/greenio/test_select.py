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


def test_ready_at_once(wait, pair):
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


def test_the_other_end_closes(wait, pair):
    ours, theirs = pair
    job = spawn(wait, ours, 5)
    sleep(0)
    theirs.close()
    assert job.get() == [ours.fileno()]


def test_several_greenlets_on_one_descriptor(wait, pair):
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


def test_select_bad_arguments(pair):
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


def test_select_of_a_regular_file(tmp_path, pair):
    with open(tmp_path / "file", "w+") as file:
        assert select.select([file, pair[0]], [file], [], 5) == ([file], [file], [])


def test_select_does_not_spin_on_what_it_did_not_ask_for(monkeypatch):
    """A pipe whose reader is gone is in an error state, which a wait for exceptional conditions does not count."""
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


def test_epoll_closed_under_a_waiter(pair):
    epoll = select.epoll()
    epoll.register(pair[0], select.EPOLLIN)
    job = spawn(epoll.poll)
    job.reports_errors = False
    sleep(0)
    epoll.close()
    with pytest.raises(OSError, match="the epoll was closed") as caught:
        job.get()
    assert caught.value.errno == errno.EBADF


def test_epoll_registered_while_somebody_waits(pair):
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


def test_selector_with_data(pair):
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


def test_one_of_many_descriptors_is_told():
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
    """None are left: as the calls that make one say it."""

    def refuse(*args):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(select, "_epoll", refuse)
    monkeypatch.setattr(os, "pipe", refuse)
    monkeypatch.setattr(signal, "_open_signalfd", refuse)


def test_waiting_goes_on_where_no_descriptor_is_left(pair, no_descriptors, ticks):
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
    jobs = [told(lambda: select.select([ours], [], [])), spawn(poll.poll)]
    number = ours.fileno()
    closing(ours)
    with pytest.raises(OSError, match="Bad file descriptor"):
        jobs[0].get()
    assert jobs[1].get() == [(number, select.POLLNVAL)]


def test_signals_without_descriptors(no_descriptors):
    before = standard_signal.pthread_sigmask(standard_signal.SIG_BLOCK, [standard_signal.SIGUSR1])
    try:
        assert signal.sigtimedwait([standard_signal.SIGUSR1], 0.001) is None
        job = spawn(signal.sigwait, [standard_signal.SIGUSR1])
        until_waiting(job)
        standard_signal.pthread_kill(threading.get_ident(), standard_signal.SIGUSR1)  # others have not blocked it
        assert job.get() == standard_signal.SIGUSR1
    finally:
        standard_signal.pthread_sigmask(standard_signal.SIG_SETMASK, before)


def until_waited_for(number):
    """Wait until a greenlet is in select() or poll() for a descriptor: it lets others run first on a busy machine."""
    until(lambda: number in closing_module.listening())


def closing(sock):
    """Close it once somebody waits for it in select() or poll(), or has it in an epoll."""
    until_waited_for(sock.fileno())
    sock.close()


def told(function):
    job = spawn(function)
    job.reports_errors = False
    return job


def test_closed_while_it_is_selected(pair):
    ours, theirs = pair
    job = told(lambda: select.select([ours], [], [theirs]))
    closing(ours)
    with pytest.raises(OSError) as caught:
        job.get(timeout=5)
    assert caught.value.errno == errno.EBADF


def test_closed_while_it_is_polled(pair):
    """What else is ready is told, too; the number may be another file's when the greenlet runs."""
    ours, theirs = pair
    poll = select.poll()
    number = ours.fileno()
    poll.register(ours, select.POLLIN)
    poll.register(theirs, select.POLLIN)
    job = told(poll.poll)
    closing(ours)
    again = socketpair()
    assert number in (again[0].fileno(), again[1].fileno())
    found = dict(job.get(timeout=5))
    assert found[number] == select.POLLNVAL and found[theirs.fileno()] & select.POLLIN
    for sock in again:
        sock.close()


@pytest.mark.parametrize("close", [lambda sock: sock.close(), lambda sock: os.close(sock.detach())])
def test_closed_in_another_thread_while_it_is_polled(pair, close):
    ours, theirs = pair
    number = ours.fileno()
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    job = told(poll.poll)
    until_waited_for(number)
    thread = threading.Thread(target=close, args=(ours,))
    thread.start()
    assert job.get(timeout=5) == [(number, select.POLLNVAL)]
    thread.join()


def test_closed_without_a_word_while_it_is_selected(pair):
    ours, theirs = pair
    job = told(lambda: select.select([ours], [], []))
    number = ours.fileno()
    until_waited_for(number)
    os.close(number)
    with pytest.raises(OSError) as caught:
        job.get(timeout=10)
    assert caught.value.errno == errno.EBADF
    os.dup2(theirs.fileno(), number)  # for the fixture to close


@pytest.mark.parametrize("open_elsewhere", [False, True])
@pytest.mark.parametrize("which", ["select", "poll"])
def test_another_file_gets_the_number_without_a_word(pair, which, open_elsewhere):
    """The one who waits is told; who waits for the other file, by that number, is left alone."""
    ours, theirs = pair
    number = ours.fileno()
    kept = os.dup(number)
    if which == "select":
        job = told(lambda: select.select([number], [], []))
    else:
        poll = select.poll()
        poll.register(number, select.POLLIN)
        job = told(poll.poll)
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


def test_epoll_drops_what_is_closed(pair):
    """Also if another process, or a duplicate, has the file open."""
    ours, theirs = pair
    kept = os.dup(ours.fileno())
    with select.epoll() as epoll:
        epoll.register(ours, select.EPOLLIN)
        job = told(lambda: epoll.poll(0.02))
        closing(ours)
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


def test_closed_elsewhere_stays_as_the_kernel_says(pair):
    ours, theirs = pair
    kept = os.dup(theirs.fileno())
    job = told(lambda: select.select([ours], [], [], 0.02))
    sleep(0)  # it waits now, and not for long
    theirs.close()  # another process, say, has its other end
    assert job.get(timeout=5) == ([], [], [])
    os.close(kept)


def test_nobody_listens_when_nobody_waits(pair):
    ours, _ = pair
    epoll = select.epoll()
    epoll.register(ours)
    told(lambda: select.select([ours], [], [])).kill(timeout=5)
    select.select([ours], [], [], 0.001)
    epoll.unregister(ours)
    epoll.register(ours)
    assert closing_module.listening() == [ours.fileno()]
    del epoll
    assert closing_module.listening() == []
