"""Two threads close the same object, and the number is another file's before the first thread is done: no harm is done.

The first thread stops before its k-th step of Python code, for each k. Meanwhile the second closes the object as well.
"""

import sys
import threading

from greenio import select, sleep, spawn
from greenio.socket import socketpair

STEPS = 60  # more than any case has


class Interrupted:
    """Runs `function` in a thread of its own, and stops before its k-th step, which is a call or a return."""

    def __init__(self, function, k):
        self.function = function
        self.left = k
        self.reached = False
        self.stopped = threading.Event()
        self.may_go_on = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        assert self.stopped.wait(10)

    def run(self):
        sys.setprofile(self.step)
        try:
            self.function()
        finally:
            sys.setprofile(None)
            self.stopped.set()

    def step(self, frame, event, argument):
        self.left -= 1
        if self.left == 0:
            self.reached = True
            self.stopped.set()
            assert self.may_go_on.wait(10)

    def finish(self):
        self.may_go_on.set()
        self.thread.join()


def pair_with(number):
    """Make a pair of sockets, of which the first has that number."""
    first, second = socketpair()
    if first.fileno() == number:
        return first, second
    assert second.fileno() == number
    return second, first


def reads_on(sock, peer):
    """Start a reader, which waits; then check that it receives. A generator of two steps."""
    reader = spawn(sock.recv, 10)
    sleep(0)
    yield
    sleep(0)
    peer.send(b"x")
    yield reader.get(timeout=5) == b"x"


def closed_while_another_closes(closing, then, k):
    """Stop `closing` before step k, call `then`, and let `closing` end. The pair that `then` returns is not disturbed.

    Returns whether there is such a step.
    """
    first = Interrupted(closing, k)
    sock, peer = then()
    reading = reads_on(sock, peer)
    next(reading)
    first.finish()
    assert next(reading)
    sock.close()
    peer.close()
    return first.reached


def all_steps(case):
    for k in range(1, STEPS):
        if not case(k):
            assert k > 1
            return
    raise AssertionError("more steps than are tried")


def test_a_socket_that_two_threads_close_takes_no_other_with_it():
    def case(k):
        ours, theirs = socketpair()
        reader = spawn(ours.recv, 1)
        reader.reports_errors = False
        sleep(0)

        number = ours.fileno()

        def then():
            ours.close()
            return pair_with(number)

        found = closed_while_another_closes(ours.close, then, k)
        reader.join(timeout=5)
        assert isinstance(reader.exception, OSError)
        theirs.close()
        return found

    all_steps(case)


def test_a_socket_that_select_waits_for():
    """A socket is closed while select() waits for it, and the number of select's own descriptor is used again."""

    def case(k):
        ours, theirs = socketpair()
        waiting = spawn(select.select, [ours], [], [])
        waiting.reports_errors = False
        sleep(0)

        def then():
            waiting.kill(timeout=5)
            return socketpair()

        found = closed_while_another_closes(ours.close, then, k)
        theirs.close()
        return found

    all_steps(case)


def test_a_socket_that_is_registered_with_an_epoll():
    def case(k):
        ours, theirs = socketpair()
        number = ours.fileno()
        with select.epoll() as epoll:
            epoll.register(number, select.EPOLLIN)
            first = Interrupted(ours.close, k)
            ours.close()
            new, peer = pair_with(number)
            waited = None
            if first.reached:
                epoll.register(number, select.EPOLLIN)
                waited = spawn(epoll.poll, 5)
                sleep(0)
            first.finish()
            peer.send(b"x")
            if waited is not None:
                assert waited.get(timeout=5) == [(number, select.EPOLLIN)]
            new.close()
            peer.close()
        theirs.close()
        return first.reached

    all_steps(case)
