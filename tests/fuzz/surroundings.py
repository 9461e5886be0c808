"""Signals, forks, other threads, the collector, tracing and watchers of the loop, amid the greenlets' work."""

import gc
import os
import signal
import sys
import tempfile
import time
import weakref
from contextlib import suppress

from hub import BlockingSwitchOutError, HubDestroyed, InvalidThreadUseError, get_hub_if_exists
from locks import BOUNDS, Bounded
from parts import Part
from plan import verb
from world import LIMIT, PAUSES, Boom, describe, fault, has_ended, pause, rest, seconds, started

from greenio import GreenletExit, Timeout, get_hub, getcurrent, joinall, signal_handler, sleep, spawn
from greenio import os as greenio_os
from greenio.event import Event
from greenio.lock import Lock, Semaphore
from greenio.queue import Empty, Full, Queue
from greenio.socket import socketpair

WORKS = ("nothing", "put", "acquire", "spawn", "set", "wait", "sleep", "collect")


class Work:
    """The work of a signal handler, a finalizer or a callback, wherever this runs. It raises nothing."""

    def __init__(self):
        self.queue = Queue(5)
        self.lock = Lock()
        self.semaphore = Semaphore(2)
        self.event = Event()
        self.put = []
        self.got = []

    def do(self, what):
        try:
            if what == "put":
                with suppress(Full):
                    self.queue.put_nowait(1)
                    self.put.append(1)
                with suppress(Empty):
                    self.queue.get_nowait()
                    self.got.append(1)
            elif what == "acquire":
                for lock in (self.lock, self.semaphore):
                    if lock.acquire(False):
                        lock.release()
            elif what == "spawn" and get_hub_if_exists() is not None:
                spawn(pause, "switch")
            elif what == "set":
                self.event.set()
                self.event.clear()
            elif what == "wait":
                # It may run on the hub greenlet, or on a greenlet that is killed, or gets its Timeout, meanwhile.
                with suppress(BaseException):
                    if self.semaphore.acquire(timeout=0.001):
                        try:
                            rest(0)
                        finally:
                            self.semaphore.release()
            elif what == "sleep":
                with suppress(BaseException):
                    rest(0)
            elif what == "collect":
                gc.collect(0)
        except BlockingSwitchOutError:
            pass
        except BaseException as error:
            fault(f"{type(error).__name__} in a callback that does {what}", describe(error))

    def check(self):
        if self.lock.locked() or self.semaphore.counter != 2:
            yield "a callback's lock left held", f"{self.lock!r} {self.semaphore!r}"
        if len(self.put) - len(self.got) != self.queue.qsize():
            yield "a callback's item is lost", f"{len(self.put)} put, {len(self.got)} got, {self.queue!r}"


class Working(Part):
    def __init__(self):
        self.work = Work()

    def check(self):
        yield from self.work.check()


class Signals(Working):
    """A timer's signal, and signals that are sent; the handler does some work."""

    weight = 2
    arguments = {
        "interval": (0, 0.0007, 0.005, 0.02),
        "does": WORKS,
        "how": ("signal.signal", "signal.signal", "signal_handler", "watcher"),
        "timer": ("ITIMER_REAL", "ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"),
    }
    SIGNALS = {"ITIMER_REAL": signal.SIGALRM, "ITIMER_VIRTUAL": signal.SIGVTALRM, "ITIMER_PROF": signal.SIGPROF}

    def __init__(self, interval, does, how, timer):
        super().__init__()
        self.does = does
        self.timer = getattr(signal, timer)
        self.number = self.SIGNALS[timer]
        # This handler remains when another part has the same signal and ends first.
        signal.signal(self.number, signal.SIG_IGN)
        self.watcher = None
        if how == "signal.signal":
            signal.signal(self.number, lambda number, frame: self.work.do(does))
        elif how == "signal_handler":
            self.watcher = signal_handler(self.number, self.work.do, does)
        else:
            self.watcher = get_hub().loop.signal(self.number, ref=False)
            self.watcher.start(self.work.do, does)
        signal.setitimer(self.timer, interval, interval)

    @verb()
    def send(self):
        os.kill(os.getpid(), self.number)

    def close(self):
        signal.setitimer(self.timer, 0)
        if self.watcher is not None:
            (self.watcher.cancel if isinstance(self.watcher, signal_handler) else self.watcher.close)()
        signal.signal(self.number, signal.SIG_IGN)


