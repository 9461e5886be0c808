"""Condition, Barrier and RWLock: built of a lock and a line. Everything here may be used from any thread."""

from time import monotonic
from threading import BrokenBarrierError

from posix.unistd cimport usleep

from hub.errors import BlockingSwitchOutError, HubDestroyed, InvalidSwitchError
from hub.arguments cimport count_of, seconds_of
from hub.ready cimport fifo_t, fifo_remove
from hub.scheduler cimport Scheduler, hub_if_any
from hub.waits cimport Wait
from hub.wait_queue cimport await_turn, line_grant, line_join, line_peek, line_take, line_wake, new_turn

from greenio._sync.mutex import Lock, RLock

__all__ = ["Barrier", "BrokenBarrierError", "Condition", "RWLock"]

cdef enum:
    TRIES_WHILE_ENDING = 50  # how often wait() tries to take its lock again while the hub ends


cdef class Condition:
    """Wait, while holding a lock, for a change that others make while they hold it; as `threading.Condition`.

    `lock` is any lock, by default a new `RLock`. It can be read later; it stays the same. Raises AttributeError for
    what is no lock.
    """
    cdef object __weakref__
    cdef readonly object lock
    cdef fifo_t waiters

    def __init__(self, lock=None):
        if lock is None:
            lock = RLock()
        elif not (hasattr(lock, "acquire") and hasattr(lock, "release")):  # AttributeError, as in the standard library
            raise AttributeError(f"a condition needs a lock, with acquire() and release(), not {lock!r}")
        self.lock = lock

    def acquire(self, *args, **kwargs):
        """Take the lock: calls its acquire(), and returns what that returns."""
        return self.lock.acquire(*args, **kwargs)

    def release(self):
        """Give the lock up: calls its release()."""
        self.lock.release()

    def __enter__(self):
        return self.lock.__enter__()

    def __exit__(self, *exc_info):
        return self.lock.__exit__(*exc_info)

    def _is_owned(self):
        """Whether the lock is held: by the current greenlet, if the lock knows its owner (bool)."""
        is_owned = getattr(self.lock, "_is_owned", None)
        if is_owned is not None:
            return is_owned()
        if self.lock.acquire(False):
            self.lock.release()
            return False
        return True

    def _release_save(self):
        release_save = getattr(self.lock, "_release_save", None)
        return self.lock.release() if release_save is None else release_save()

    def _acquire_restore(self, state):
        acquire_restore = getattr(self.lock, "_acquire_restore", None)
        if acquire_restore is None:
            self.lock.acquire()
        else:
            acquire_restore(state)

    cdef int take_back(self, object state) except -1:
        """Take the lock again, so that wait() returns or raises with the lock held, whatever is thrown in meanwhile.

        While the hub ends, the owner of the lock is a greenlet that is being ended as well, or one of another thread,
        and will release it. After about a second of waiting for that, HubDestroyed is raised without the lock.
        """
        cdef object error = None
        cdef Scheduler ending = None
        cdef int tries = 0
        try:
            while True:
                try:
                    self._acquire_restore(state)
                    break
                except (BlockingSwitchOutError, InvalidSwitchError):
                    raise  # waiting is no longer possible here
                except HubDestroyed as thrown:
                    error = thrown
                    ending = hub_if_any()
                    if ending is None or tries >= TRIES_WHILE_ENDING or not ending.allow_waits(True):
                        raise
                    if tries > 0:
                        with nogil:
                            usleep(20_000)
                    tries += 1
                except BaseException as thrown:
                    error = thrown
        finally:
            if ending is not None:
                ending.allow_waits(False)
        if error is not None:
            raise error
        return 0

    def wait(self, timeout=None):
        """Give the lock up, wait for notify(), at most `timeout` seconds (float; None for ever), and take it again.

        Returns True, or False if the timeout passed first. Switches. Raises RuntimeError if the lock is not held.
        """
        cdef Wait wait
        if not self._is_owned():
            raise RuntimeError(f"{self!r}: the caller of wait() must hold the lock")
        wait = new_turn(self, timeout)
        line_join(&self.waiters, wait)
        try:
            state = self._release_save()
        except BaseException:
            fifo_remove(&wait.c.link)
            raise
        try:
            return await_turn(wait)
        except BaseException:
            if wait.c.granted_by != NULL:
                line_grant(&self.waiters, None)
            raise
        finally:
            self.take_back(state)

    def wait_for(self, predicate, timeout=None):
        """Wait until ``predicate()`` is true, at most `timeout` seconds in all. Returns its last result. Switches.

        Raises RuntimeError if the lock is not held.
        """
        end = None if timeout is None else monotonic() + seconds_of(timeout)
        result = predicate()
        while not result:
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def notify(self, n=1):
        """Wake the first `n` (int) greenlets in line. Does not switch. Raises RuntimeError if the lock is not held."""
        if not self._is_owned():
            raise RuntimeError(f"{self!r}: the caller of notify() must hold the lock")
        for _ in range(count_of(n, "n")):
            if not line_grant(&self.waiters, None):
                break

    def notify_all(self):
        """Wake all greenlets that wait. Does not switch. Raises RuntimeError if the lock is not held."""
        self.notify(self.waiters.length)

    notifyAll = notify_all

    def _at_fork_reinit(self):
        """Become free. The standard library's threading calls this in a forked child."""
        self.lock._at_fork_reinit()

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} of {self.lock!r}, {self.waiters.length} waiting>"


