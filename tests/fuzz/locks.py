"""Semaphores, locks and conditions: never too many holders at a time, and all permits are back at the end."""

from parts import Part
from plan import verb
from world import PAUSES, fault, pause, seconds

from greenio import Timeout
from greenio.lock import Barrier, BoundedSemaphore, BrokenBarrierError, Condition, Lock, RLock, RWLock, Semaphore

TIMES = (None, None, None, 0, 0.0005, 0.003, "tick", "tick")
BOUNDS = ("none", "none", "none", "tick", "nap")


class Bounded:
    """``with Bounded("tick")``: a Timeout around the block, or none. It ends with the block."""

    def __init__(self, how):
        self.how = how

    def __enter__(self):
        self.timeout = None if self.how == "none" else Timeout(seconds("tick") if self.how == "tick" else 0.0004)
        if self.timeout is not None:
            self.timeout.start()

    def __exit__(self, kind, error, tb):
        if self.timeout is None:
            return False
        self.timeout.cancel()
        return error is self.timeout


class Holders(Part):
    """Counts the greenlets and threads that hold a lock at a time."""

    def __init__(self):
        self.inside = []

    def held(self, how, limit):
        """Hold the lock for a while, and count. The caller has just acquired it."""
        self.inside.append(1)
        try:
            if len(self.inside) > limit:
                fault(f"too many inside {type(self).__name__}", f"{len(self.inside)} instead of {limit}")
            pause(how)
        finally:
            self.inside.pop()


class Permits(Holders):
    weight = 3
    arguments = {"permits": (1, 1, 1, 2, 3), "bounded": (False, True)}

    def __init__(self, permits, bounded):
        super().__init__()
        self.permits = permits
        self.semaphore = (BoundedSemaphore if bounded else Semaphore)(permits)

    @verb(4, timeout=TIMES, inside=PAUSES, bound=BOUNDS)
    def hold(self, timeout, inside, bound):
        with Bounded(bound):
            if self.semaphore.acquire(timeout=seconds(timeout)):
                try:
                    self.held(inside, self.permits)
                finally:
                    self.semaphore.release()

    @verb(2, inside=PAUSES)
    def within(self, inside):
        with self.semaphore:
            self.held(inside, self.permits)

    @verb(inside=PAUSES)
    def several(self, inside):
        """Take all permits that are free, and release them at once."""
        taken = 0
        try:
            while self.semaphore.acquire(False):
                taken += 1
            pause(inside)
        finally:
            if taken:
                self.semaphore.release(taken)

    @verb(timeout=(0, 0.0005, "tick"))
    def wait(self, timeout):
        self.semaphore.wait(seconds(timeout))

    @verb(plain=False)
    def link(self):
        def called(semaphore):
            semaphore.unlink(called)

        self.semaphore.rawlink(called)
        pause("switch")
        self.semaphore.unlink(called)

    def check(self):
        if self.semaphore.counter != self.permits:
            yield "a permit is lost", f"{self.semaphore!r}, made with {self.permits}; inside: {self.inside}"
        elif "waiting" in repr(self.semaphore) and "0 waiting" not in repr(self.semaphore):
            yield "somebody still stands in line", repr(self.semaphore)


class Mutex(Holders):
    weight = 2
    arguments = {"reentrant": (False, True)}

    def __init__(self, reentrant):
        super().__init__()
        self.reentrant = reentrant
        self.lock = RLock() if reentrant else Lock()

    @verb(4, timeout=TIMES, inside=PAUSES, bound=BOUNDS)
    def hold(self, timeout, inside, bound):
        with Bounded(bound):
            if self.lock.acquire(timeout=-1 if timeout is None else seconds(timeout)):
                try:
                    self.held(inside, 1)
                finally:
                    self.lock.release()

    @verb(2, inside=PAUSES, again=PAUSES)
    def within(self, inside, again):
        with self.lock:
            self.held(inside, 1)
            if self.reentrant:
                with self.lock:
                    self.held(again, 1)

    @verb()
    def try_it(self):
        if self.lock.acquire(False):
            self.lock.release()

    def check(self):
        if self.lock.locked():
            yield f"{type(self.lock).__name__} left held", f"{self.lock!r}; inside: {self.inside}"
        elif "waiting" in repr(self.lock) and "0 waiting" not in repr(self.lock):
            yield "somebody still stands in line", repr(self.lock)