class Garbage(Working):
    """Objects in cycles, whose finalizers work."""

    weight = 3

    @verb(3, does=WORKS, how=("__del__", "finalize", "callback"), count=(1, 5))
    def leave(self, does, how, count):
        for _ in range(count):
            Cycle(self.work if how == "__del__" else None, does, how, self.work)

    @verb(0.5, generation=(0, 1, 2))
    def collect(self, generation):
        gc.collect(generation)

    @verb(plain=False, inside=PAUSES, does=WORKS)
    def leave_greenlets(self, inside, does):
        """Leave greenlets that wait for an event nobody can set any more. Their finally clauses work."""

        def wait(event):
            try:
                event.wait(0.05)
            finally:
                self.work.do(does)

        event = Event()
        for _ in range(3):
            spawn(wait, event)
        pause(inside)

    @verb(plain=False)
    def weak_references(self):
        greenlet = spawn(pause, "switch")
        reference = weakref.ref(greenlet, lambda _: self.work.do("put"))
        greenlet.join()
        del greenlet
        reference()


class Cycle:
    def __init__(self, work, does, how, other):
        self.cycle = self
        self.work = work
        self.does = does
        if how == "finalize":
            weakref.finalize(self, other.do, does)
        elif how == "callback":
            self.reference = weakref.ref(self, lambda _: other.do(does))

    def __del__(self):
        if self.work is not None:
            self.work.do(self.does)


class Forks(Part):
    """Forked children: the greenlet that forked goes on there, alone."""

    weight = 1.5
    share = 0.3
    MOST = 4

    def __init__(self):
        self.left = [1] * self.MOST
        self.children = []

    @verb(plain=False, how=("os.fork", "greenio.os.fork"), inside=PAUSES)
    def fork(self, how, inside):
        try:
            self.left.pop()
        except IndexError:
            return
        child = os.fork() if how == "os.fork" else greenio_os.fork()
        if child == 0:
            status = 1
            try:
                status = self.in_child(inside)
            except BaseException as error:
                os.write(2, f"in a forked child: {describe(error)}".encode())
            finally:
                os._exit(status)
        self.children.append(child)
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if self.has_ended(child):
                return
            rest(0.005)
        self.abort(child)

    def has_ended(self, child):
        found, status = os.waitpid(child, os.WNOHANG)
        if found == 0:
            return False
        self.children.remove(child)
        if status:
            fault("a forked child failed", f"wait status {status}")
        return True

    def abort(self, child):
        fault("a forked child does not end", "its stack follows")
        os.kill(child, signal.SIGABRT)
        os.waitpid(child, 0)
        self.children.remove(child)

    def in_child(self, inside):
        while True:
            try:
                sleep(0)
                break
            except HubDestroyed:
                return 0  # the thread that forked was about to end
            except (Boom, GreenletExit):
                continue  # another actor threw it before the fork
        lock, queue, got = Lock(), Queue(1), []

        def work(number):
            with lock:
                pause(inside)
            queue.put(number)

        with Timeout(LIMIT):
            workers = [spawn(work, number) for number in range(3)]
            got = [queue.get() for _ in workers]
            joinall(workers)
            first, second = socketpair()
            with first, second:
                reader = spawn(second.recv, 5)
                pause("nap")
                first.send(b"hello")
                return 0 if sorted(got) == [0, 1, 2] and reader.get() == b"hello" else 2

    def close(self):
        deadline = time.monotonic() + LIMIT
        for child in list(self.children):  # left by greenlets that were killed meanwhile
            while not self.has_ended(child):
                if time.monotonic() > deadline:
                    self.abort(child)
                    break
                time.sleep(0.01)


class Tracing(Part):
    """Functions for tracing and profiling, set and removed in the middle of other calls."""

    share = 0.6

    def __init__(self):
        self.seen = []
        # The part keeps the function: CPython 3.11 does not hold a reference to it while it allocates the arguments of
        # a call, and in this moment a finalizer may let another greenlet run that removes the function.
        self.function = self.see

    def see(self, frame, event, argument):
        if len(self.seen) < 1000:
            self.seen.append(event)
        return self.function if event == "call" and len(self.seen) % 7 == 0 else None

    @verb(kind=("settrace", "settrace", "setprofile"), inside=PAUSES)
    def trace(self, kind, inside):
        getattr(sys, kind)(self.function)
        try:
            pause(inside)
        finally:
            getattr(sys, kind)(None)

    @verb(0.5, kind=("settrace", "setprofile"))
    def leave_on(self, kind):
        getattr(sys, kind)(self.function)

    @verb()
    def off(self):
        sys.settrace(None)
        sys.setprofile(None)

    def close(self):
        self.off()


