"""Calling a function many times over: apply, map and imap in all their forms, for groups, pools and thread pools."""

from __future__ import annotations

from greenlet import getcurrent
from hub.arguments import count_of
from hub.generic import Generic, T

from greenio._sync.semaphore import Semaphore
from greenio.greenlet import Greenlet
from greenio.queue import SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Mapping as _Mapping
    from typing import Any, TypeVar

    from typing_extensions import Self

    from greenio.event import AsyncResult

    S = TypeVar("S")

__all__ = ["IMap", "IMapUnordered", "Mapping", "checked_call"]


class Mapping:
    """A base class with the mapping methods. Its subclasses have ``spawn(function, *args, **kwargs)``.

    The result of spawn() has `get`, `rawlink`, `successful`, `value` and `exception`, as greenlets and results have.
    """

    def apply(
        self, func: Callable[..., T], args: Iterable[Any] | None = None, kwds: _Mapping[str, Any] | None = None
    ) -> T:
        """Call ``func(*args, **kwds)`` in the pool and wait for it. Switches.

        Returns the function's result, or raises its exception. A member of a full pool calls the function itself:
        if all members waited for a place, none would become free.
        """
        args, kwds = checked_call(func, args, kwds, "apply")
        if self._is_member() and not self._may_wait():
            return func(*args, **kwds)
        return self.spawn(func, *args, **kwds).get()

    def apply_cb(
        self,
        func: Callable[..., T],
        args: Iterable[Any] | None = None,
        kwds: _Mapping[str, Any] | None = None,
        callback: Callable[[T], object] | None = None,
    ) -> T:
        """As apply(), and ``callback(result)`` is called before it returns, in the current greenlet."""
        result = self.apply(func, args, kwds)
        if callback is not None:
            callback(result)
        return result

    def apply_async(
        self,
        func: Callable[..., T],
        args: Iterable[Any] | None = None,
        kwds: _Mapping[str, Any] | None = None,
        callback: Callable[[T], object] | None = None,
    ) -> Greenlet | AsyncResult:
        """Call ``func(*args, **kwds)`` in the pool. Returns its greenlet or result at once. Never waits.

        If it succeeds, ``callback(result)`` is called in a greenlet of its own.
        """
        args, kwds = checked_call(func, args, kwds, "apply_async")
        if self.full():
            return Greenlet.spawn(self.apply_cb, func, args, kwds, callback)
        job = self.spawn(func, *args, **kwds)
        if callback is not None:
            job.rawlink(_CallbackLink(callback))
        return job

    def map(self, func: Callable[[S], T], iterable: Iterable[S]) -> list[T]:
        """Call ``func(item)`` in the pool for each item. Returns the list of results, in order. Switches.

        If calls fail, the error of the first in order is raised; the others go on.
        """
        return [job.get() for job in [self.spawn(func, item) for item in iterable]]

    def map_cb(
        self, func: Callable[[S], T], iterable: Iterable[S], callback: Callable[[list[T]], object] | None = None
    ) -> list[T]:
        """As map(), and ``callback(results)`` is called before it returns, in the current greenlet."""
        results = self.map(func, iterable)
        if callback is not None:
            callback(results)
        return results

    def map_async(
        self, func: Callable[[S], T], iterable: Iterable[S], callback: Callable[[list[T]], object] | None = None
    ) -> Greenlet:
        """As map_cb(), in a greenlet of its own, which is returned at once. Does not switch."""
        return Greenlet.spawn(self.map_cb, func, iterable, callback)

    def imap(self, func: Callable[..., T], *iterables: Iterable[Any], maxsize: int | None = None) -> IMap[T]:
        """Iterate over the results of ``func(*items)``, called in the pool, in the order of the items.

        The iterables are read as places become free. The error of a call is raised in the place of its result.
        `maxsize` (int; None for any number): how many results may be unread; no more calls begin until some are read.
        The iterator is a greenlet: kill it to stop early. Iterating switches.
        """
        return IMap.spawn(self.spawn, func, zip(*iterables, strict=False), maxsize)

    def imap_unordered(
        self, func: Callable[..., T], *iterables: Iterable[Any], maxsize: int | None = None
    ) -> IMapUnordered[T]:
        """As imap(), but in the order in which the calls finish."""
        return IMapUnordered.spawn(self.spawn, func, zip(*iterables, strict=False), maxsize)

    def full(self) -> bool:
        """Whether there is no room for another call (bool)."""
        return False

    if TYPE_CHECKING:

        def spawn(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any: ...
        def __contains__(self, item: object) -> bool: ...

    def _is_member(self):
        return getcurrent() in self

    def _may_wait(self):
        return True


def checked_call(
    func: Callable[..., Any], args: Iterable[Any] | None, kwds: _Mapping[str, Any] | None, name: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call of apply() and its like: a tuple and a dict.

    `name`: the method's name, for errors. Raises TypeError if `func` cannot be called, or not with these.
    """
    if not callable(func):
        raise TypeError(f"{name}() must be given a callable, not {func!r}")
    try:
        args = () if args is None else tuple(args)
    except TypeError:
        raise TypeError(
            f"{name}() takes the arguments of the call as one, a tuple, as in {name}(f, (x, y)), and not {args!r}; "
            "spawn(f, x, y) takes them one by one"
        ) from None
    try:
        kwds = {} if kwds is None else dict(kwds)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}() takes the keyword arguments of the call as a dict, as in {name}(f, (x, y), {{'key': z}}), "
            f"and not {kwds!r}"
        ) from None
    return args, kwds


class _CallbackLink:
    """A link that hands a successful result to a function, in a greenlet of its own."""

    __slots__ = ("callback",)

    def __init__(self, callback):
        self.callback = callback

    def __call__(self, source):
        if source.successful():
            Greenlet.spawn(self.callback, source.value)


class IMapUnordered(Greenlet, Generic[T]):
    """The result of imap_unordered(): an iterator, and the greenlet that begins the calls."""

    def __init__(
        self,
        spawn: Callable[..., Any],
        func: Callable[..., T],
        arguments: Iterable[Iterable[Any]],
        maxsize: int | None = None,
    ) -> None:
        super().__init__()
        if maxsize is not None and count_of(maxsize, "maxsize") < 1:
            raise ValueError(f"maxsize must be at least 1, and is {maxsize!r}")
        self._spawn = spawn
        self._func = func
        self._arguments = arguments
        self._room = None if maxsize is None else Semaphore(maxsize)
        self._results: SimpleQueue[Any] = SimpleQueue()
        self._under_way = 0
        self._all_begun = False
        self._ended = False

    def _run(self):
        index = 0
        try:
            for arguments in self._arguments:
                if self._room is not None:
                    self._room.acquire()
                job = self._spawn(self._func, *arguments)
                self._under_way += 1
                job.rawlink(_ResultLink(self, index))
                index += 1
        except Exception as error:
            # The iterable failed, or the pool takes no more calls. The error is raised in the place of the next result.
            self._put(index, None, error)
        finally:
            self._all_begun = True
            self._end_if_done()

    def _deliver(self, index, source):
        """Take the result of a call that has finished. Called on the hub."""
        self._under_way -= 1
        self._put(index, source.value, None if source.successful() else source.exception)
        self._end_if_done()

    def _put(self, index, value, error):
        self._results.put((value, error))

    def _end_if_done(self):
        if self._all_begun and not self._under_way:
            self._results.put(None)

    def _next_result(self):
        return self._results.get()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """The next result. Switches if it is not there yet."""
        result = None if self._ended else self._next_result()
        if result is None:
            self._ended = True
            raise StopIteration
        if self._room is not None:
            self._room.release()
        value, error = result
        if error is not None:
            raise error
        return value

    next = __next__


class IMap(IMapUnordered[T]):
    """The result of imap(): as IMapUnordered, in order."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._next_index = 0
        self._early: dict[int, Any] = {}

    def _put(self, index, value, error):
        self._results.put((index, value, error))

    def _next_result(self):
        while self._next_index not in self._early:
            result = self._results.get()
            if result is None:
                return None
            index, value, error = result
            self._early[index] = value, error
        self._next_index += 1
        return self._early.pop(self._next_index - 1)


class _ResultLink:
    """The link to one call, which brings its result to the IMap."""

    __slots__ = ("imap", "index")

    def __init__(self, imap, index):
        self.imap = imap
        self.index = index

    def __call__(self, source):
        self.imap._deliver(self.index, source)
