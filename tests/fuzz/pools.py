"""Pools of greenlets and of threads, task groups, and data that each greenlet has for itself."""

from contextlib import suppress
from itertools import count

from locks import BOUNDS, Bounded
from parts import Part
from plan import verb
from world import PAUSES, Boom, fault, pause, seconds

from greenio import GreenletExit, TaskGroup, Timeout, get_hub, sleep
from greenio.local import local
from greenio.pool import Group, Pool, PoolFull
from greenio.taskgroup import ExceptionGroup
from greenio.threadpool import ThreadPool, ThreadPoolExecutor


class Pools(Part):
    """A pool that several threads use, and groups of one greenlet each."""

    weight = 2
    arguments = {"size": (1, 2, 5)}

    def __init__(self, size):
        self.size = size
        self.pool = Pool(size)
        self.inside = []

    def member(self, how):
        self.inside.append(1)
        try:
            if len(self.inside) > self.size:
                fault("too many inside a Pool", f"{len(self.inside)} instead of {self.size}")
            pause(how)
        finally:
            self.inside.pop()

    @verb(3, plain=False, inside=PAUSES, bound=BOUNDS)
    def spawn(self, inside, bound):
        with Bounded(bound):
            self.pool.spawn(self.member, inside)

    @verb(plain=False, inside=PAUSES, bound=BOUNDS)
    def apply(self, inside, bound):
        with Bounded(bound):
            self.pool.apply(self.member, (inside,))

    @verb(plain=False, inside=PAUSES, bound=BOUNDS)
    def map(self, inside, bound):
        def double(number):
            self.member(inside)
            return number * 2

        with Bounded(bound):
            self.compare("Pool.map()", self.pool.map(double, range(4)))

    @verb(plain=False, inside=PAUSES, bound=BOUNDS)
    def imap(self, inside, bound):
        def double(number):
            self.member(inside)
            return number * 2

        with Bounded(bound):
            self.compare("Pool.imap_unordered()", list(self.pool.imap_unordered(double, range(4))))

    def compare(self, what, found):
        # The value of a member that was killed is a GreenletExit.
        killed = sum(isinstance(value, GreenletExit) for value in found)
        values = [value for value in found if not isinstance(value, GreenletExit)]
        if not set(values) <= {0, 2, 4, 6} or len(set(values)) + killed != 4:
            fault(f"other values of {what}", repr(found))

    @verb(plain=False, timeout=(0, 0.001, "tick"))
    def available(self, timeout):
        self.pool.wait_available(seconds(timeout))

    @verb(plain=False, timeout=(0, 0.001, "tick"))
    def join(self, timeout):
        self.pool.join(seconds(timeout))

    @verb(0.4, plain=False, block=(False, True), timeout=(0.001, "tick"))
    def kill(self, block, timeout):
        self.pool.kill(block=block, timeout=seconds(timeout))

    @verb(plain=False, inside=PAUSES, block=(False, True))
    def group(self, inside, block):
        group = Group()
        try:
            for _ in range(3):
                group.spawn(pause, inside)
            pause("switch")
        finally:
            group.kill(block=block)
        if block and len(group):
            fault("members of a group outlive it", repr(list(group)))

    @verb(plain=False)
    def full(self):
        with suppress(PoolFull):
            self.pool.start(self.pool.greenlet_class(self.member, "nothing"), blocking=False)

    def check(self):
        if len(self.pool) or self.pool.free_count() != self.size or self.inside:
            yield "a place in a Pool is lost", f"{list(self.pool)}, {self.pool.free_count()} free, not {self.size}"


class TaskGroups(Part):
    """Groups of tasks, some of which fail."""

    @verb(3, plain=False, inside=PAUSES, before=PAUSES, fails=(False, False, True), bound=BOUNDS)
    def run(self, inside, before, fails, bound):
        def child(how):
            pause(how)
            if fails:
                raise Boom

        children = []
        try:
            with Bounded(bound), TaskGroup() as group:
                for how in (inside, "nothing", "switch"):
                    children.append(group.spawn(child, how))
                pause(before)
        except ExceptionGroup as error:
            if not fails and error.split(Boom)[1] is not None:
                raise
        finally:
            if not get_hub().destroying and any(not each.dead for each in children):
                fault("a child outlives its TaskGroup", repr(children))


class ThreadPools(Part):
    """Each hub's pool of threads, and pools that are made and ended."""

    weight = 2
    share = 0.7

    def work(self, how, value):
        pause(how)
        return value

    @verb(2, plain=False, inside=PAUSES, bound=BOUNDS)
    def apply(self, inside, bound):
        with Bounded(bound):
            if get_hub().threadpool.apply(self.work, (inside, 7)) != 7:
                fault("another value of ThreadPool.apply()", "")

    @verb(2, plain=False, inside=PAUSES, timeout=(0, 0.001, "tick"))
    def spawn(self, inside, timeout):
        results = [get_hub().threadpool.spawn(self.work, inside, number) for number in range(3)]
        try:
            for number, result in enumerate(results):
                if result.get(timeout=seconds(timeout)) != number:
                    fault("another value of ThreadPool.spawn()", "")
        except Timeout:
            pass

    @verb(0.3, plain=False, inside=PAUSES, tasks=(0, 1, 3), end=("kill", "join and kill"))
    def make(self, inside, tasks, end):
        pool = ThreadPool(2)
        try:
            for number in range(tasks):
                pool.spawn(self.work, inside, number)
            if end != "kill":
                pool.join()
        finally:
            pool.kill()

    @verb(0.3, plain=False, inside=PAUSES, bound=BOUNDS)
    def executor(self, inside, bound):
        with ThreadPoolExecutor(2) as executor, Bounded(bound):
            futures = [executor.submit(self.work, inside, number) for number in range(3)]
            if [future.result() for future in futures] != [0, 1, 2]:
                fault("other values of ThreadPoolExecutor", "")

    @verb(plain=False, inside=PAUSES)
    def map(self, inside):
        if get_hub().threadpool.map(lambda number: self.work(inside, number), range(3)) != [0, 1, 2]:
            fault("other values of ThreadPool.map()", "")


class Locals(Part):
    """Greenlet-local data: no other greenlet sees it."""

    def __init__(self):
        self.next = count().__next__
        self.local = local()

    @verb(inside=PAUSES)
    def keep(self, inside):
        number = self.local.number = self.next()
        try:
            pause(inside)
        finally:
            if self.local.number != number:
                fault("a local has another's data", f"{self.local.number}, not {number}")
            del self.local.number

    @verb(inside=PAUSES)
    def see(self, inside):
        pause(inside)
        if hasattr(self.local, "number"):
            fault("a local has another's data", str(self.local.number))

    @verb(plain=False)
    def make(self):
        mine = local()
        mine.cycle = mine
        sleep(0)


KINDS = [Pools, TaskGroups, ThreadPools, Locals]