class Barrier:
    """Lets `parties` (int) greenlets or threads wait for each other, again and again; as `threading.Barrier`.

    When all have come, one of them calls ``action()`` before any goes on. `timeout` (seconds) is the default of wait().
    Raises ValueError if `parties` is less than 1.
    """

    def __init__(self, parties, action=None, timeout=None):
        if count_of(parties, "the number of parties") < 1:
            raise ValueError(f"a barrier needs at least one party, not {parties!r}")
        self._parties = parties
        self._action = action
        self._timeout = None if timeout is None else seconds_of(timeout)
        self._condition = Condition(Lock())
        self._arrived = 0
        # A new object whenever the barrier begins to fill. Its outcome will be "open", "reset" or "broken".
        self._round = {"outcome": None}

    @property
    def parties(self):
        """The number of greenlets or threads that must come (int)."""
        return self._parties

    @property
    def n_waiting(self):
        """The number of greenlets or threads that have come and wait now (int)."""
        return self._arrived

    @property
    def broken(self):
        """Whether it is broken: wait() raises until reset() (bool)."""
        return self._round["outcome"] == "broken"

    def wait(self, timeout=None):
        """Wait until all parties have come, at most `timeout` seconds (float; None: the barrier's). Switches.

        Returns a different number (int) to each; the last to come gets 0.
        Raises BrokenBarrierError if the barrier is broken, gets broken, or is reset meanwhile. It is broken by abort(),
        a timeout, an exception in a greenlet that waits, or an exception in `action`.
        """
        if timeout is None:
            timeout = self._timeout
        with self._condition:
            current = self._round
            if current["outcome"] == "broken":
                raise BrokenBarrierError(f"{self!r} is broken; reset() mends it")
            index = self._parties - self._arrived - 1
            self._arrived += 1
            try:
                if index == 0:
                    if self._action is not None:
                        self._action()
                    self._end_round("open")
                elif not self._condition.wait_for(lambda: current["outcome"] is not None, timeout):
                    self._break(current)
            except BaseException:
                self._break(current)
                raise
            if current["outcome"] != "open":
                raise BrokenBarrierError(f"{self!r} was broken or reset while it was waited for")
            return index

    def _end_round(self, outcome):
        self._round["outcome"] = outcome
        self._arrived = 0
        if outcome != "broken":
            self._round = {"outcome": None}
        self._condition.notify_all()

    def _break(self, current):
        if current["outcome"] is None:
            self._end_round("broken")

    def reset(self):
        """Begin anew. Greenlets that wait get BrokenBarrierError. Switches only to wait for the barrier's own lock."""
        with self._condition:
            if self.broken:
                self._round = {"outcome": None}
            elif self._arrived:
                self._end_round("reset")

    def abort(self):
        """Break it: greenlets that wait, or come before reset(), get BrokenBarrierError. Switches as reset() does."""
        with self._condition:
            self._break(self._round)

    def __repr__(self):
        state = "broken" if self.broken else f"{self.n_waiting} of {self.parties} waiting"
        return f"<{type(self).__name__} at {id(self):#x} {state}>"


