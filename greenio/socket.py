"""Cooperative sockets: the standard library's `socket` module, whose calls let other greenlets run while they wait.

`socket` here is a subclass of the standard one. Its descriptor is blocking, or not, as the standard library makes it.
The timeout is kept beside the descriptor. Functions and methods that never wait are inherited, or offered as they are.

A system call that may have to wait is kept from waiting: by MSG_DONTWAIT among its flags or, if it takes no flags, by
`_at_once()`. When such a call fails because it would have to wait, the greenlet waits.

Functions that wait say that they switch; the others do not switch.
"""

import errno
import os
import socket as _standard
from _socket import socket as _basic
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from socket import *  # noqa: F403  (this module offers everything that the standard one does)
from socket import (  # noqa: F401  (and names that the star leaves out)
    EAGAIN,
    EBADF,
    EWOULDBLOCK,
    AddressInfo,
    MsgFlag,
    SocketIO,
)
from types import FunctionType

from hub import get_hub
from hub.closing import check_program_owns, closing_descriptor
from hub.native import original

from greenio._descriptors import accepting as _accepting
from greenio._descriptors import buffered as io  # noqa: F401  (for makefile)
from greenio._descriptors import connecting as _connecting
from greenio._descriptors import datagram as _datagram
from greenio._descriptors import endpoint as _endpoint
from greenio._descriptors import transfer as _transfer
from greenio._descriptors import whole as _whole
from greenio._descriptors.pauses import pauses_for_room
from greenio._descriptors.readiness import cancel_wait, wait_read, wait_readwrite, wait_write  # noqa: F401  (offered here too)
from greenio.resolver.numeric import may_be_numeric

_READ, _WRITE = 1, 2
_INT = 1 << 31
_MSG_ERRQUEUE = 0x2000  # the standard module has no name for it before CPython 3.14
_SENDFILE_BLOCK = 1 << 30
_sendfile = original("os", "sendfile")
# Timeouts in seconds that are right for sure, without the standard library's check and its system calls.
_SIMPLE_TIMEOUT_LEAST, _SIMPLE_TIMEOUT_MOST = 0.001, 1_000_000

__all__ = sorted(
    {*_standard.__all__, "cancel_wait", "socket", "wait_read", "wait_readwrite", "wait_write"}
    | {name for name in ("error", "gaierror", "herror", "timeout") if hasattr(_standard, name)}
)


