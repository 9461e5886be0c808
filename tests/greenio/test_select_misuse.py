"""select, poll, epoll and selectors: errors of misuse, changes and closings during a wait, threads, thousands."""

import contextlib
import errno
import os
import resource
import select as standard
import selectors as standard_selectors
import socket as standard_socket
import threading
import time

import pytest
from naming import named
from waiting import let_others_run, until_waiting

from greenio import joinall, select, selectors, sleep, spawn
from greenio.socket import socketpair, wait_read


class Odd:
    def __init__(self, answer):
        self.answer = answer

    def fileno(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


ODD_DESCRIPTORS = [
    -1, 987654, 1 << 40, "x", None, 1.5, (), Odd(-1), Odd(987654), Odd("x"), Odd(KeyError("mine")), object(),
]  # fmt: skip
ODD_TIMEOUTS = [
    0, 0.0, -1, -0.5, float("nan"), float("inf"), float("-inf"), 1e300, 10**30, "1", b"", (), 1j, object(), True,
]  # fmt: skip


def comparable(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error), getattr(error, "errno", None), str(error)


def check_same(call, *args):
    """Check that a call has the same outcome with the standard modules and with ours."""
    assert comparable(call, select, selectors, *args) == comparable(call, standard, standard_selectors, *args)


@pytest.fixture
def ready():
    """A descriptor that is readable."""
    reader, writer = os.pipe()
    os.write(writer, b"x")
    yield reader
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("timeout", ODD_TIMEOUTS, ids=named)
class TestTimeouts:
    """A descriptor is ready, so that a call with a valid timeout returns at once."""

    def test_select_takes_the_same_timeouts(self, timeout, ready):
        check_same(lambda module, _: module.select([ready], [], [], timeout))

    def test_poll_takes_the_same_timeouts(self, timeout, ready):
        def call(module, _):
            poll = module.poll()
            poll.register(ready, module.POLLIN)
            return poll.poll(timeout)

        check_same(call)

    def test_epoll_takes_the_same_timeouts(self, timeout, ready):
        def call(module, _):
            with module.epoll() as epoll:
                epoll.register(ready, module.EPOLLIN)
                return epoll.poll(timeout)

        check_same(call)

    @pytest.mark.parametrize("name", ["SelectSelector", "PollSelector", "EpollSelector"])
    def test_selectors_take_the_same_timeouts(self, timeout, name, ready):
        def call(_, module):
            with getattr(module, name)() as selector:
                selector.register(ready, module.EVENT_READ)
                return [(key.fd, events) for key, events in selector.select(timeout)]

        check_same(call)


@pytest.mark.parametrize("descriptor", ODD_DESCRIPTORS, ids=named)
def test_odd_descriptors_have_the_standard_outcome(descriptor):
    check_same(lambda module, _: module.select([descriptor], [], [], 0.001))
    check_same(lambda module, _: module.select([], [], [descriptor], 0.001))
    for method in ("register", "modify", "unregister"):
        args = (descriptor, 1) if method == "modify" else (descriptor,)
        check_same(lambda module, _, method=method, args=args: getattr(module.poll(), method)(*args))

        def call(module, _, method=method, args=args):
            with module.epoll() as epoll:
                return getattr(epoll, method)(*args)

        check_same(call)
    for name in ("SelectSelector", "PollSelector", "EpollSelector"):

        def call(_, module, name=name):
            with getattr(module, name)() as selector:
                selector.register(descriptor, module.EVENT_READ)
                return len(selector.get_map())

        check_same(call)


MISUSE = {
    "no lists": lambda m, s: m.select(1, 2, 3, 0),
    "text for a list": lambda m, s: m.select("x", [], [], 0),
    "nothing": lambda m, s: m.select([], [], [], 0),
    "above the limit of select": lambda m, s: m.select([1024], [], [], 0),
    "poll mask": lambda m, s: m.poll().register(0, "x"),
    "poll mask too large": lambda m, s: m.poll().register(0, 1 << 20),
    "poll mask negative": lambda m, s: m.poll().register(0, -1),
    "poll of nothing": lambda m, s: m.poll().poll(1),
    "epoll size": lambda m, s: m.epoll(-2),
    "epoll flags": lambda m, s: m.epoll(flags=12345),
    "epoll fromfd": lambda m, s: use_and_close(m.epoll.fromfd(987654), lambda e: e.poll(0)),
    "epoll events": lambda m, s: use_and_close(m.epoll(), lambda e: e.poll(0, 0)),
    "epoll mask": lambda m, s: use_and_close(m.epoll(), lambda e: e.register(0, "x")),
    "epoll regular file": lambda m, s: use_and_close(m.epoll(), lambda e: e.register(os.open(__file__, os.O_RDONLY))),
    "epoll of itself": lambda m, s: use_and_close(m.epoll(), lambda e: e.register(e)),
    "epoll of nothing": lambda m, s: use_and_close(m.epoll(), lambda e: e.poll(0.001)),
    "selector events": lambda m, s: use_and_close(s.DefaultSelector(), lambda e: e.register(0, 7)),
    "selector key": lambda m, s: use_and_close(s.DefaultSelector(), lambda e: e.get_key(0)),
    "selector unregister": lambda m, s: use_and_close(s.DefaultSelector(), lambda e: e.unregister(0)),
    "selector modify": lambda m, s: use_and_close(s.DefaultSelector(), lambda e: e.modify(0, 1)),
    "selector of nothing": lambda m, s: use_and_close(s.DefaultSelector(), lambda e: e.select(0.001)),
    "selector closed": lambda m, s: closed(s.DefaultSelector()).get_map(),
}


def use_and_close(made, function):
    with made:
        return function(made)


def closed(made):
    made.close()
    return made


@pytest.mark.parametrize("name", MISUSE)
@pytest.mark.greenio_leaves
def test_misuse_has_the_standard_outcome(name):
    before = set(os.listdir("/proc/self/fd"))
    check_same(MISUSE[name])
    for number in set(os.listdir("/proc/self/fd")) - before:
        with contextlib.suppress(OSError):  # the number of the listing itself is closed already
            os.close(int(number))


def test_select_takes_one_descriptor_in_several_lists(pair):
    ours, theirs = pair
    assert select.select([ours], [ours], [ours], 5) == ([], [ours], [])
    theirs.send(b"x")
    assert select.select([ours, ours.fileno()], [ours, ours], [ours], 5) == ([ours, ours.fileno()], [ours, ours], [])
    ours.recv(1)
    waiting = spawn(select.select, [ours, ours.fileno()], [], [ours], 5)
    sleep(0)
    theirs.send(b"x")
    assert waiting.get() == ([ours, ours.fileno()], [], [])


def test_urgent_data_is_an_exceptional_state():
    with standard_socket.create_server(("127.0.0.1", 0)) as listener:
        ours = standard_socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        waiting = spawn(select.select, [], [], [ours], 5)
        sleep(0)
        theirs.send(b"!", standard_socket.MSG_OOB)
        assert waiting.get() == ([], [], [ours])
        ours.close()
        theirs.close()


# --- timeouts are exact -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0001, 0.0009, 0.0015, 0.004])
def test_no_wait_ends_early(pair, seconds):
    poll, epoll = select.poll(), select.epoll()
    poll.register(pair[0], select.POLLIN)
    epoll.register(pair[0], select.EPOLLIN)
    selector = selectors.DefaultSelector()
    selector.register(pair[0], selectors.EVENT_READ)
    for wait in (
        lambda: select.select([pair[0]], [], [], seconds)[0],
        lambda: poll.poll(seconds * 1000),
        lambda: epoll.poll(seconds),
        lambda: selector.select(seconds),
    ):
        for _ in range(5):
            started = time.monotonic()
            assert wait() == []
            assert time.monotonic() - started >= seconds
    epoll.close()
    selector.close()


# --- changes while somebody waits -------------------------------------------------------------------------------


def test_a_second_poll_of_one_object_is_refused(pair):
    ours, theirs = pair
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    waiting = spawn(poll.poll, 5000)
    sleep(0)
    with pytest.raises(RuntimeError, match="concurrent poll\\(\\) invocation"):
        poll.poll(1)
    theirs.send(b"x")
    assert waiting.get() == poll.poll(1) == [(ours.fileno(), select.POLLIN)]


def test_a_change_of_a_poll_object_counts_from_the_next_wait(pair):
    """A wait goes by the registrations at its begin. A change counts from the next wait on."""
    ours, theirs = pair
    first, second = socketpair()
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    waiting = spawn(poll.poll, 5000)
    sleep(0)
    poll.register(first, select.POLLIN)
    poll.unregister(ours)
    second.send(b"x")
    let_others_run()
    assert not waiting.ready()
    theirs.send(b"x")
    assert waiting.get() == [(ours.fileno(), select.POLLIN)]
    assert poll.poll(0) == [(first.fileno(), select.POLLIN)]
    first.close()
    second.close()


@pytest.mark.parametrize("kind", [selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector])
def test_a_selector_may_be_changed_while_it_waits(kind, pair):
    ours, theirs = pair
    first, second = socketpair()
    with kind() as selector:
        selector.register(ours, selectors.EVENT_READ, "ours")
        selector.register(first, selectors.EVENT_READ, "first")
        waiting = spawn(selector.select, 5)
        sleep(0)
        selector.unregister(first)
        selector.modify(ours, selectors.EVENT_READ, "changed")
        assert [key.data for key in selector.get_map().values()] == ["changed"]
        second.send(b"x")
        theirs.send(b"x")
        assert {key.data for key, _ in waiting.get()} == {"changed"}
        assert [key.data for key, _ in selector.select(5)] == ["changed"]
    first.close()
    second.close()


def test_waits_end_though_their_descriptor_is_closed_meanwhile():
    """As with the system's calls, closing a descriptor need not end the wait, but the timeout does."""
    for wait in (
        lambda sock: select.select([sock], [], [], 0.01),
        lambda sock: polled(sock, 10),
        lambda sock: epolled(sock, 0.01),
    ):
        ours, theirs = socketpair()
        waiting = spawn(comparable, wait, ours)
        sleep(0)  # now it waits, but not for long
        ours.close()
        outcome = waiting.get(timeout=5)
        # Either nothing is ready, or the call says in its own way that the descriptor is closed.
        assert outcome in ([], ([], [], [])) or outcome[0] is ValueError or outcome[1:2] == (errno.EBADF,) or (
            outcome[0][1] == select.POLLNVAL
        )  # fmt: skip
        theirs.close()


def polled(sock, timeout):
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll.poll(timeout)


def epolled(sock, timeout):
    with select.epoll() as epoll:
        epoll.register(sock, select.EPOLLIN)
        return epoll.poll(timeout)


# --- epoll objects of several greenlets and threads -------------------------------------------------------------


def test_an_epoll_object_can_be_waited_for_in_many_ways(pair):
    ours, theirs = pair
    with select.epoll() as epoll, select.epoll() as outer:
        epoll.register(ours, select.EPOLLIN)
        outer.register(epoll, select.EPOLLIN)
        waiting = [
            spawn(epoll.poll, 5), spawn(epoll.poll, 5), spawn(wait_read, epoll, 5), spawn(outer.poll, 5),
            spawn(lambda: select.select([epoll], [], [], 5)[0]),
        ]  # fmt: skip
        until_waiting(*waiting)
        theirs.send(b"x")
        joinall(waiting, raise_error=True, timeout=5)
        event = [(ours.fileno(), select.EPOLLIN)]
        assert [each.value for each in waiting] == [event, event, None, [(epoll.fileno(), select.EPOLLIN)], [epoll]]


def test_several_threads_may_wait_for_one_epoll_object(pair):
    ours, theirs = pair
    found, ready = [], threading.Barrier(3)

    def wait():
        ready.wait()
        found.append(comparable(epoll.poll, 5))

    with select.epoll() as epoll:
        epoll.register(ours, select.EPOLLIN)
        threads = [threading.Thread(target=wait) for _ in range(2)]
        for thread in threads:
            thread.start()
        ready.wait()
        theirs.send(b"x")
        assert epoll.poll(5) == [(ours.fileno(), select.EPOLLIN)]
        for thread in threads:
            thread.join()
        assert found == [[(ours.fileno(), select.EPOLLIN)]] * 2


def test_closing_an_epoll_object_in_another_thread_wakes_its_waiters(pair):
    epoll = select.epoll()
    epoll.register(pair[0], select.EPOLLIN)
    waiting = [spawn(comparable, epoll.poll, 5) for _ in range(3)]
    sleep(0)
    thread = threading.Thread(target=epoll.close)
    thread.start()
    thread.join()
    for each in waiting:
        assert each.get(timeout=5)[1] == errno.EBADF
    with pytest.raises(ValueError, match="closed epoll"):
        epoll.poll(0)


# --- thousands --------------------------------------------------------------------------------------------------


def test_waiting_for_thousands_of_descriptors_takes_few_system_calls():
    """While a greenlet waits for ten thousand descriptors, the system is asked about all of them only a few times."""
    poll = select.poll()
    many = [os.eventfd(0) for _ in range(min(10_000, limit() - 100))]
    looks = []
    system = select._poll

    class Counted:
        def __init__(self):
            self.poll_object = system()
            self.register = self.poll_object.register

        def poll(self, timeout):
            looks.append(timeout)
            return self.poll_object.poll(timeout)

    try:
        for descriptor in many:
            poll.register(descriptor, select.POLLIN)
        select._poll = Counted
        waiting = spawn(poll.poll, 10_000)
        until_waiting(waiting)
        os.eventfd_write(many[5000], 1)
        assert waiting.get(timeout=10) == [(many[5000], select.POLLIN)]
        assert len(looks) <= 2
    finally:
        select._poll = system
        for descriptor in many:
            os.close(descriptor)


@pytest.mark.parametrize("wait", [lambda sock: select.select([sock], [], [], 10)[0], lambda sock: epolled(sock, 10)])
def test_hundreds_of_greenlets_wait_for_one_descriptor(wait, pair):
    """More waits than the 500 that the system allows through an epoll of their own."""
    ours, theirs = pair
    waiting = [spawn(wait, ours) for _ in range(1100)]
    until_waiting(*waiting)
    theirs.send(b"x")
    joinall(waiting, raise_error=True, timeout=20)
    assert all(each.value for each in waiting)


def limit():
    """Raise the limit of descriptors as far as possible; return it (int)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(hard, 1 << 20) if hard != resource.RLIM_INFINITY else 1 << 20
