"""c-ares, through the package pycares: lookups without threads. The hub's loop watches its sockets and times.

It differs from the system's resolver: it reads /etc/hosts and /etc/resolv.conf and nothing else. It does not use the
services of nsswitch.conf (mDNS, LDAP, containers), and ignores NI_NOFQDN. c-ares keeps answers for as long as their
name servers allow.

The channel is made at the first lookup. c-ares does all of its work in the thread of the hub.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
from _socket import AF_INET, AF_INET6, AF_UNSPEC, EAI_AGAIN, EAI_NODATA, EAI_NONAME
from functools import partial
from ipaddress import ip_address

from hub.current import count_idle_thread, get_hub_if_exists
from hub.errors import InvalidThreadUseError
from hub.native import start_new_thread

from greenio.event import AsyncResult
from greenio.lock import Lock
from greenio.resolver.hosts import Found
from greenio.resolver.names import NamesResolver, merged, name_servers, seconds_for_one_try

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hub.hub import Hub
    from hub.watchers import io, timer

try:
    import pycares
    from pycares import errno as ares_errno
except ImportError as error:
    raise ImportError("the resolver 'ares' needs the package pycares: pip install 'greenio[ares]'") from error

__all__ = ["Resolver"]

_READ, _WRITE = 1, 2

# Errors of c-ares -> the numbers by which getaddrinfo() reports them. All others are EAI_AGAIN.
_NUMBERS = {
    ares_errno.ARES_ENOTFOUND: EAI_NONAME,
    ares_errno.ARES_EBADNAME: EAI_NONAME,
    ares_errno.ARES_ENODATA: EAI_NODATA,
    ares_errno.ARES_ENOMEM: EAI_NONAME,  # c-ares reports this for a character that no name may have
}

_KINDS = {
    AF_INET: [pycares.QUERY_TYPE_A],
    AF_INET6: [pycares.QUERY_TYPE_AAAA],
    AF_UNSPEC: [pycares.QUERY_TYPE_A, pycares.QUERY_TYPE_AAAA],
}


class Resolver(NamesResolver):
    """Asks name servers with c-ares. The module's heading lists the differences from the system's resolver.

    Raises ImportError if pycares is not installed.
    """

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._channel: Any = None
        self._making = Lock()  # held while a channel is made, which may wait for pycares' thread to begin
        self._asked = 0  # the number of questions under way
        self._watchers: dict[int, io] = {}  # by descriptor
        self._timer: timer | None = None

    def close(self) -> None:
        """End all lookups: greenlets that wait for one get gaierror(EAI_AGAIN). Does not switch."""
        super().close()
        channel, self._channel = self._channel, None
        if channel is not None:
            # pycares closes a channel in a thread of its own: nothing of this thread may be left in it.
            channel.cancel()
            channel.close()
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def after_fork_in_child(self) -> None:
        """In a forked child: give up the parent's channel. The next lookup makes a new one (internal)."""
        super().after_fork_in_child()
        channel, self._channel = self._channel, None
        self._making = Lock()
        self._timer = None
        self._watchers = {}
        self._asked = 0
        if channel is not None and get_hub_if_exists() is self._hub:
            channel.cancel()  # closes this process' copies of its sockets

    # --- questions ---

    def _ask_addresses(self, name, family):
        kinds = _KINDS[family]
        outcomes = []
        result = AsyncResult()

        def ended(found, number):
            outcomes.append((found, number))
            if len(outcomes) == len(kinds):
                result.set(merged(outcomes))

        for kind in kinds:
            self._ask("search", name, kind, partial(_found, os.fsdecode(name)), ended)
        return result

    def _ask_names(self, address):
        result = AsyncResult()
        name = ip_address(address).reverse_pointer
        self._ask("query", name, pycares.QUERY_TYPE_PTR, _names, lambda *outcome: result.set(outcome))
        return result

    def _ask(self, how, name, kind, understood, ended):
        """Ask for the records of a name. Calls ``ended(understood(records), None)``, or ``ended(None, number)``."""
        if get_hub_if_exists() is not self._hub:
            raise InvalidThreadUseError(f"{self!r} belongs to another thread: use get_hub().resolver of this one")
        channel = self._ready_channel()
        asked_in = self._watchers  # another dict after a fork
        waiting = [True]

        def answered(answer, error):
            if self._watchers is not asked_in or not waiting:
                return
            waiting.clear()
            self._asked -= 1
            found = None
            try:
                if error is None:
                    found = understood(answer.answer, kind)
            except Exception as failure:
                self._hub.report(self, failure)  # c-ares would swallow it
            if found is not None:
                ended(found, None)
            else:
                ended(None, EAI_NODATA if error is None else _NUMBERS.get(error, EAI_AGAIN))

        self._asked += 1  # before the call: the answer may be there at once
        try:
            getattr(channel, how)(name, kind, callback=answered)
        except pycares.AresError:
            answered(None, ares_errno.ARES_EBADNAME)  # the name cannot be asked for
        self._set_timer()

    def _ready_channel(self):
        if self._channel is None:
            with self._making:
                if self._channel is None:
                    servers = name_servers()
                    if servers is not None:
                        servers = [_server(address, port) for address, port in servers]
                    self._channel = make_channel(
                        servers=servers, timeout=seconds_for_one_try(), sock_state_cb=self._socket_changed
                    )
        return self._channel

    def _abandon_all(self):
        # c-ares cannot forget one question, only all of them.
        if self._asked and self._channel is not None:
            self._channel.cancel()
            self._set_timer()

    # --- sockets and times ---

    def _socket_changed(self, fd, readable, writable):
        """Called by c-ares when it begins or stops waiting for one of its sockets, and before it closes one."""
        if get_hub_if_exists() is not self._hub:
            return  # pycares' own thread: close() has ended everything already
        try:
            watcher = self._watchers.pop(fd, None)
            if watcher is not None:
                watcher.close()
            if readable or writable:
                watcher = self._hub.loop.io(fd, _READ * readable | _WRITE * writable)
                self._watchers[fd] = watcher
                watcher.start(self._socket_ready, fd, bool(readable), bool(writable))
        except Exception as failure:
            self._hub.report(self, failure)  # c-ares would swallow it

    def _socket_ready(self, fd, readable, writable):
        none = pycares.ARES_SOCKET_BAD
        self._process(fd if readable else none, fd if writable else none)

    def _process(self, readable, writable):
        if self._channel is not None:
            self._channel.process_fd(readable, writable)
            self._set_timer()

    def _set_timer(self):
        """Set the timer for when c-ares wants to ask again, or gives up."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        if self._asked:
            self._timer = self._hub.loop.timer(self._channel.timeout())
            self._timer.start(self._process, pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)


def make_channel(**options: Any) -> pycares.Channel:
    """A pycares.Channel (internal).

    With its first channel, pycares starts a thread that will close channels, and that never ends. That thread wakes no
    greenlet, so the hub must not wait for it before a LoopExit. Nor must it take a signal that a greenlet waits for in
    sigwait(). In a patched program whose adapter for pycares is switched off, the thread is a greenlet, and neither can
    happen.
    """
    its_threads = pycares.threading  # type: ignore[attr-defined]  # the module that it has imported
    native = _thread.start_new_thread is start_new_thread or its_threads is not threading
    if _closers or not native:
        return pycares.Channel(**options)
    before = set(threading.enumerate())
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # a thread begins with its maker's mask
    try:
        channel = pycares.Channel(**options)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _closers.append(True)
    if set(threading.enumerate()) - before:
        count_idle_thread(1)
    return channel


_closers: list[bool] = []  # not empty once pycares' thread has been started


def _server(address, port):
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _text(name):
    return name if isinstance(name, str) else name.decode("ascii", "surrogateescape")


def _found(name, records, kind):
    """The addresses of a name (str) in the records of an answer, as a Found; None if there are none."""
    addresses = [_text(record.data.addr) for record in records if record.type == kind]
    if not addresses:
        return None
    aliases = [_text(record.name) for record in records if record.type == pycares.QUERY_TYPE_CNAME]
    canonical = next(_text(record.name) for record in records if record.type == kind)
    if canonical.lower() == name.lower():
        canonical = name  # as it was asked for
    return Found(canonical, aliases, addresses)


def _names(records, kind):
    """The names that the records of an answer give to an address (list of str), or None."""
    return [_text(record.data.dname) for record in records if record.type == kind] or None
