"""Actors and new greenlets are killed, get exceptions thrown, are joined, linked and grouped."""

from contextlib import suppress

from hub import InvalidThreadUseError
from locks import BOUNDS, TIMES, Bounded
from parts import Part
from plan import verb
from world import PAUSES, Boom, Killed, actors, fault, pause, seconds, was_killed

from greenio import (
    GreenletExit,
    Timeout,
    fail_after,
    getcurrent,
    iwait,
    joinall,
    kill,
    killall,
    move_on_after,
    sleep,
    spawn,
    spawn_later,
    spawn_raw,
    wait,
    wait_any,
)

EXCEPTIONS = {"Killed": Killed, "GreenletExit": GreenletExit, "Boom": Boom}


def actor(number):
    """Return an actor of any thread, or None."""
    alive = list(actors)
    found = alive[int(number * len(alive)) % len(alive)] if alive else None
    return None if found is getcurrent() else found


class Kills(Part):
    """Kills of actors, in all threads."""

    always = True
    share = 0.5

    @verb(5, who="+", error=tuple(EXCEPTIONS), how=("kill", "kill", "function", "soon"))
    def kill(self, who, error, how):
        target = actor(who)
        if target is None:
            return
        error = EXCEPTIONS[error]
        if how == "kill":
            target.kill(error, block=False)
        elif how == "function":
            kill(target, error)
        elif target.started and not target.dead:
            target.kill(error(), block=False)

    @verb(plain=False, who="+", timeout=(0, 0.001, "tick"), bound=BOUNDS)
    def kill_and_wait(self, who, timeout, bound):
        target = actor(who)
        if target is not None:
            with Bounded(bound):
                target.kill(Killed, timeout=seconds(timeout))

    @verb(0.5, plain=False)
    def kill_all(self):
        with suppress(InvalidThreadUseError):
            killall([each for each in list(actors) if each is not getcurrent()], Killed, block=False)

    @verb(plain=False, who="+", timeout=(0, 0.001, "tick"), bound=BOUNDS)
    def join(self, who, timeout, bound):
        target = actor(who)
        if target is not None:
            with Bounded(bound):
                target.join(timeout=seconds(timeout))

    @verb(plain=False, who="+")
    def link(self, who):
        target = actor(who)
        if target is not None:
            target.link(lambda source: None)

    @verb(0.5, plain=False)
    def kill_oneself(self):
        getcurrent().kill(Killed, block=False)


class Spawns(Part):
    """New greenlets, and their results."""

    weight = 2

    def __init__(self):
        self.begun = []
        self.over = []

    def child(self, how, value):
        self.begun.append(1)
        try:
            pause(how)
            return value
        finally:
            self.over.append(1)

    @verb(3, plain=False, inside=PAUSES, bound=BOUNDS)
    def get(self, inside, bound):
        child = spawn(self.child, inside, 7)
        with Bounded(bound):
            if child.get() != 7 and not was_killed(child):
                fault("another value of Greenlet.get()", repr(child))

    @verb(2, plain=False, inside=PAUSES, pause_before=PAUSES, error=tuple(EXCEPTIONS), block=(False, True))
    def kill(self, inside, pause_before, error, block):
        child = spawn(self.child, inside, 7)
        try:
            pause(pause_before)
        finally:
            child.kill(EXCEPTIONS[error], block=block)
        if block and not child.dead:
            fault("kill() returned before the end", repr(child))

    @verb(plain=False, inside=PAUSES)
    def raw(self, inside):
        child = spawn_raw(self.child, inside, 7)
        pause("switch")
        kill(child, Killed)

    @verb(plain=False, inside=PAUSES, delay=(0, 0.0005, "tick"), timeout=TIMES)
    def later(self, inside, delay, timeout):
        children = [spawn_later(seconds(delay), self.child, inside, number) for number in range(3)]
        if len(joinall(children, timeout=seconds(timeout))) < 3 and timeout is None:
            fault("joinall() without a timeout left some out", repr(children))
        for child in children:
            child.kill(Killed, block=False)

    @verb(plain=False, inside=PAUSES, count=(1, 2, None), timeout=(0.001, "tick", None))
    def wait(self, inside, count, timeout):
        children = [spawn(self.child, inside, number) for number in range(3)]
        found = wait(children, timeout=seconds(timeout), count=count)
        if timeout is None and len(found) < (count or 3):
            fault("wait() without a timeout returned too few", repr(found))

    @verb(plain=False, inside=PAUSES)
    def iwait(self, inside):
        for child in iwait([spawn(self.child, inside, number) for number in range(3)], count=2):
            if not child.dead:
                fault("iwait() gave one that has not ended", repr(child))

    @verb(plain=False, inside=PAUSES, timeout=(0.001, "tick"))
    def choose(self, inside, timeout):
        children = [spawn(self.child, inside, number) for number in range(3)]
        with suppress(TimeoutError):
            wait_any(*children, timeout=seconds(timeout))

    @verb(plain=False, inside=PAUSES)
    def block(self, inside):
        with spawn(self.child, inside, 7) as child:
            pause("switch")
        if not child.dead:
            fault("a greenlet outlived its block", repr(child))

    def check(self):
        if len(self.begun) != len(self.over):
            yield "finally did not run", f"{len(self.begun)} greenlets began, {len(self.over)} have ended"


class Deadlines(Part):
    """Timeouts: none may be raised after the end of its block."""

    weight = 2

    @verb(3, plain=False, outer=(0.0005, 0.002, "tick"), inner=(0.0005, 0.002, "tick"), inside=PAUSES)
    def nested(self, outer, inner, inside):
        try:
            with Timeout(seconds(outer)) as first:
                try:
                    with Timeout(seconds(inner)) as second:
                        pause(inside)
                except Timeout as error:
                    if error is not first and error is not second:
                        raise
                    if error is first:
                        raise
                pause(inside)
        except Timeout as error:
            if error is not first:
                raise

    @verb(2, plain=False, duration=(0, 0.0005, "tick"), inside=PAUSES, after=PAUSES)
    def move_on(self, duration, inside, after):
        with move_on_after(seconds(duration)):
            pause(inside)
        pause(after)

    @verb(2, plain=False, duration=(0, 0.0005, "tick"), inside=PAUSES, after=PAUSES)
    def fail(self, duration, inside, after):
        try:
            with fail_after(seconds(duration)):
                pause(inside)
        except TimeoutError:
            pass
        pause(after)

    @verb(plain=False, duration=(0, 0.0005, "tick"))
    def exactly(self, duration):
        duration = seconds(duration)
        with Timeout(duration, False):
            sleep(duration)


KINDS = [Kills, Spawns, Deadlines]