cdef class RWLock:
    """A lock for many readers or one writer. First come, first served: readers do not overtake a writer that waits.

    Use ``with lock.reading(): ...`` and ``with lock.writing(): ...``, or acquire_read() and its like. Any greenlet may
    release the lock. It cannot be taken twice: a reader that waits to write waits for itself, for ever.

    `readers` is the number of readers now (int). `writing_now` says whether there is a writer now (bool).
    """
    cdef object __weakref__
    cdef readonly long readers    # the number of readers now
    cdef readonly bint writing_now  # whether there is a writer now
    cdef fifo_t waiters           # the waits of writers have `given` set to True

    cdef bint take(self, bint to_write, object blocking, object timeout) except -1:
        cdef Wait wait
        if timeout is not None:
            seconds_of(timeout)
        if self.take_at_once(to_write):
            return True
        if not blocking:
            return False
        wait = new_turn(self, timeout)
        wait.given = to_write
        if self.take_at_once(to_write):
            return True
        line_join(&self.waiters, wait)
        try:
            if await_turn(wait):
                return True
        except BaseException:
            if wait.c.granted_by != NULL:
                self.give(to_write)
            else:
                self.admit()
            raise
        # A writer that gives up may have held up the readers behind it.
        self.admit()
        return False

    cdef bint take_at_once(self, bint to_write) noexcept:
        if self.writing_now or self.waiters.head != NULL or (to_write and self.readers):
            return False
        if to_write:
            self.writing_now = True
        else:
            self.readers += 1
        return True

    cdef int give(self, bint to_write) except -1:
        if to_write:
            self.writing_now = False
        else:
            self.readers -= 1
        return self.admit()

    cdef int admit(self) except -1:
        """Let in the greenlets that may enter now."""
        cdef Wait wait
        while not self.writing_now:
            wait = None  # giving up this reference may run any code, which must not happen between peek and take
            wait = line_peek(&self.waiters)
            if wait is None or (wait.given and self.readers):
                break
            line_take(&self.waiters)
            if wait.given:
                self.writing_now = True
            else:
                self.readers += 1
            line_wake(wait)
        return 0

    def acquire_read(self, blocking=True, timeout=None):
        """Begin to read; wait at most `timeout` seconds (float; None for ever). Switches if it waits.

        Returns True, or False if the timeout passed first or, with ``blocking=False``, if it would have to wait.
        """
        return self.take(False, blocking, timeout)

    def release_read(self):
        """End reading. Does not switch. Raises RuntimeError if there is no reader."""
        if not self.readers:
            raise RuntimeError(f"{self!r} has no reader: release_read() without acquire_read()")
        self.give(False)

    def acquire_write(self, blocking=True, timeout=None):
        """Begin to write; wait at most `timeout` seconds (float; None for ever). Switches if it waits.

        Returns True, or False if the timeout passed first or, with ``blocking=False``, if it would have to wait.
        """
        return self.take(True, blocking, timeout)

    def release_write(self):
        """End writing. Does not switch. Raises RuntimeError if there is no writer."""
        if not self.writing_now:
            raise RuntimeError(f"{self!r} has no writer: release_write() without acquire_write()")
        self.give(True)

    def reading(self):
        """A context manager that holds the lock for reading. Entering it waits as acquire_read() does."""
        return Holding(self.acquire_read, self.release_read)

    def writing(self):
        """A context manager that holds the lock for writing. Entering it waits as acquire_write() does."""
        return Holding(self.acquire_write, self.release_write)

    def __repr__(self):
        state = "being written" if self.writing_now else f"{self.readers} reading"
        return f"<{type(self).__name__} at {id(self):#x} {state}, {self.waiters.length} waiting>"


class Holding:
    """The context manager of `RWLock.reading()` and `writing()`."""

    __slots__ = ("enter", "leave")

    def __init__(self, enter, leave):
        self.enter = enter
        self.leave = leave

    def __enter__(self):
        self.enter()

    def __exit__(self, *exc_info):
        self.leave()