class socket(_standard.socket):
    """A socket whose methods let other greenlets run while they wait. Arguments as in the standard library.

    Timeouts are as there: None waits for ever, 0 never waits. Several greenlets may wait on one socket, in either
    direction. Closing the socket wakes them with ``OSError(EBADF)``. Methods that wait say that they switch; the others
    do not switch.
    """

    __slots__ = ["_endpoint"]

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        super().__init__(family, type, proto, fileno)
        self._adopt()
        if fileno is not None:
            self._endpoint.limits_unknown = True

    def _adopt(self):
        """Make the Endpoint of the descriptor, which keeps the timeout."""
        timeout = super().gettimeout()
        kind, family = _basic.type.__get__(self), _basic.family.__get__(self)
        self._endpoint = _endpoint.Endpoint(self.fileno(), timeout, kind, type(self).__name__, family)
        if timeout is not None:
            self._set_flag()

    def _set_flag(self):
        """Make the descriptor non-blocking if there is a timeout. The standard methods need not know which timeout."""
        _basic.setblocking(self, self._endpoint.timeout is None)
        self._endpoint.flagged = False

    def _at_once(self, function, *args):
        """Call ``function(*args)`` with a non-blocking descriptor, so that it does not wait."""
        endpoint = self._endpoint
        if endpoint.flagged or endpoint.timeout is not None:
            return function(*args)
        if self.fileno() < 0:
            return function(*args)  # raises that error
        endpoint.trying += 1
        try:
            _basic.setblocking(self, False)
            return function(*args)
        finally:
            endpoint.trying -= 1
            if not endpoint.trying and not endpoint.flagged and endpoint.timeout is None:
                with suppress(OSError):  # closed meanwhile
                    _basic.setblocking(self, True)

    __del__ = _endpoint.finalize

    # The methods that are called most are compiled.
    recv = _transfer.recv
    recv_into = _transfer.recv_into
    send = _transfer.send
    sendall = _transfer.sendall
    recvfrom = _datagram.recvfrom
    sendto = _datagram.sendto

    def accept(self):
        """Wait for a connection; return ``(socket, address)``. Switches."""
        fd, address = _accepting.accept_descriptor(self)
        sock = socket(self.family, self.type, self.proto, fileno=fd)
        sock._endpoint.inherit_limits(self._endpoint)
        return sock, address

    def bind(self, address):
        """As in the standard library. Switches if a host's name is looked up."""
        return super().bind(self._resolved(address))

    def connect(self, address):
        """Connect to an address. Switches while the connection is being made, and while the host's name is looked up.

        Raises the standard library's errors. A greenlet that is killed meanwhile leaves the socket as it is:
        connecting, or not connected.
        """
        address = self._resolved(address)
        try:
            return self._at_once(_basic.connect, self, address)
        except BlockingIOError as unfinished:
            if self._endpoint.timeout == 0:
                raise
            error = unfinished.errno
        error = self._finish_connecting(address, error)
        if error:
            raise OSError(error, os.strerror(error))

    def connect_ex(self, address):
        """As connect(), but returns 0, or an error number (int) where connect() raises OSError. Switches."""
        address = self._resolved(address)
        error = self._at_once(_basic.connect_ex, self, address)
        if self._endpoint.timeout == 0:
            return error
        try:
            return self._finish_connecting(address, error)
        except TimeoutError:
            return errno.EAGAIN
        except OSError as failure:  # closed meanwhile
            return failure.errno

    def _finish_connecting(self, address, error):
        """Wait until a connection is made. `error` is connect()'s error number; returns 0 or another error number."""
        if error == errno.EAGAIN and self.family == _standard.AF_UNIX:
            error = self._connect_to_busy(address)
        elif error in (errno.EINPROGRESS, errno.EALREADY):
            while True:
                try:
                    self._endpoint.wait_for(_WRITE)
                except BlockingIOError:  # SO_SNDTIMEO
                    return errno.EINPROGRESS
                if self._endpoint.timeout is not None:
                    return self.getsockopt(_standard.SOL_SOCKET, _standard.SO_ERROR)
                # To the system, connecting is over only when a second call has fetched the result, as a blocking one
                # does itself.
                error = self._at_once(_basic.connect_ex, self, address)
                if error != errno.EALREADY:
                    return 0 if error == errno.EISCONN else error
        return error

    def _connect_to_busy(self, address):
        """Try again until the listener's queue has room, which the system does not report."""
        pauses = pauses_for_room(self._endpoint.timeout)
        while pauses.pause():
            error = self._at_once(_basic.connect_ex, self, address)
            if error != errno.EAGAIN:
                return error
        raise TimeoutError("timed out")

    def _resolved(self, address):
        """The address with a numeric host, so that no system call looks a name up and blocks meanwhile."""
        if self.family not in (_standard.AF_INET, _standard.AF_INET6) or not isinstance(address, tuple):
            return address
        if len(address) < 2 or not isinstance(address[0], str) or not isinstance(address[1], int):
            return address  # the standard library takes or refuses it, bytes included
        host = address[0]
        if host in ("", "<broadcast>") or "\0" in host or may_be_numeric(host):
            return address
        try:
            found = get_hub().resolver.getaddrinfo(host, None, self.family, self.type, self.proto)
        except UnicodeError:
            return address  # not a name
        return (found[0][4][0], *address[1:])

    def _retry(self, events, function, args, flags_at, missing=()):
        """Call ``function(*args)`` until it does not have to wait.

        `flags_at`: the index of the flags in `args`. `missing`: defaults for the arguments before them.
        """
        if not args:
            return function()  # says what is wrong
        if len(args) <= flags_at:
            args = (*args, *missing[len(args) :], 0)
        flags = args[flags_at]
        if not isinstance(flags, int) or not -_INT <= flags < _INT:
            return function(*args)
        args = (*args[:flags_at], flags | _standard.MSG_DONTWAIT, *args[flags_at + 1 :])
        if self._endpoint.timeout is None and flags & (_standard.MSG_DONTWAIT | _MSG_ERRQUEUE):
            return function(*args)
        return self._endpoint.retry(events, function, *args)

    def _waits_for_all(self, args, flags_at):
        flags = args[flags_at] if len(args) > flags_at else 0
        return isinstance(flags, int) and -_INT <= flags < _INT and self._endpoint.waits_for_all(flags)

    def _recvfrom(self, *args):
        """recvfrom() where the compiled one does not know the kind of address, or an argument is wrong."""
        if self._waits_for_all(args, 1) and isinstance(args[0], int) and args[0] > 0:
            return _whole.recvfrom(self._endpoint, self._recvfrom_into, *args)
        return self._retry(_READ, super().recvfrom, args, 1)

    def _recvfrom_into(self, *args):
        return self._retry(_READ, super().recvfrom_into, args, 2, (None, 0))

    def recvfrom_into(self, *args, **kwargs):
        """As in the standard library. Switches while there is nothing to receive."""
        if kwargs:
            try:
                args = _recvfrom_into(*args, **kwargs)
            except TypeError:
                return super().recvfrom_into(*args, **kwargs)  # says what is wrong
        if self._waits_for_all(args, 2) and isinstance(args[1], int):
            return _whole.recvfrom_into(self._endpoint, self._recvfrom_into, *args)
        return self._recvfrom_into(*args)

    def recvmsg(self, *args):
        """As in the standard library. Switches while there is nothing to receive."""
        if self._waits_for_all(args, 2) and isinstance(args[0], int) and args[0] > 0:
            return _whole.recvmsg(self._endpoint, self._recvmsg_into, *args)
        return self._retry(_READ, super().recvmsg, args, 2, (None, 0))

    def _recvmsg_into(self, *args):
        return self._retry(_READ, super().recvmsg_into, args, 2, (None, 0))

    def recvmsg_into(self, *args):
        """As in the standard library. Switches while there is nothing to receive."""
        args = _repeatable(args)
        if self._waits_for_all(args, 2):
            return _whole.recvmsg_into(self._endpoint, self._recvmsg_into, *args)
        return self._recvmsg_into(*args)

    def _sendto(self, *args):
        """sendto() where the address is not plain and numeric. It also switches while the host's name is looked up."""
        if len(args) > 1:
            args = (*args[:-1], self._resolved(args[-1]))
        if len(args) == 2:
            args = (args[0], 0, args[1])
        if len(args) != 3:
            return super().sendto(*args)  # says what is wrong
        return self._retry(_WRITE, super().sendto, args, 1)

    def sendmsg(self, *args):
        """As in the standard library. Switches while nothing can be sent, or the host's name is looked up."""
        if len(args) > 3:
            args = (*args[:3], self._resolved(args[3]), *args[4:])
        args = _repeatable(args)
        if len(args) > 1:
            _make_sent_listeners_blocking(args[1])
        return self._retry(_WRITE, super().sendmsg, args, 2, (None, ()))

    if hasattr(_basic, "sendmsg_afalg"):

        def sendmsg_afalg(self, *args, flags=0, **kwargs):
            """As in the standard library. Switches while nothing can be sent."""
            if isinstance(flags, int):
                flags |= _standard.MSG_DONTWAIT
            function = partial(super().sendmsg_afalg, flags=flags, **kwargs)
            return self._endpoint.retry(_WRITE, function, *_repeatable(args))

    # The standard method, with the buffered files of greenio._descriptors.buffered. Their methods switch.
    makefile = FunctionType(
        _standard.socket.makefile.__code__, globals(), "makefile", _standard.socket.makefile.__defaults__
    )
    makefile.__kwdefaults__ = _standard.socket.makefile.__kwdefaults__
    makefile.__doc__ = _standard.socket.makefile.__doc__

    def sendfile(self, file, offset=0, count=None):
        """As in the standard library: send a file, and return the number of bytes sent (int). Switches."""
        self._check_sendfile_params(file, offset, count)
        if self._endpoint.timeout == 0:
            raise ValueError("non-blocking sockets are not supported")
        try:
            descriptor = file.fileno()
            size = os.fstat(descriptor).st_size
        except (AttributeError, OSError):  # io.UnsupportedOperation is one
            return self._sendfile_use_send(file, offset, count)
        if not size:
            return 0
        sent = 0
        deadline = self._endpoint.deadline()
        try:
            while count is None or sent < count:
                self._endpoint.fair()
                block = _SENDFILE_BLOCK if count is None else min(count - sent, _SENDFILE_BLOCK)
                try:
                    now = self._at_once(_sendfile, self.fileno(), descriptor, offset + sent, block)
                except BlockingIOError:
                    self._endpoint.wait_until(_WRITE, deadline)
                    continue
                except OSError:
                    if sent:
                        raise
                    return self._sendfile_use_send(file, offset, count)  # the system cannot send such a file
                if now == 0:
                    break
                sent += now
        finally:
            if sent and hasattr(file, "seek"):
                file.seek(offset + sent)
        return sent

    # --- timeouts ---

    def settimeout(self, value):
        """Set how many seconds a call may take (float). None: for ever. 0: raise BlockingIOError instead of waiting."""
        if (
            type(value) in (float, int)
            and _SIMPLE_TIMEOUT_LEAST <= value <= _SIMPLE_TIMEOUT_MOST
            and self.fileno() >= 0
        ):
            had_none, self._endpoint.timeout = self._endpoint.timeout is None, float(value)
            if had_none:
                self._set_flag()
        else:
            self._set_as_standard(super().settimeout, value)

    def _set_as_standard(self, setter, value):
        """Let the standard library's method take or refuse a value, and keep the timeout that results."""
        setter(value)
        self._endpoint.timeout = super().gettimeout()
        self._set_flag()

    def gettimeout(self):
        """The timeout in seconds (float), or None."""
        return self._endpoint.timeout

    timeout = property(gettimeout)

    def setblocking(self, flag):
        """True is settimeout(None), False is settimeout(0)."""
        self._set_as_standard(super().setblocking, flag)

    def getblocking(self):
        """Whether calls wait: whether the timeout is not 0 (bool)."""
        return self._endpoint.timeout != 0

    # --- options ---

    def setsockopt(self, *args):
        """As in the standard library. SO_RCVTIMEO and SO_SNDTIMEO hold for a socket that has no timeout."""
        super().setsockopt(*args)
        if args[0] == _standard.SOL_SOCKET:
            self._endpoint.limits_unknown = True

    # --- the end ---

    def _real_close(self):
        self._endpoint.forget()
        super()._real_close()

    def detach(self):
        """Give the descriptor up without closing it, and return it (int).

        Greenlets in a call of this socket get OSError(EBADF). The descriptor is blocking if the socket had no timeout,
        as in the standard library.
        """
        self._endpoint.leave_open()
        descriptor = super().detach()
        if descriptor >= 0 and self._endpoint.flagged:
            with suppress(OSError):  # closed behind our back
                os.set_blocking(descriptor, True)
        return descriptor


