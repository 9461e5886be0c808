"""Replaces locks that were made before patching, so that waiting for them lets greenlets run too.

A native lock stops the whole thread if one greenlet holds it while it waits, and another wants it. A lock that is free
is replaced by one for greenlets: in the globals of modules, in instances, in threading's conditions. All references to
the lock have to be known. If any other object refers to it, it stays: two locks for one thing would be worse.
"""

from __future__ import annotations

import gc
import threading
from functools import wraps
from types import BuiltinMethodType, FrameType, ModuleType

from hub import native
from hub.scheduler import be_fair

from greenio.thread import RLock, allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["replace_existing"]

_LOCK: Any = type(native.allocate_lock())
_RLOCK: Any = native.RLock
_CONDITION_METHODS = ("acquire", "release", "_release_save", "_acquire_restore", "_is_owned")


# type() is used on objects that refer to locks, never isinstance() or getattr(): these would evaluate lazy objects,
# such as Django's.


def replace_existing() -> list[str]:
    """Replace every native lock that can be replaced. Returns the names of those that are held (list of str)."""
    kinds = {_LOCK, _RLOCK, *_with_subclasses(threading.Condition)}
    locks: dict[int, Any] = {}  # id of a lock -> the lock
    conditions: dict[int, list[Any]] = {}  # id of a lock -> the conditions on it
    for each in [each for each in gc.get_objects() if type(each) in kinds]:
        if type(each) in (_LOCK, _RLOCK):
            locks[id(each)] = each
        else:
            lock = vars(each).get("_lock")
            if type(lock) in (_LOCK, _RLOCK):
                conditions.setdefault(id(lock), []).append(each)
    holders, unknown = _holders_of(locks, conditions)
    held = []
    for key, lock in locks.items():
        if not _is_free(lock):
            # A thread holds its `_tstate_lock` for as long as it runs, up to CPython 3.12.
            known = (_describe(each) for each in holders.get(key, ()) if each[1] != "_tstate_lock")
            held += [f"{where}.{name}" for where, name in known if where]
        elif key not in unknown and holders.get(key) and not any(each._waiters for each in conditions.get(key, ())):
            _replace(lock, holders[key], conditions.get(key, ()))
    return held


def _with_subclasses(kind):
    return {kind}.union(*map(_with_subclasses, kind.__subclasses__()))


def _is_free(lock):
    if type(lock) is _RLOCK:
        if lock._is_owned() or not lock.acquire(False):
            return False
        lock.release()
        return True
    return not lock.locked()


def _holders_of(locks, conditions):
    """The references to each lock, as (holder, name), and the locks with other references.

    A holder is an object with attributes, or a dict. Both results have locks by their ids.
    """
    # A condition has bound methods of its lock, which are replaced with it. Any other bound method keeps its lock.
    bound = {id(value) for found in conditions.values() for each in found for value in vars(each).values()}
    holders: dict[int, list[tuple[Any, str]]] = {}
    unknown = set()
    asked = tuple(locks.values())
    for referrer in gc.get_referrers(*asked):
        # From CPython 3.13 on, the arguments of this call are among the referrers.
        kind = type(referrer)
        if referrer is locks or kind is FrameType or (kind is tuple and referrer == asked):
            continue
        if kind is dict:
            for name, value in referrer.items():
                if id(value) in locks:
                    holders.setdefault(id(value), []).append((referrer, name))
        elif kind is BuiltinMethodType:
            if id(referrer) not in bound:
                unknown.add(id(referrer.__self__))
        else:
            names = _attributes_with(referrer, locks)
            for name, key in names:
                holders.setdefault(key, []).append((referrer, name))
            if not names:
                unknown.update(id(each) for each in gc.get_referents(referrer) if id(each) in locks)
    return holders, unknown


def _attributes_with(instance, locks):
    found = []
    for name, value in () if issubclass(type(instance), type) else _attribute(instance, "__dict__", {}).items():
        if id(value) in locks:
            found.append((name, id(value)))
    for kind in type(instance).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            value = _attribute(instance, name)
            if id(value) in locks:
                found.append((name, id(value)))
    return found


def _attribute(instance, name, default=None):
    try:
        return object.__getattribute__(instance, name)
    except AttributeError:
        return default


def _counterpart(lock):
    return RLock() if type(lock) is _RLOCK else allocate_lock()


def _replace(lock, holders, conditions):
    new = _counterpart(lock)
    for condition in conditions:
        waiters = condition._waiters
        for name in _CONDITION_METHODS:
            vars(condition).pop(name, None)
        threading.Condition.__init__(condition, new)
        condition._waiters = waiters
    for holder, name in holders:
        if type(holder) is dict:
            if holder.get(name) is lock:
                holder[name] = new
        elif _attribute(holder, name) is lock:
            object.__setattr__(holder, name, new)


def _describe(holder):
    where, name = holder
    if type(where) is dict:
        return where.get("__name__"), name
    return (where.__name__ if isinstance(where, ModuleType) else repr(where)), name


def renew_logging(logging: Any) -> None:
    """Give logging, and the handlers that exist already, locks for greenlets."""
    logging._lock = _renewed(logging._lock)
    for reference in list(logging._handlerList):
        handler = reference()
        if handler is not None and handler.lock is not None:
            handler.lock = _renewed(handler.lock)


def renew_executors(module: Any) -> None:
    """Give concurrent.futures.thread a lock for greenlets: it is held while a thread starts, and in hooks of fork().

    Also let others run now and then beside a worker that never has to wait for its next call.
    """
    module._global_shutdown_lock = _renewed(module._global_shutdown_lock)
    run_item = module._WorkItem.run

    @wraps(run_item)
    def run(*args):
        run_item(*args)
        be_fair()  # after the call: an exception that comes now does not lose the result

    module._WorkItem.run = run


def _renewed(lock):
    if type(lock) not in (_LOCK, _RLOCK) or not _is_free(lock):
        return lock
    return _counterpart(lock)