class ReadersAndWriters(Part):
    weight = 2

    def __init__(self):
        self.lock = RWLock()
        self.reading = []
        self.writing = []

    def held(self, mine, pausing):
        mine.append(1)
        try:
            if len(self.writing) > 1 or (self.writing and self.reading):
                fault("too many inside an RWLock", f"{len(self.writing)} writers, {len(self.reading)} readers")
            pause(pausing)
        finally:
            mine.pop()

    @verb(3, timeout=TIMES, inside=PAUSES, bound=BOUNDS)
    def read(self, timeout, inside, bound):
        with Bounded(bound):
            if self.lock.acquire_read(timeout=seconds(timeout)):
                try:
                    self.held(self.reading, inside)
                finally:
                    self.lock.release_read()

    @verb(2, timeout=TIMES, inside=PAUSES, bound=BOUNDS)
    def write(self, timeout, inside, bound):
        with Bounded(bound):
            if self.lock.acquire_write(timeout=seconds(timeout)):
                try:
                    self.held(self.writing, inside)
                finally:
                    self.lock.release_write()

    @verb(inside=PAUSES)
    def read_within(self, inside):
        with self.lock.reading():
            self.held(self.reading, inside)

    @verb(inside=PAUSES)
    def write_within(self, inside):
        with self.lock.writing():
            self.held(self.writing, inside)

    def check(self):
        if self.lock.readers or self.lock.writing_now:
            yield "RWLock left held", f"{self.lock!r}; {self.reading} {self.writing}"
        elif not self.lock.acquire_write(False):
            yield "RWLock left held", repr(self.lock)


class Waiting(Holders):
    """A condition, on each kind of lock."""

    arguments = {"lock": ("RLock", "Lock", "Semaphore")}
    LOCKS = {"RLock": RLock, "Lock": Lock, "Semaphore": Semaphore}

    def __init__(self, lock):
        super().__init__()
        self.condition = Condition(self.LOCKS[lock]())
        self.stopping = False

    @verb(3, timeout=TIMES, inside=PAUSES, bound=BOUNDS)
    def wait(self, timeout, inside, bound):
        with Bounded(bound):
            with self.condition:
                self.held("nothing", 1)
                try:
                    if not self.stopping:
                        self.condition.wait(seconds(timeout))
                finally:
                    self.held(inside, 1)

    @verb(3, count=(1, 1, 2, "all"))
    def notify(self, count):
        with self.condition:
            self.held("nothing", 1)
            if count == "all":
                self.condition.notify_all()
            else:
                self.condition.notify(count)

    def stop(self):
        if self.condition.acquire(False):
            self.stopping = True
            try:
                self.condition.notify_all()
            finally:
                self.condition.release()

    def check(self):
        if not self.condition.acquire(False):
            yield "the lock of a Condition left held", repr(self.condition)
        else:
            self.condition.release()


class Meeting(Part):
    arguments = {"parties": (1, 2, 3, 5)}

    def __init__(self, parties):
        self.barrier = Barrier(parties)

    @verb(4, timeout=TIMES, bound=BOUNDS)
    def wait(self, timeout, bound):
        try:
            with Bounded(bound):
                self.barrier.wait(seconds(timeout))
        except BrokenBarrierError:
            pause("switch")

    @verb()
    def reset(self):
        self.barrier.reset()

    @verb(0.3)
    def abort(self):
        self.barrier.abort()

    def stop(self):
        self.barrier.abort()

    def check(self):
        if self.barrier.n_waiting:
            yield "somebody still waits at a Barrier", repr(self.barrier)


KINDS = [Permits, Mutex, ReadersAndWriters, Waiting, Meeting]