def _recvfrom_into(buffer, nbytes=0, flags=0):
    """The arguments of recvfrom_into() in their order."""
    return buffer, nbytes, flags


SocketType = socket
_endpoint.keep_endpoints_in(socket)


def _make_sent_listeners_blocking(data):
    """Make listeners blocking again if a message carries descriptors: another program may get them."""
    for each in data if isinstance(data, (list, tuple)) else ():
        if isinstance(each, tuple) and each[:2] == (_standard.SOL_SOCKET, _standard.SCM_RIGHTS):
            _accepting.make_all_blocking_again()
            return


def _repeatable(args):
    """The arguments with a list in place of each iterator: it would be used up when a call is tried again."""
    return tuple(list(each) if isinstance(each, Iterator) else each for each in args)


# --- names ------------------------------------------------------------------------------------------------------


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    """As in the standard library. Switches, unless no lookup is needed."""
    return [
        (_FAMILIES.get(family, family), _KINDS.get(kind, kind), proto, name, address)
        for family, kind, proto, name, address in get_hub().resolver.getaddrinfo(host, port, family, type, proto, flags)
    ]


# The members of the standard enumerations: looking them up is quicker than calling the enumerations.
_FAMILIES = {int(member): member for member in _standard.AddressFamily}
_KINDS = {int(member): member for member in _standard.SocketKind}