class Watchers(Working):
    """Watchers of the loop, stopped and closed at random places."""

    weight = 2
    KINDS = ("timer", "timer", "io", "async_", "idle", "prepare", "check", "stat")

    def __init__(self):
        super().__init__()
        self.closed = []

    def make(self, kind):
        loop = get_hub().loop
        if kind == "timer":
            return loop.timer(0.0003, repeat=0.0005)
        if kind == "io":
            return loop.io(self.sockets()[0].fileno(), 3)
        if kind == "stat":
            return loop.stat(tempfile.gettempdir(), 0.1)
        return getattr(loop, kind)()

    def sockets(self):
        pair = socketpair()
        self.closed.append(pair)
        return pair

    @verb(3, kind=KINDS, plain=False, does=WORKS, inside=PAUSES, end=("close", "stop", "forget", "callback", "thread"))
    def watch(self, kind, does, inside, end):
        watcher = self.make(kind)
        called = []

        def callback(*_):
            called.append(1)
            self.work.do(does)
            if end == "callback" or len(called) > 20:
                watcher.close()

        watcher.start(callback)
        try:
            if kind == "async_":
                watcher.send()
            pause(inside)
            if end == "stop":
                watcher.stop()
            elif end == "thread":
                has_ended(started(self.close_in_thread, watcher))
        finally:
            watcher.close()

    def close_in_thread(self, watcher):
        with suppress(InvalidThreadUseError):
            watcher.close()

    @verb(plain=False, kind=("timer", "idle", "prepare", "check"), timeout=(0.0005, "tick"))
    def wait(self, kind, timeout):
        hub = get_hub()
        with self.make(kind) as watcher, Timeout(seconds(timeout), False):
            hub.wait(watcher)

    @verb(plain=False, does=WORKS)
    def callback(self, does):
        callback = get_hub().run_callback(self.work.do, does)
        if does == "nothing":
            callback.stop()

    @verb(does=WORKS)
    def callback_threadsafe(self, does):
        """Have another thread give the callback to this thread's hub."""
        hub = get_hub_if_exists()
        if hub is not None:
            has_ended(started(hub.run_callback_threadsafe, self.work.do, does))

    def close(self):
        for pair in self.closed:
            for sock in pair:
                sock.close()


class Threads(Working):
    """Threads that come and go, with a hub or without."""

    weight = 2
    share = 0.6
    MOST = 25

    def __init__(self):
        super().__init__()
        self.left = [1] * self.MOST
        self.threads = []

    def start(self, function, *args):
        try:
            self.left.pop()
        except IndexError:
            return
        thread = started(function, *args)
        self.threads.append(thread)
        return thread

    @verb(does=WORKS)
    def plain(self, does):
        self.start(self.work.do, does)

    @verb(2, does=WORKS, inside=PAUSES, leave=(False, True))
    def with_hub(self, does, inside, leave):
        """Start a thread that may end while its greenlets wait, are ready, or have not begun."""

        def hold(how):
            with self.work.semaphore:
                pause(how)

        def run():
            greenlets = [spawn(hold, how) for how in ("nothing", "switch", inside)]
            sleep(0)
            self.work.do(does)
            greenlets.append(spawn(hold, inside))
            if not leave:
                joinall(greenlets)

        self.start(run)

    @verb(inside=PAUSES)
    def join(self, inside):
        thread = self.start(self.work.do, "sleep")
        pause(inside)
        if thread is not None:
            has_ended(thread)

    @verb(plain=False, bound=BOUNDS, inside=PAUSES)
    def destroy(self, bound, inside):
        """Have a thread destroy its hub while greenlets use it."""

        def run():
            for how in ("switch", inside):
                spawn(pause, how)
            sleep(0)
            get_hub().destroy()

        thread = self.start(run)
        with Bounded(bound):
            pause("tick")
        del thread

    def close(self):
        for thread in self.threads:
            if not has_ended(thread, LIMIT):
                fault("a thread does not end", repr(thread))
        self.threads.clear()


class Switching(Part):
    """greenlet's own methods on the library's greenlets: they may raise anywhere, but the process must not crash."""

    always = True

    @verb(plain=False, how=("switch", "throw", "run", "parent"))
    def misuse(self, how):
        victim = spawn(pause, "tick")
        pause("switch")
        main = getcurrent()
        try:
            with suppress(Exception):
                if how == "switch":
                    victim.switch()
                elif how == "throw":
                    victim.throw(ValueError)
                elif how == "run":
                    victim.run()
                else:
                    victim.parent = main
        finally:
            victim.kill(block=False)


KINDS = [Signals, Garbage, Forks, Tracing, Watchers, Threads]
