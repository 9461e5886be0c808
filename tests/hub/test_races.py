"""A million random races between everything that can wake a greenlet. The counts at the end are exact.

Each actor is a greenlet that waits, again and again, in a random way: on a bare wait, in a sleep, for a socket,
under a Timeout. Meanwhile others (actors, callbacks on the hub, another thread) wake it with tokens and throw
exceptions into it, all with numbers of their own. At the end every token that a wake() claimed to have handed
over has been received once, and every exception that was thrown has been raised once, and nothing else was.
"""

import gc
import random
import socket as standard
import threading
import time

import pytest
from hub import Wait

from greenio import Greenlet, GreenletExit, Timeout, get_hub, getcurrent, joinall, kill, sleep, spawn
from greenio.socket import socketpair, wait_read

ACTORS = 60


class Thrown(Exception):
    """The exception that the races throw. Each has a number."""


class Races:
    def __init__(self, seed, races):
        self.random = random.Random(seed)
        self.left = races
        self.waits = {}  # actor -> its current wait, or its last one
        self.actors = []
        self.numbers = 0
        self.handed_over = set()
        self.received = set()
        self.thrown = set()
        self.raised = set()
        self.waits_begun = self.waits_ended = 0
        self.hub = get_hub()
        self.requests = 0
        self.answered = 0

    def number(self):
        self.numbers += 1
        return self.numbers

    # --- calls that act on other greenlets ---

    def wake_somebody(self):
        wait = self.waits.get(self.random.choice(self.actors))
        if wait is not None:
            token = self.number()
            if wait.wake(token):
                self.handed_over.add(token)

    def throw_at_somebody(self):
        target = self.random.choice(self.actors)
        if target.dead:
            return
        error = Thrown(self.number())
        self.thrown.add(error.args[0])
        kill(target, error)

    def disturb(self):
        self.left -= 1
        choice = self.random.random()
        if choice < 0.55:
            self.wake_somebody()
        elif choice < 0.75:
            self.throw_at_somebody()
        elif choice < 0.85:
            self.hub.run_callback(self.wake_somebody)
        elif choice < 0.90:
            self.hub.run_callback(self.throw_at_somebody)

    # --- how actors wait ---

    def bare(self):
        wait = self.waits[getcurrent()] = Wait("a race")
        if self.random.random() < 0.1:
            self.disturb()
        if self.random.random() < 0.1:
            self.wake_somebody()  # perhaps itself, before it parks
        token = wait.park(self.random.random() * 0.002)
        assert not wait.wake(0) and not wait.throw(Thrown(0))
        self.received.add(token)

    def under_a_timeout(self):
        with Timeout(self.random.random() * 0.002, self.random.choice([None, False])):
            self.bare()

    def for_a_socket(self, ours, theirs):
        if self.random.random() < 0.5:
            theirs.send(b"x")
        else:
            self.hub.run_callback(theirs.send, b"y")
        ours.settimeout(self.random.random() * 0.002)
        ours.recv(self.random.choice([1, 4096]))

    def for_a_descriptor(self, ours, theirs):
        if self.random.random() < 0.5:
            theirs.send(b"z")
        wait_read(ours, self.random.random() * 0.002)

    def act(self, ours, theirs):
        ways = [
            self.bare, self.bare, self.bare, self.under_a_timeout,
            lambda: sleep(0), lambda: sleep(self.random.random() * 0.001),
            lambda: self.for_a_socket(ours, theirs), lambda: self.for_a_descriptor(ours, theirs),
        ]  # fmt: skip
        self.actors.append(getcurrent())
        while self.left > 0:
            for _ in range(self.random.randrange(6)):
                self.disturb()
            self.attempt(self.random.choice(ways))
            if self.random.random() < 0.0005:
                gc.collect(0)
        self.waits.pop(getcurrent(), None)
        # Exceptions that were thrown, but not raised yet, come at the next park.
        quiet = 0
        while quiet < 3:
            quiet = quiet + 1 if self.attempt(lambda: sleep(0.003)) else 0

    def attempt(self, way):
        self.waits_begun += 1
        try:
            way()
        except Thrown as error:
            assert error.args[0] not in self.raised, "one exception was raised twice"
            self.raised.add(error.args[0])
            return False
        except (TimeoutError, Timeout):
            pass
        finally:
            self.waits_ended += 1
        return True

    def answer(self):
        self.answered += 1
        self.wake_somebody()

    def from_another_thread(self):
        while self.left > 0:
            self.requests += 1
            self.hub.run_callback_threadsafe(self.answer)
            time.sleep(0.0005)


def test_a_million_races(request):
    seed = request.config.getoption("--races-seed")
    seed = 20_17 if seed is None else seed
    races = Races(seed, request.config.getoption("--races"))
    print(f"seed {seed}")
    pairs = [socketpair() for _ in range(ACTORS)]
    thread = threading.Thread(target=races.from_another_thread)
    try:
        actors = [Greenlet.spawn(races.act, *pair) for pair in pairs]
        sleep(0)
        thread.start()
        joinall(actors, raise_error=True)
    finally:
        races.left = 0
        thread.join()
        sleep(0.01)
        for pair in pairs:
            for sock in pair:
                sock.close()
    assert races.received == races.handed_over
    assert races.raised == races.thrown
    assert races.waits_begun == races.waits_ended
    assert races.answered == races.requests
    assert len(races.received) > races.numbers // 50, "hardly any wake won: the races did not race"


@pytest.mark.parametrize("round", range(3))
def test_kill_races_readiness(round):
    """A reader that is killed in the turn in which its data arrives leaves the data to the next reader."""
    for _ in range(50):
        ours, theirs = socketpair()
        first, second = spawn(ours.recv, 1), spawn(ours.recv, 1)
        sleep(0)
        theirs.send(b"a")
        if round == 1:
            sleep(0)
        kill(first)
        joinall([first], timeout=1)
        if isinstance(first.value, GreenletExit):
            assert second.get(timeout=1) == b"a"
        else:
            assert first.value == b"a"
            second.kill()
        ours.close()
        theirs.close()


def test_a_plain_socket_is_not_disturbed():
    """The standard library's sockets still block: nothing was patched."""
    ours, theirs = standard.socketpair()
    assert ours.getblocking()
    ours.close()
    theirs.close()