def gethostbyname(hostname):
    """As in the standard library. Switches, unless the name is numeric."""
    return get_hub().resolver.gethostbyname(hostname)


def gethostbyname_ex(hostname):
    """As in the standard library. Switches."""
    return get_hub().resolver.gethostbyname_ex(hostname)


def gethostbyaddr(ip_address):
    """As in the standard library. Switches."""
    return get_hub().resolver.gethostbyaddr(ip_address)


def getnameinfo(sockaddr, flags):
    """As in the standard library. Switches, unless `flags` ask for numbers only."""
    return get_hub().resolver.getnameinfo(sockaddr, flags)


# The standard function, with the gethostbyaddr() of this module. Switches.
getfqdn = FunctionType(_standard.getfqdn.__code__, globals(), "getfqdn", _standard.getfqdn.__defaults__)
getfqdn.__doc__ = _standard.getfqdn.__doc__


def _wrap(plain):
    """Make a socket of ours that takes over the descriptor of a standard socket."""
    timeout = plain.gettimeout()
    ours = socket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    ours.settimeout(timeout)
    return ours


def fromfd(fd, family, type, proto=0):
    """A socket for a duplicate of descriptor `fd`. As in the standard library."""
    return socket(family, type, proto, fileno=_standard.dup(fd))


def socketpair(family=None, type=_standard.SOCK_STREAM, proto=0):
    """Two connected sockets. As in the standard library."""
    first, second = _standard.socketpair(family, type, proto)
    return _wrap(first), _wrap(second)


# The standard function, with the socket of this module, which looks names up. Switches if a host's name is looked up.
create_server = FunctionType(_standard.create_server.__code__, {**vars(_standard), "socket": socket}, "create_server")
create_server.__kwdefaults__ = _standard.create_server.__kwdefaults__
create_server.__doc__ = _standard.create_server.__doc__


def close(fd):
    """Close a descriptor (int). As in the standard library; greenlets that wait for it get OSError(EBADF)."""
    check_program_owns(fd)
    if isinstance(fd, int) and 0 <= fd < 1 << 31:
        closing_descriptor(fd)
    _standard.close(fd)


def create_connection(
    address,
    timeout=_standard._GLOBAL_DEFAULT_TIMEOUT,
    source_address=None,
    *,
    all_errors=False,
    happy_eyeballs_delay=None,
):
    """Connect to ``(host, port)``, trying each of the host's addresses in turn. Returns the socket. Switches.

    `timeout` (seconds, float; None for ever) bounds each try, and stays the socket's. `source_address`: the address to
    connect from. Raises the last try's error, or with `all_errors` all of them in an ExceptionGroup (before CPython
    3.11 the one of `greenio.taskgroup`).
    `happy_eyeballs_delay` (seconds, float; 0.25 is usual): when a try takes longer than that, the next address is tried
    beside it, IPv6 and IPv4 in turn, and the first that connects is taken. See RFC 8305
    (https://www.rfc-editor.org/rfc/rfc8305).
    """
    host, port = address

    def attempt(found):
        family, kind, proto, _, resolved = found
        sock = socket(family, kind, proto)
        try:
            if timeout is not _standard._GLOBAL_DEFAULT_TIMEOUT:
                sock.settimeout(timeout)
            if source_address:
                sock.bind(source_address)
            sock.connect(resolved)
            return sock
        except BaseException:
            sock.close()
            raise

    addresses = getaddrinfo(host, port, 0, _standard.SOCK_STREAM)
    if happy_eyeballs_delay is None:
        sock, errors = _connecting.in_turn(attempt, addresses)
    else:
        sock, errors = _connecting.side_by_side(attempt, _connecting.interleaved(addresses), happy_eyeballs_delay)
    try:
        if sock is not None:
            return sock
        if not errors:
            raise OSError("getaddrinfo returns an empty list")
        if all_errors:
            from greenio.taskgroup import ExceptionGroup  # here, because few programs need it

            raise ExceptionGroup("create_connection failed", errors)
        raise errors[-1]
    finally:
        errors.clear()
